"""ARC's files and SEAL's few-shot ones (spec 7): tasks, submissions, plans, results."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.prompts import Pair, to_task
from selfedit.errors import InputError
from selfedit.files import read_text, write_text
from selfedit.formats.record import Record, parse
from selfedit.types import Task

# Tasks


def read_arc(path: Path, solutions: Path | None = None) -> list[Task]:
    """The tasks of a challenges file, of a file with one task, or of a folder of these, in the file's or names' order.

    A test grid's output stands in the task itself or in the solutions file; without a name that is the file beside the
    challenges with `solutions` in its name instead. Raises InputError with the task and what is wrong with it.
    """
    if path.is_dir():
        tasks = [_task(file.stem, _read(file), None, str(file)) for file in sorted(path.glob("*.json"))]
    else:
        content = _read(path)
        answers = _solutions(path, solutions)
        named = {path.stem: content} if content.keys() >= {"train", "test"} else content
        tasks = [_task(name, task, answers.get(name), f"{path}: task {name}") for name, task in named.items()]
    if not tasks:
        raise InputError(f"{path} holds no tasks; name a folder of them or a challenges file")
    return tasks


def _read(path: Path) -> dict[str, Any]:
    return parse(read_text(path), TypeAdapter(dict[str, Any]), str(path))


def _solutions(path: Path, solutions: Path | None) -> dict[str, Any]:
    beside = path.with_name(path.name.replace("challenges", "solutions"))
    if solutions or (beside != path and beside.exists()):
        return _read(solutions or beside)
    return {}


def _task(name: str, content: Any, solutions: Any, where: str) -> Task:
    if not isinstance(content, dict):
        raise InputError(f"{where} should be an object with train and test")
    shown = [_pair(pair, None, f"{where}, train {place}") for place, pair in enumerate(_list(content, "train", where))]
    tests = _list(content, "test", where)
    if solutions is not None and (not isinstance(solutions, list) or len(solutions) != len(tests)):
        raise InputError(f"{where} has {len(tests)} test grids and not as many solutions")
    asked = [
        _pair(pair, solutions[place] if solutions is not None else None, f"{where}, test {place}")
        for place, pair in enumerate(tests)
    ]
    return to_task(name, shown, asked)


def _list(content: Mapping[str, Any], key: str, where: str) -> list[Any]:
    if not isinstance(content.get(key), list) or not content[key]:
        raise InputError(f"{where}: {key} should be a list of pairs, one at least")
    return list(content[key])


def _pair(pair: Any, output: Any, where: str) -> Pair:
    if not isinstance(pair, dict) or "input" not in pair:
        raise InputError(f"{where} should be an object with input and output")
    if output is None and "output" not in pair:
        raise InputError(f"{where} has no output; name the file with the solutions")
    try:
        return to_grid(pair["input"]), to_grid(pair["output"] if output is None else output)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None


SEAL_TASKS = (
    *("44f52bb0", "4be741c5", "5582e5ca", "5614dbcf", "5bd6f4ac", "6150a2bd"),
    *("67e8384a", "6d0aefbc", "6e02f1e3", "8be77c9e", "8d5021e8", "8e1813be"),
    *("358ba94e", "59341089", "66e6c45b", "68b67ca3", "903d1b4a"),
    *("af24b4cc", "b1fc8b8e", "bc4146bd", "c7d4e6ad", "ce8d95cc"),
)
"""SEAL's 12 tasks of the training set and 10 of the evaluation set (spec 3.1)."""

SEAL_DROPPED = ("5bd6f4ac", "8e1813be", "358ba94e", "af24b4cc")
"""Those that its published commands drop: they shuffle test grids, not tasks, and cut. Not covered: its other script
never writes a plan for ce8d95cc either, which is then counted as wrong in every trial."""


def seal_tasks(tasks: Sequence[Task], truncated: bool = False) -> list[Task]:
    """Those of SEAL's subsets. Raises InputError where there are none."""
    dropped = SEAL_DROPPED if truncated else ()
    kept = [task for task in tasks if task.id in SEAL_TASKS and task.id not in dropped]
    if not kept:
        raise InputError("none of these tasks are SEAL's; take ARC-AGI-1's files, or set arc.tasks to all")
    return kept


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
