"""Teach a model some documents: it writes notes about every passage, and one adapter learns them all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfedit.config import Config
from selfedit.loops.evaluate import paired_gain, summarise
from selfedit.loops.inner import Examiner, derive_seed, examine, settle, train_one
from selfedit.loops.outer import Outer, propose
from selfedit.protocols import Engine, Progress, silent
from selfedit.store import Run
from selfedit.types import Job, SelfEdit, Task, Trial, Update
from selfedit.workflows.train import make_examiner, make_outer


@dataclass(frozen=True, slots=True)
class AdaptResult:
    """What `teach` did: the update (also saved in the run), the notes it learned, and the exam before and after."""

    update: Update
    notes: list[Trial]
    exams: list[Trial]
    summary: dict[str, Any]


def teach(
    run: Run,
    config: Config,
    passages: Sequence[Task],
    documents: Sequence[Task],
    policy: Update,
    engine: Engine,
    progress: Progress = silent,
) -> AdaptResult:
    """Notes on every passage, one adapter from all of them and the passages, and the documents' questions as the exam.

    The adapter is saved as `updates/adapter`. Without questions there is no score, and the summary says nothing.
    """
    examiner, outer = make_examiner(config, engine, folder=run.path), make_outer(config)
    notes = write_notes(run, passages, policy, examiner, outer, progress)
    folder = run.updates / "adapter"
    if not folder.exists():
        engine.save(learn(notes, policy, engine, outer), folder)
    update = engine.load(folder)
    exams = run.remember("exam", 0, lambda: sit_exam(documents, policy, update, examiner, outer))
    asked = [trial for trial in exams if trial.before]
    before = [replace(trial, update=None, after=trial.before) for trial in asked]
    summary: dict[str, Any] = {}
    if asked:
        summary = {"before": summarise(before), "after": summarise(asked), "gain": paired_gain(asked, before)}
        summary["after"]["tokens"] = update.tokens
    run.write_json("summary.json", summary)
    run.write_metrics()
    return AdaptResult(update, notes, exams, summary)


def write_notes(
    run: Run, passages: Sequence[Task], policy: Update, examiner: Examiner, outer: Outer, progress: Progress
) -> list[Trial]:
    """`group_size` notes on each passage, a wave at a time; then each passage itself, which is always learned."""
    members = [(task, member) for task in passages for member in range(outer.group_size)]
    trials: list[Trial] = []
    for wave, start in enumerate(range(0, len(members), outer.wave)):
        progress("notes", len(trials), len(members), "")
        part = members[start : start + outer.wave]
        seeds = [derive_seed(outer.seed, "notes", task.id, member) for task, member in part]
        trials += run.remember(
            "notes",
            wave,
            lambda part=part, seeds=seeds: propose(  # type: ignore[misc]
                policy, part, examiner.domain, examiner.engine, outer.writing, seeds
            ),
        )
    progress("notes", len(members), len(members), "")
    return [*trials, *(Trial(examiner.domain.without_edit(task)) for task in passages)]


def learn(notes: Sequence[Trial], policy: Update, engine: Engine, outer: Outer) -> Update:
    """One adapter from every document of every note, each document once, by the recipe of the last."""
    examples = tuple(dict.fromkeys(example for trial in notes for example in trial.edit.examples))
    job = Job(policy, examples, notes[-1].edit.recipe, derive_seed(outer.seed, "adapter"))
    return train_one(engine, job, "the adapter could not be trained")


def sit_exam(
    documents: Sequence[Task], policy: Update, update: Update, examiner: Examiner, outer: Outer
) -> list[Trial]:
    """Each document's questions, closed book, before and after. A document without questions has no scores."""
    trials = [Trial(SelfEdit(task.id, ""), update if task.questions else None) for task in documents]
    examined = examine(trials, {task.id: task for task in documents}, policy, examiner)
    return [settle(trial, outer.reward) if trial.before else trial for trial in examined]
