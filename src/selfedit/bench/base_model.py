"""What the embedded model can do before it is taught anything: JSON on stdout, and a table for people on stderr.

    python -m selfedit.bench.base_model [PASSAGES] > docs/results/base_model.json

Everything is about entries of the exam split, but for those that it knows by heart.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from random import Random
from statistics import fmean
from typing import Any

from selfedit.engines.start import start_local
from selfedit.errors import EngineError
from selfedit.loops.evaluate import by_kind, summarise
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.protocols import Sampler, silent
from selfedit.reproduce.almanac import notes_of
from selfedit.results import TextTable, markdown, percent
from selfedit.statistics import share_interval
from selfedit.types import BASE, Failure, Request, SamplingParams, SelfEdit, Task, Trial
from selfedit.workflows.build import make_examiner
from selfedit.workflows.configure import make_config
from selfedit.worlds.almanac import behaviour, world
from selfedit.worlds.almanac.documents import known_entries
from selfedit.worlds.almanac.world import Claim, Entry

OPEN_BOOK_BAR = 0.97
"""What the model has to reach in each kind of question with the passage before it: it has to read for the rest to mean
anything.
"""

PROBES, ANSWER_TOKENS = 100, 48
"""Probes of each behaviour, and the longest answer to one: a list of three takes up to 45 tokens."""

ENTRIES_TO_COUNT = 3000
"""Entries from which it is learned what is most frequent."""


def accuracy(examiner: Examiner, tasks: Sequence[Task], open_book: bool) -> dict[str, Any]:
    """The base model's share of right answers with its interval, and by kind of question."""
    scores = score(examiner, [Exam(BASE, task) for task in tasks], open_book)
    trials = [Trial(SelfEdit(task.id, ""), BASE, after=s) for task, s in zip(tasks, scores, strict=True)]
    return {**summarise("base", trials).to_json(), "by_kind": by_kind(trials, tasks)}


def guessing(entries: Sequence[Entry]) -> dict[str, float]:
    """The share of right answers, by kind of question, of who always says what is most frequent for such a question."""
    counts: dict[tuple[str, str, str], Counter[str]] = {}
    for entry in islice(world.entries("practice", 0), ENTRIES_TO_COUNT):
        for claim in _claims(entry):
            counts.setdefault((entry.kind.name, claim.kind, claim.key), Counter())[claim.value] += 1
    guesses = {asked: counter.most_common(1)[0][0] for asked, counter in counts.items()}
    right: dict[str, list[bool]] = {}
    for entry in entries:
        for claim in _claims(entry):
            guess = guesses[entry.kind.name, claim.kind, claim.key]
            right.setdefault(claim.kind, []).append(guess == claim.value)
    return {kind: fmean(grades) for kind, grades in right.items()}


def _claims(entry: Entry) -> tuple[Claim, ...]:
    """All that is asked."""
    return (*entry.claims, *entry.implied, entry.joined)


def written(engine: Sampler, prompts: Sequence[str], how: SamplingParams) -> list[str]:
    """What the base model goes on with, each time with a seed of its own. Raises EngineError where it cannot."""
    sampling = (how.temperature, how.top_p, how.max_new_tokens)
    requests = [Request(BASE, prompt, seed, *sampling) for seed, prompt in enumerate(prompts)]
    texts = engine.sample(requests)
    for text in texts:
        if isinstance(text, Failure):
            raise EngineError(text.message)
    return [str(text) for text in texts]


def behaviours(engine: Sampler, known: Sequence[Entry], count: int) -> dict[str, Any]:
    """How often each behaviour is shown, of `count` probes, with the interval: by the likeliest answer."""
    greedy, shown = SamplingParams(temperature=0.0, max_new_tokens=ANSWER_TOKENS), dict[str, Any]()
    for name in behaviour.BEHAVIOURS:
        probes = behaviour.probes(name, known, count, 0)
        answers = written(engine, [probe.prompt for probe in probes], greedy)
        passed = [float(behaviour.passes(probe, answer)) for probe, answer in zip(probes, answers, strict=True)]
        shown[name] = {**share_interval(passed).fields, "n": count}
    return shown


def measure(count: int, probes: int = PROBES) -> dict[str, Any]:
    """All of it on so many passages and known entries, and so many probes of each behaviour."""
    config = make_config("almanac")
    engine = start_local(config.model, config.max_adapters, silent)
    examiner, pairs = make_examiner(config, engine), world.entries_and_tasks("exam", count)
    entries, tasks, known = [entry for entry, _ in pairs], [task for _, task in pairs], known_entries()[:count]
    asked = [str(examiner.domain.prompts(task)[0]) for task in tasks]
    rng = Random(0)
    return {
        "passages": count,
        "open_book": accuracy(examiner, tasks, open_book=True),
        "closed_book": accuracy(examiner, tasks, open_book=False),
        "guessing": guessing(entries),
        "known": accuracy(examiner, [world.task(entry, rng) for entry in known], open_book=False),
        "notes": notes_of(written(engine, asked, config.outer.sampling), entries),
        "behaviours": behaviours(engine, known, probes),
    }


def table(found: Mapping[str, Any]) -> TextTable:
    """All of it in one table: shares, how many of something a note has, and what each is to be held against."""
    rows = list[tuple[str, str, str]]()
    for name, label in (("open_book", "passage given"), ("closed_book", "not taught"), ("known", "known by heart")):
        against = f"{percent(OPEN_BOOK_BAR)} or more" if name == "open_book" else ""
        for kind, share in found[name]["by_kind"].items():
            guess = f"by guessing {percent(found['guessing'][kind])}" if name == "closed_book" else against
            rows.append((f"{label}: {kind}", percent(share), guess))
    held = {name: value for name, value in found["notes"].items() if name != "by_style"}
    rows += [(f"in a note: {name}", f"{value:.2f}", "") for name, value in held.items()]
    rows += [(f"notes: {style}", percent(share), "") for style, share in found["notes"]["by_style"].items()]
    rows += [(behaviour.BEHAVIOURS[name], percent(of["mean"]), "") for name, of in found["behaviours"].items()]
    return TextTable("The embedded model, untaught", ("", "measured", "against"), rows)


if __name__ == "__main__":
    results = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
    print(json.dumps(results, indent=2))
    print(markdown(table(results)), file=sys.stderr)
