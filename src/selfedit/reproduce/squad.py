"""A real chat model learns real passages: SQuAD, each passage alone, every row beside its rivals at equal cost."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from selfedit.domains import DOMAINS
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.domains.knowledge.support import objection
from selfedit.domains.knowledge.text import sentences
from selfedit.engines.embedded import NAMES
from selfedit.errors import InputError
from selfedit.files import write_whole
from selfedit.graders import GRADERS
from selfedit.loops.evaluate import paired_gain
from selfedit.protocols import Engine
from selfedit.reproduce.options import Options
from selfedit.results import Summary, Table, TextTable, gain_sentence, percent, score_table
from selfedit.types import Task, Trial
from selfedit.workflows.adapt import adapt
from selfedit.workflows.engine import open_engine
from selfedit.workflows.runs import start
from selfedit.workflows.train import Experiment, run_experiment

PASSAGES, QUESTIONS = 60, 5

PAGES = 10
"""Passages that one adapter learns together, to see what that costs the rest of the model."""

GAPS = 2
"""Questions by rule about one sentence: as many as the preset keeps of the model's own."""

ROWS = ("base", "own_edits", "passage_only", "passage_only_equal", "in_context", "retrieved")
NAMED = {"own_edits": "own_notes", "retrieved": "rag"}
"""What the summary calls a row, where that is not its key."""


def squad(options: Options) -> dict[str, Any]:
    """SQuAD passages of different titles, five questions each, one adapter a passage, on a chat model.

    As `fresh`: all passages of a file with all their questions, such as news that no model here can know.
    """
    if options.data is None or options.model is None or options.model in NAMES:
        raise InputError(f"reproduce {options.name} needs --model, a chat model, and --data, passages in SEAL's layout")
    first = options.config({}, preset="chat")
    found, wanted = read_folder(options.data), first.data.max_eval_tasks
    tasks = found[: wanted or None] if options.name == "fresh" else choose(found, wanted or PASSAGES, first.seed)
    with open_engine(first, options.progress, tasks, parallel=True) as engine:
        main = _run(options, "own_notes", {}, ROWS, tasks, engine)
        bare = _run(options, "unchecked", {"domain": {"check": False}}, ["own_edits"], tasks, engine)
        rule = _run(options, "by_rule", _by_rule(options, tasks, main), ["teacher_edits"], tasks, engine)
        costs = {preset: _cost_of_pages(options, preset, tasks[:PAGES], engine) for preset in ("chat", "gentle")}
    return {**summary_of(main, bare, rule), **costs_json(costs)}


def _run(
    options: Options, name: str, tree: dict[str, Any], rows: Sequence[str], tasks: Sequence[Task], engine: Engine
) -> Experiment:
    config = options.config({**tree, "outer": {"rounds": 0}, "exam": {"rows": list(rows)}}, preset="chat")
    with start("train", options.folder / name, config, {"train": [], "eval": list(tasks)}, "reproduce") as run:
        return run_experiment(run, config, [], tasks, engine, options.progress)


