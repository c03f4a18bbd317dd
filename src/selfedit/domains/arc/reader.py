"""ARC's task files: challenges with solutions beside them, files of one task, folders of these; and SEAL's subsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.prompts import Pair, to_task
from selfedit.errors import InputError
from selfedit.files import read_json
from selfedit.types import Task


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
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError(f"{path} should hold an object: a task, or tasks by name")
    return content


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
"""SEAL's 12 tasks of the training set and 10 of the evaluation set (docs/seal.md 3.1)."""

SEAL_DROPPED = ("5bd6f4ac", "8e1813be", "358ba94e", "af24b4cc")
"""Those that its published commands drop: they shuffle test grids, not tasks, and cut. Not covered: its other script
never writes a plan for ce8d95cc either, which is then counted as wrong in every trial."""


def seal_tasks(tasks: Sequence[Task], truncated: bool = False) -> list[Task]:
    """Those of SEAL's subsets. Raises InputError where there are none."""
    dropped = SEAL_DROPPED if truncated else ()
    kept = [task for task in tasks if task.id in SEAL_TASKS and task.id not in dropped]
    if not kept:
        raise InputError("none of these tasks are SEAL's; take ARC-AGI-1's files, or set domain.tasks to all")
    return kept
