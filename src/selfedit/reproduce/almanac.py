"""What writing is worth on the embedded model: accuracy against trained tokens, for every way to spend them.

All arms are trained on the same passages for the same tokens by the same recipe, so that an arm is better only by what
its documents say. Questions are told apart by kind: what a passage states, what that implies by what the model knows by
heart, and what two sentences say together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from random import Random
from statistics import fmean
from typing import Any

from selfedit.config import Config
from selfedit.loops.curves import at_budgets
from selfedit.loops.evaluate import (
    Condition,
    across_seeds,
    paired_across_seeds,
    run_conditions,
    share_by_kind,
    write_edits,
)
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.loops.inner import merge_edits, train_edits
from selfedit.loops.outer import Outer, parse_edit
from selfedit.protocols import Engine
from selfedit.reproduce.options import Options
from selfedit.results import TextTable, percent, signed_points
from selfedit.seeds import derive_seed
from selfedit.store import Run
from selfedit.types import BASE, LikelihoodRequest, Question, SelfEdit, Task, Trial, Update
from selfedit.workflows.build import make_examiner, make_outer
from selfedit.workflows.data import read_data
from selfedit.workflows.engine import open_engine
from selfedit.workflows.runs import start
from selfedit.workflows.train import run_experiment
from selfedit.workflows.train import summary_of as run_summary
from selfedit.worlds.almanac import notes, world
from selfedit.worlds.almanac.world import Entry

SEEDS, PASSAGES = 3, 200
ROUNDS, PER_ROUND, PER_PASSAGE = 3, 50, 12
"""Of reinforcement: rounds, passages in each, and notes on each."""

BUDGETS = (200, 600, 1000)
"""Trained tokens a passage."""

HEADLINE = 1000
"""Where the arms are compared, chosen on development passages; edits are tried for the recipe's own budget."""

PASSAGE_RATE = 2e-2
"""The learning rate that is best for the passage alone, on development passages."""

TEMPERATURES = (0.0, 0.3, 1.0)
BEST_TEMPERATURE = 0.0
"""Which of them is best for notes without reinforcement, on development passages."""

CANDIDATES = 5
"""Notes that are pooled, or of which the likeliest is learned."""

TOGETHER = 8
"""Passages in one adapter, where questions are asked that do not name the title."""

PASSAGE, PASSAGE_FAST, BY_HAND = "passage_only", "passage_only_best_rate", "by_hand"
POOLED, LIKELIEST = "pooled", "likeliest_of_5"


def own(temperature: float) -> str:
    return f"own_notes_{temperature:g}"


def reinforced(temperature: float) -> str:
    return f"after_rl_{temperature:g}"


@dataclass(frozen=True, slots=True)
class Found:
    """What one seed gave: by arm and budget, what the notes of an arm are, questions without the title, and the seconds
    that writing, learning and examining an arm took at the headline's budget.
    """

    trials: Mapping[str, Mapping[int, list[Trial]]]
    texts: Mapping[str, list[str]]
    reversed: Mapping[str, list[Trial]]
    seconds: Mapping[str, float]


def almanac(options: Options) -> dict[str, Any]:
    """Accuracy against trained tokens: the passage, its own notes, after reinforcement, by hand; 3 seeds, 200 unseen
    passages.
    """
    found, entries, config = list[Found](), list[Entry](), options.config({})
    for seed in range(SEEDS):
        sizes = {"rounds": ROUNDS, "tasks_per_round": PER_ROUND, "edits_per_task": PER_PASSAGE}
        tree = {"data": {"eval": "almanac", "max_eval_tasks": PASSAGES}, "outer": sizes, "seed": seed}
        config = options.config(tree)
        tasks = read_data(config)
        count = len(tasks["eval"])
        entries = [entry for entry, _ in world.entries_and_tasks("exam", count)]
        with (
            start("train", options.folder / f"seed-{seed}", config, tasks, "reproduce") as run,
            open_engine(config, options.progress, parallel=True) as engine,
        ):
            learned = run_experiment(run, config, tasks["train"], [], engine, options.progress)
            options.on_run(run, run_summary(config, learned, tasks["train"]))
            found.append(_seed(options, run, config, engine, learned.policy, tasks["eval"], entries))
    return summary_of(found, entries, tasks["eval"], HEADLINE)


def _seed(
    options: Options,
    run: Run,
    config: Config,
    engine: Engine,
    policy: Update,
    tasks: Sequence[Task],
    entries: Sequence[Entry],
) -> Found:
    """Every arm at every budget, a batch at a time; batches that the run knows are not run again."""
    examiner, outer = make_examiner(config, engine), make_outer(config)
    by_id = {task.id: entry for task, entry in zip(tasks, entries, strict=True)}
    written = writers(examiner, outer, policy, by_id)
    arms = run_conditions(tasks, written, config.max_adapters, run.remember, options.progress, stage="write")
    budgets = sorted({*BUDGETS, HEADLINE})
    edits = {name: (BASE, arm) for name, arm in arms.items()}
    trials = at_budgets(edits, tasks, budgets, examiner, outer, run.remember, options.progress)
    turned = [_reversed(task, entry) for task, entry in zip(tasks, entries, strict=True)]
    of_reversed = {
        name: run.remember(f"reversed/{name}", 0, partial(_ask_reversed, arms[name], turned, examiner, outer), Trial)
        for name in (PASSAGE, own(BEST_TEMPERATURE), reinforced(BEST_TEMPERATURE), BY_HAND)
    }
    texts = {name: [trial.edit.text for trial in arm] for name, arm in arms.items()}
    took = run.seconds()
    seconds = {name: took[f"write/{name}"] + took[f"curve/{name}/{HEADLINE}"] for name in arms}
    return Found(trials, texts, of_reversed, seconds)


