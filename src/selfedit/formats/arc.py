"""Files about ARC's tasks: Kaggle's submissions, and SEAL's plans and results (docs/seal.md 7)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfedit.errors import InputError
from selfedit.files import read_text, write_text
from selfedit.formats.record import Record, parse
from selfedit.types import Task

# Submissions

Matrix = tuple[tuple[int, ...], ...]
NOTHING: Matrix = ((0, 0), (0, 0))
"""What stands in a submission where there is no attempt, as in Kaggle's sample."""


class AttemptPair(Record):
    """Both attempts at one test grid."""

    attempt_1: Matrix
    attempt_2: Matrix


Submission = dict[str, tuple[AttemptPair, ...]]
"""Task -> its test grids."""


def to_submission(answers: Mapping[str, Sequence[str]]) -> Submission:
    """Answers of the domain, task -> one JSON list of attempts per test grid. A single attempt stands there twice."""
    return {name: tuple(_attempts(json.loads(answer)) for answer in of_task) for name, of_task in answers.items()}


def _attempts(grids: Sequence[Sequence[Sequence[int]]]) -> AttemptPair:
    first, second = ([tuple(map(tuple, grid)) for grid in grids] * 2 or [NOTHING] * 2)[:2]
    return AttemptPair(attempt_1=first, attempt_2=second)


def read_submission(path: Path) -> Submission:
    """Raises InputError with the task and the key."""
    return parse(read_text(path), TypeAdapter(Submission), str(path))


def write_submission(path: Path, submission: Submission) -> None:
    _write(path, {name: [attempts.plain() for attempts in of_task] for name, of_task in submission.items()})


@dataclass(frozen=True, slots=True)
class SubmissionScore:
    """How many are right, of how many. The official score is the share of the tasks."""

    tasks: int
    tasks_right: int
    grids: int
    grids_right: int


def score_submission(submission: Submission, tasks: Iterable[Task]) -> SubmissionScore:
    """A test grid is right if either attempt is, a task if all its grids are. What was not handed in is wrong.

    Raises InputError for a task with another number of test grids.
    """
    right = [_right(submission.get(task.id), task) for task in tasks]
    grids = [grid for of_task in right for grid in of_task]
    return SubmissionScore(len(right), sum(all(of_task) for of_task in right), len(grids), sum(grids))


def _right(handed_in: Sequence[AttemptPair] | None, task: Task) -> list[bool]:
    if handed_in is None:
        return [False for _ in task.questions]
    if len(handed_in) != len(task.questions):
        raise InputError(f"task {task.id} has {len(task.questions)} test grids; the submission has {len(handed_in)}")
    targets = [tuple(map(tuple, json.loads(question.target))) for question in task.questions]
    return [target in (two.attempt_1, two.attempt_2) for target, two in zip(targets, handed_in, strict=True)]


# SEAL's plans and results


class ArcSelfEdit(Record):
    """One plan of `final_configs_and_indices.json`. SEAL sets the epochs in `config` to 0 where it refused a plan."""

    config: dict[str, Any]
    prompt: Any
    response: str
    token_ids: Any = None


SelfEdits = dict[str, dict[str, ArcSelfEdit]]
"""Task -> number of the plan, from "0" -> plan."""


class FinalResult(Record):
    """One numbered plan of every task: row -> task, and row -> whether it was solved (pandas' to_dict)."""

    task_id: dict[str, str]
    correct: dict[str, bool]


FinalResults = dict[str, FinalResult]
"""Number of the plan -> what became of it."""


def read_self_edits(path: Path) -> SelfEdits:
    return parse(read_text(path), TypeAdapter(SelfEdits), str(path))


def write_self_edits(path: Path, edits: SelfEdits) -> None:
    _write(path, {task: {number: edit.plain() for number, edit in of.items()} for task, of in edits.items()})


def read_final_results(path: Path) -> FinalResults:
    return parse(read_text(path), TypeAdapter(FinalResults), str(path))


def write_final_results(path: Path, results: FinalResults) -> None:
    _write(path, {number: result.plain() for number, result in results.items()})


def _write(path: Path, value: object) -> None:
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False))