def _by_rule(options: Options, tasks: Sequence[Task], main: Experiment) -> dict[str, Any]:
    """Questions that nobody wrote, in place of notes, for as many tokens as the notes took on average."""
    path, tokens = options.folder / "by_rule.json", main.table["own_edits"].tokens or 0
    rows = [{"title": t.title, "context": t.context, "completions": ["\n".join(cloze(t))]} for t in tasks]
    write_whole(path, json.dumps(rows, ensure_ascii=False))
    return {"data": {"teacher": str(path)}, "inner": {"tokens": tokens // len(tasks)}}


def cloze(task: Task) -> list[str]:
    """Each sentence of the passage up to GAPS times, with a number, a name or else a long word left out of it."""
    questions = list[str]()
    for sentence in sentences(task.context):
        words = [match for match in re.finditer(r"\w[\w.,'\u2019-]*\w|\d", sentence) if match.start()]
        telling = sorted(words, key=lambda m: (not (m[0][0].isupper() or m[0][0].isdigit()), -len(m[0])))
        gaps = [f"{sentence[: m.start()]}____{sentence[m.end() :]}" for m in telling[:GAPS]]
        questions += [gap.rstrip(".!?\n ").replace("\n", " ") + "?" for gap in gaps]
    return questions


def _cost_of_pages(options: Options, preset: str, pages: Sequence[Task], engine: Engine) -> Summary:
    """What one adapter knows that learned several pages, and what that cost the rest of the model."""
    tree = {"outer": {"edits_per_task": 1}, "exam": {"rivals": False}}
    config = options.config(tree, preset=preset)
    with start("adapt", options.folder / f"pages_{preset}", config, {"documents": list(pages)}, "reproduce") as run:
        return adapt(run, config, engine, options.progress)


def read_folder(path: Path) -> list[Task]:
    """The passages of a file, or of all JSON files in a folder, those of `squad_val.json` first."""
    files = sorted(path.glob("squad_*.json"), key=lambda file: "val" not in file.name) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path} holds no squad_*.json; name a file with passages, or a folder with SEAL's")
    return [task for file in files for task in read_tasks(file)]


def choose(tasks: Sequence[Task], count: int, seed: int) -> list[Task]:
    """So many passages of different titles with their first QUESTIONS questions, drawn by the seed.

    Titles are taken in the order of the files, so that those of a later file only fill up. Raises InputError where
    there are not so many titles with enough questions.
    """
    by_title: dict[str, list[Task]] = {}
    for task in tasks:
        if len(task.questions) >= QUESTIONS:
            by_title.setdefault(task.title, []).append(task)
    if len(by_title) < count:
        raise InputError(f"{len(by_title)} titles have {QUESTIONS} questions on a passage, and {count} are needed")
    rng = Random(seed)
    return [
        replace(task, questions=task.questions[:QUESTIONS])
        for task in (rng.choice(by_title[title]) for title in list(by_title)[:count])
    ]


def summary_of(main: Experiment, bare: Experiment, rule: Experiment) -> dict[str, Any]:
    """All rows by their names, what own notes gain at equal tokens over the passage alone and over questions by rule,
    and what the notes hold.

    `best` is the best of those rows that answer without the passage; that it was chosen by this table flatters it.
    """
    rows = [replace(row, key=NAMED.get(row.key, row.key)) for row in main.table]
    rows.append(replace(bare.table["own_edits"], key="own_notes_unchecked"))
    rows.append(replace(rule.table["teacher_edits"], key="by_rule"))
    closed = [row for row in rows if row.key not in ("in_context", "rag")]
    best = replace(max(closed, key=lambda row: row.mean), key="best")
    own = main.trials["own_edits"]
    gains = {
        "gain": paired_gain(own, main.trials["passage_only_equal"]),
        "gain_over_rule": paired_gain(own, rule.trials["teacher_edits"]),
    }
    seconds = sum(found.table.seconds or 0 for found in (main, bare, rule))
    return {**Table((*rows, best), gains, round(seconds, 1)).to_json(), **notes_of(main.evaluation, own)}


def costs_json(costs: Mapping[str, Summary]) -> dict[str, Any]:
    """The exam and the cost of PAGES pages in one adapter, by preset. `ifeval_before` and `ifeval_after` are the share
    of prompts that were followed, by the first of them.
    """
    followed = [change for change in next(iter(costs.values())).cost if change.measure == "prompts_strict"]
    named = {"ifeval_before": followed[0].before, "ifeval_after": followed[0].after} if followed else {}
    return {**named, "pages": {preset: summary.to_json() for preset, summary in costs.items()}}


def notes_of(tasks: Sequence[Task], trials: Sequence[Trial]) -> dict[str, Any]:
    """`coverage`: the share of gold answers that stand in the notes that were learned. `faithful`: the share of learned
    lines that the check by words has nothing to say against, which is all of them where it was used. How many lines
    were learned, and how many dropped.
    """
    held, lines, faithful, dropped = list[float](), 0, 0, 0
    for task, trial in zip(tasks, trials, strict=True):
        own = [example.target for example in trial.edit.examples if task.context not in example.target]
        text = "\n".join(own)
        held += [g for g in GRADERS["contains"].grade([(q, text) for q in task.questions]) if isinstance(g, float)]
        faithful += sum(not objection(line.rsplit("\n", 1)[-1], task) for line in own)
        lines, dropped = lines + len(own), dropped + len(trial.edit.dropped)
    share = faithful / lines if lines else 0.0
    return {"coverage": sum(held) / len(held), "faithful": share, "lines": lines, "dropped": dropped}


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    table = Table.from_json(summary)
    words = DOMAINS["knowledge"].words
    shown = {**words.conditions, **{new: words.conditions[old] for old, new in NAMED.items()}, **_MORE}
    made = score_table(table, replace(words, conditions=shown), "One adapter a passage, on a chat model")
    keys = {"gain": "gain_at_equal_tokens", "gain_over_rule": "own notes over sentences with a gap"}
    gain = ". ".join(gain_sentence(table.gains[name], key=shown) for name, shown in keys.items())
    held = f"The notes hold {percent(summary['coverage'])} of the gold answers; {summary['lines']} lines were learned"
    return [replace(made, caption=f"{gain}. {held}, {summary['dropped']} dropped."), _pages_table(summary["pages"])]


def _pages_table(pages: Mapping[str, Any]) -> TextTable:
    """One row per preset: what was learned of the pages, and what became of instructions and neutral text."""

    def change(found: Any, check: str, measure: str, shown: Callable[[float], str]) -> str:
        values = found.get("cost", {}).get(check, {}).get(measure)
        return f"{shown(values['before'])} → {shown(values['after'])}" if values else "not measured"

    rows = [
        (
            preset,
            f"{percent(found['before']['mean'])} → {percent(found['after']['mean'])}",
            change(found, "instructions", "prompts_strict", percent),
            change(found, "neutral", "bits", lambda bits: f"{bits:.2f}"),
        )
        for preset, found in pages.items()
    ]
    columns = ("preset", "questions\nright", "prompts\nfollowed", "bits a token of\nneutral text")
    return TextTable(f"{PAGES} passages in one adapter: before → after", columns, rows)


_MORE = {
    "own_notes_unchecked": "Its own notes, unchecked",
    "by_rule": "Sentences with a gap, by rule",
    "best": "The best without the passage",
}