def writers(examiner: Examiner, outer: Outer, policy: Update, entries: Mapping[str, Entry]) -> dict[str, Condition]:
    """Arm -> who writes its edits."""
    engine, domain = examiner.engine, examiner.domain

    def sampled(writer: Update, temperature: float, count: int, tasks: Sequence[Task]) -> list[list[Trial]]:
        sampling = replace(outer.settings.sampling, temperature=temperature)
        at = replace(outer, settings=outer.settings.model_copy(update={"sampling": sampling}))
        return write_edits(writer, tasks, domain, engine, at, count, engine)

    def passage(tasks: Sequence[Task], rate: float | None = None) -> list[Trial]:
        trials = [Trial(domain.without_edit(task)) for task in tasks]
        return [_at_rate(trial, rate) for trial in trials] if rate else trials

    def single(writer: Update, temperature: float, tasks: Sequence[Task]) -> list[Trial]:
        return [edit for (edit,) in sampled(writer, temperature, 1, tasks)]

    def pooled(tasks: Sequence[Task]) -> list[Trial]:
        return [merge_edits(edits) for edits in sampled(BASE, 1.0, CANDIDATES, tasks)]

    def likeliest(tasks: Sequence[Task]) -> list[Trial]:
        written = sampled(BASE, 1.0, CANDIDATES, tasks)
        asked = [LikelihoodRequest(BASE, t.edit.prompt, t.edit.text or " ") for of_task in written for t in of_task]
        nats = iter([getattr(found, "per_token", -inf) for found in engine.likelihood(asked)])
        return [max(of_task, key=lambda _: next(nats)) for of_task in written]

    def by_hand(tasks: Sequence[Task]) -> list[Trial]:
        return [parse_edit(t, 0, notes.by_hand(entries[t.id], Random(t.id)), domain) for t in tasks]

    return {
        PASSAGE: passage,
        PASSAGE_FAST: partial(passage, rate=PASSAGE_RATE),
        **{own(temperature): partial(single, BASE, temperature) for temperature in TEMPERATURES},
        POOLED: pooled,
        LIKELIEST: likeliest,
        **{reinforced(temperature): partial(single, policy, temperature) for temperature in TEMPERATURES},
        BY_HAND: by_hand,
    }


def _at_rate(trial: Trial, rate: float) -> Trial:
    return replace(trial, edit=replace(trial.edit, recipe=replace(trial.edit.recipe, learning_rate=rate)))


def _reversed(task: Task, entry: Entry) -> Task:
    """The same passage, asked from the values to the name, under a title that does not give it away."""
    asked = [Question(claim.reversed(entry), entry.name, world.REVERSED) for claim in entry.claims]
    return replace(task, title=world.NO_TOPIC, questions=tuple(asked))


def _ask_reversed(edits: Sequence[Trial], turned: Sequence[Task], examiner: Examiner, outer: Outer) -> list[Trial]:
    """TOGETHER passages share an adapter; `before` is the score on a passage that another adapter was taught."""
    whole = len(edits) // TOGETHER * TOGETHER
    seeds = [derive_seed(outer.seed, "reversed", trial.edit.task_id) for trial in edits[:whole]]
    trained = train_edits(edits[:whole], BASE, examiner.engine, seeds, TOGETHER)
    live = [(index, trial.update) for index, trial in enumerate(trained) if trial.update]
    taught = [Exam(update, turned[index]) for index, update in live]
    untaught = [Exam(update, turned[(index + TOGETHER) % max(1, whole)]) for index, update in live]
    scores = score(examiner, [*taught, *untaught])
    examiner.engine.release(list({update.id: update for _, update in live}.values()))
    pairs = zip(live, scores[: len(live)], scores[len(live) :], strict=True)
    return [
        Trial(SelfEdit(trained[index].edit.task_id, ""), before=other, after=own) for (index, _), own, other in pairs
    ]


# What came of it


