"""ARC's task files: challenges with solutions beside them, files of tasks, folders of these; and SEAL's subsets."""

from __future__ import annotations

import logging
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.prompts import Pair, to_task
from selfedit.errors import InputError
from selfedit.files import parse_json, read_json, read_text
from selfedit.types import Task

log = logging.getLogger(__name__)

MAX_NAME = 200
LAYOUT = "a task is {train: [{input, output}], test: [{input, output}]}, each grid a list of rows"


def read_arc(path: Path, solutions: Path | None = None) -> list[Task]:
    """The tasks of a challenges file, of a file with tasks, or of a folder of files with one task each, in order.

    A file holds one task, tasks by name, or a list of them, as JSON or a task a line; hidden files in a folder are
    passed over. A test grid's output stands in the task itself or in the solutions file; without a name that is the
    file beside the challenges with `solutions` in its name instead. How many were read is logged. Raises InputError
    with the task and what is wrong with it.
    """
    if path.is_dir():
        files = [file for file in sorted(path.iterdir()) if file.suffix.lower() == ".json"]
        shown = [file for file in files if not file.name.startswith(".")]
        tasks = [_task(file.stem, read_json(file), None, str(file)) for file in shown]
        if len(shown) < len(files):
            log.info("%s: %d hidden, passed over", path, len(files) - len(shown))
    else:
        answers = _solutions(path, solutions)
        tasks = [_task(name, task, answers.get(name), f"{path}: task {name}") for name, task in _named(path)]
    if not tasks:
        raise InputError(f"{path} holds no tasks; name a folder of them or a challenges file")
    if len({task.id for task in tasks}) < len(tasks):
        raise InputError(f"{path} has two tasks of the same name; give each its own")
    log.info("%s: tasks %d, test grids %d", path, len(tasks), sum(len(task.questions) for task in tasks))
    return tasks


def _named(path: Path) -> Iterator[tuple[str, Any]]:
    """(name, task) of a file."""
    text = read_text(path)
    try:
        content = parse_json(text, str(path))
    except InputError as error:
        if "Extra data" not in str(error):
            raise
        lines = enumerate(text.split("\n"), start=1)
        content = [parse_json(line, f"{path}, line {number}:") for number, line in lines if line.strip()]
    if isinstance(content, dict) and content.keys() >= {"train", "test"}:
        yield path.stem, content
    elif isinstance(content, dict):
        for name, task in content.items():
            if not isinstance(task, dict) or not 0 < len(name) <= MAX_NAME:
                raise InputError(f"{path} holds no task under {reprlib.repr(name)}; {LAYOUT}")
            yield name, task
    elif isinstance(content, list):
        for number, task in enumerate(content):
            if not isinstance(task, dict) or not task.keys() >= {"train", "test"}:
                raise InputError(f"{path}: record {number} is no task; {LAYOUT}")
            own = next((task[key] for key in ("id", "task_id", "name") if isinstance(task.get(key), str)), "")[
                :MAX_NAME
            ]
            yield own or f"{path.stem}-{number}", task
    else:
        raise InputError(f"{path} should hold a task, tasks by name, or a list of them; {LAYOUT}")


def _solutions(path: Path, solutions: Path | None) -> dict[str, Any]:
    beside = path.with_name(path.name.replace("challenges", "solutions"))
    if solutions is None and (beside == path or not beside.exists()):
        return {}
    found = read_json(solutions or beside)
    if not isinstance(found, dict):
        raise InputError(f"{solutions or beside} should hold solutions by the names of their tasks")
    return found


def _task(name: str, content: Any, solutions: Any, where: str) -> Task:
    if not isinstance(content, dict):
        raise InputError(f"{where} should be an object with train and test; {LAYOUT}")
    shown = [
        _pair(pair, None, f"{where}, train {place}", "each pair to learn from has one")
        for place, pair in enumerate(_list(content, "train", where))
    ]
    tests = _list(content, "test", where)
    if solutions is not None and (not isinstance(solutions, list) or len(solutions) != len(tests)):
        raise InputError(f"{where} has {len(tests)} test grids and not as many solutions")
    advice = "put the solutions beside it, in a file with `solutions` in its name where it has `challenges`"
    asked = [
        _pair(pair, solutions[place] if solutions is not None else None, f"{where}, test {place}", advice)
        for place, pair in enumerate(tests)
    ]
    return to_task(name, shown, asked)


def _list(content: Mapping[str, Any], key: str, where: str) -> list[Any]:
    if not isinstance(content.get(key), list) or not content[key]:
        keys = reprlib.repr(list(content))
        raise InputError(f"{where}: {key} should be a list of pairs, one at least; the keys are {keys}")
    return list(content[key])


def _pair(pair: Any, output: Any, where: str, advice: str) -> Pair:
    if not isinstance(pair, dict) or "input" not in pair:
        raise InputError(f"{where} should be an object with input and output")
    if output is None and pair.get("output") is None:
        raise InputError(f"{where} has no output; {advice}")
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