def summary_of(
    found: Sequence[Found], entries: Sequence[Entry], tasks: Sequence[Task], headline: int
) -> dict[str, Any]:
    """The curves of all arms; at the headline's budget scores by kind of question, gains, and what the notes hold."""
    arms = list(found[0].trials)
    budgets = list(found[0].trials[PASSAGE])
    at = {budget: [{arm: f.trials[arm][budget] for arm in arms} for f in found] for budget in budgets}
    tables = {budget: across_seeds(runs) for budget, runs in at.items()}
    curves = {arm: [tables[budget][arm].point(budget) for budget in budgets] for arm in arms}
    mine, theirs = reinforced(BEST_TEMPERATURE), own(BEST_TEMPERATURE)
    passage = max((PASSAGE, PASSAGE_FAST), key=lambda arm: tables[headline][arm].mean)
    gain = paired_across_seeds(at[headline], at[headline], mine, theirs)
    room = paired_across_seeds(at[headline], at[headline], BY_HAND, theirs)
    return {
        "tokens": headline,
        "curves": curves,
        "seconds": {arm: fmean(f.seconds[arm] for f in found) / len(tasks) for arm in arms},
        "by_kind": share_by_kind({arm: [run[arm] for run in at[headline]] for arm in arms}, tasks),
        "passage_by_kind": share_by_kind({str(b): [run[passage] for run in at[b]] for b in budgets}, tasks),
        "rl_gain_equal": {**gain.fields, "tokens": headline},
        "notes_gain_equal": {
            **paired_across_seeds(at[headline], at[headline], mine, passage).fields,
            "tokens": headline,
        },
        "gap_closed": gain.mean / room.mean if room.mean else None,
        "reversed": {arm: _taught_and_not([f.reversed[arm] for f in found]) for arm in found[0].reversed},
        "notes": {
            arm: notes_of([text for f in found for text in f.texts[arm]], [*entries] * len(found))
            for arm in (theirs, own(1.0), mine, reinforced(1.0), BY_HAND)
        },
        "seeds": len(found),
        "passages": len(tasks),
    }


def _taught_and_not(runs: Sequence[Sequence[Trial]]) -> dict[str, float]:
    """The share of reversed questions answered about passages that the adapter was taught, and about others."""
    pairs = [(t.after.value or 0.0, t.before.value or 0.0) for run in runs for t in run if t.after and t.before]
    return {"taught": fmean(a for a, _ in pairs), "untaught": fmean(b for _, b in pairs)} if pairs else {}


def notes_of(texts: Sequence[str], entries: Sequence[Entry]) -> dict[str, Any]:
    """What notes hold, a note: lines, repeated, false and garbled ones, right claims by kind; and styles in shares."""
    found = [notes.contents(entry, text) for entry, text in zip(entries, texts, strict=True)]
    styles = Counter(notes.style_of(entry, text) for entry, text in zip(entries, texts, strict=True))
    kinds = (world.STATED, world.IMPLIED, world.TWO_SENTENCES, "unasked")
    return {
        **{name: fmean(getattr(c, name) for c in found) for name in ("lines", "repeated", "false", "garbled")},
        **{kind: fmean(c.right.get(kind, 0) for c in found) for kind in kinds},
        "by_style": {style: count / len(texts) for style, count in styles.most_common()},
    }


NAMES = {
    PASSAGE: "The passage",
    PASSAGE_FAST: "The passage, its best rate",
    POOLED: "Five notes pooled",
    LIKELIEST: "The likeliest of five notes",
    BY_HAND: "By hand",
    **{own(t): f"Its own notes, temperature {t:g}" for t in TEMPERATURES},
    **{reinforced(t): f"After reinforcement, {t:g}" for t in TEMPERATURES},
}


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    """Accuracy by budget, then by kind of question, then what the notes hold."""
    curves, headline = summary["curves"], summary["tokens"]
    budgets = [str(point["tokens"]) for point in next(iter(curves.values()))]
    of_budget = [(NAMES[arm], *(percent(point["mean"]) for point in points)) for arm, points in curves.items()]
    gains = "; ".join(
        f"{what} {mean} points ({low} to {high})"
        for key, what in (("rl_gain_equal", "reinforcement"), ("notes_gain_equal", "notes over the passage"))
        for mean, low, high in [signed_points(summary[key])]
    )
    closed = "" if summary["gap_closed"] is None else f"; {percent(summary['gap_closed'])} of the way to notes by hand"
    caption = f"At {headline} tokens: {gains}{closed}. {summary['seeds']} seeds, {summary['passages']} passages."
    title = "Questions answered, closed book, by trained tokens a passage"
    made = [TextTable(title, ("what was trained", *budgets), of_budget, caption)]
    kinds = list(summary["by_kind"])
    rows = [
        (NAMES[arm], *(percent(summary["by_kind"][kind][arm]) for kind in kinds), f"{summary['seconds'][arm]:.2f}")
        for arm in curves
    ]
    columns = ("what was trained", *kinds, "s a passage")
    made.append(TextTable(f"By kind of question, at {headline} tokens", columns, rows))
    held = ("lines", "repeated", "false", "garbled", world.STATED, world.IMPLIED, world.TWO_SENTENCES, "unasked")
    rows = [(NAMES[arm], *(f"{found[key]:.2f}" for key in held)) for arm, found in summary["notes"].items()]
    heads = (
        "notes",
        "lines",
        "re-\npeated",
        "false",
        "gar-\nbled",
        "stated",
        "im-\nplied",
        "two sen-\ntences",
        "un-\nasked",
    )
    made.append(TextTable("What a note holds", heads, rows))
    return made
