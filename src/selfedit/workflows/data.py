"""The tasks of a run: generated worlds, files of the config's domain, documents, and what a run stored of them."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfedit.config import Config, validated
from selfedit.errors import InputError, Refused
from selfedit.files import read_json, read_text
from selfedit.store import Run
from selfedit.types import Task
from selfedit.workflows.configure import domain_type
from selfedit.worlds import WORLDS

log = logging.getLogger(__name__)

TASKS = "tasks.json"

MAX_WORLD_TASKS = 40
"""How many unseen tasks of a world are evaluated on where the config does not say."""

Tasks = dict[str, list[Task]]
"""By what they are for."""

_TASKS = TypeAdapter(Tasks)
_LIST = TypeAdapter(list[Task])


def read_data(config: Config) -> Tasks:
    """The tasks to train and to evaluate on. Those that are both, whose gain would mean nothing, are not trained on,
    which is logged. Raises Refused where no other is left.
    """
    train, evaluated = train_tasks(config), eval_tasks(config)
    unseen = {task.context for task in evaluated}
    both = [task.title for task in train if task.context in unseen]
    kept = [task for task in train if task.context not in unseen]
    if both and not kept:
        raise Refused(
            f"all {len(both)} tasks of data.train are also in data.eval, such as {both[0]!r}; "
            "evaluate on tasks that were not trained on"
        )
    if both:
        log.warning("%d of data.train are also in data.eval, such as %r: not trained on", len(both), both[0])
    return {"train": kept, "eval": evaluated}


def train_tasks(config: Config) -> list[Task]:
    """The tasks of the outer loop; every one has questions, unless the model writes its own."""
    source, needed = config.data.train, config.outer.rounds * config.outer.tasks_per_round
    if source in WORLDS:
        return _of_world(config, source, "practice", needed, config.seed)
    tasks = read_file(config, Path(source))
    return tasks if config.outer.questions == "own" else _with_questions(tasks, source)


def eval_tasks(config: Config) -> list[Task]:
    source, count = config.data.eval, config.data.max_eval_tasks
    if not source:
        return []
    if source in WORLDS:
        return _of_world(config, source, "exam", count or MAX_WORLD_TASKS)
    tasks = _with_questions(read_file(config, Path(source)), source)
    return tasks[: count or len(tasks)]


def _of_world(config: Config, name: str, split: str, count: int, seed: int = 0) -> list[Task]:
    world = WORLDS[name]
    if world.domain != config.domain.name:
        raise InputError(f"domain {config.domain.name} has no use for {name}; set data.train and data.eval to files")
    return world.tasks(split, count, seed)


def example_tasks(config: Config, count: int = 3) -> list[Task]:
    """Practice tasks of the first world that the domain has. Raises InputError for a domain without one."""
    for world in WORLDS.values():
        if world.domain == config.domain.name:
            return world.tasks("practice", count, config.seed)
    raise InputError(f"domain {config.domain.name} has no generated tasks to try; set domain.name to one that has")


def read_file(config: Config, path: Path) -> list[Task]:
    """The tasks in a file, or a folder, of the config's domain."""
    kind = domain_type(config)
    return kind.read(path, validated(kind.Options, config.domain.options, "the config", "domain"))


def _with_questions(tasks: list[Task], source: str) -> list[Task]:
    without = [task.title for task in tasks if not task.questions]
    if without:
        raise InputError(
            f"{source}: {without[0]!r} has no questions, so nothing can be measured on it; give it some (to train, the "
            "model can write its own: --set outer.questions=own)"
        )
    return tasks


def read_neutral(path: Path) -> list[str]:
    """A JSON list of texts, or the paragraphs of a plain file. Raises InputError."""
    if path.suffix.lower() != ".json":
        return [part.strip() for part in read_text(path).split("\n\n") if part.strip()]
    texts = read_json(path)
    if not isinstance(texts, list) or not all(isinstance(one, str) and one.strip() for one in texts):
        raise InputError(f"{path} should hold a list of texts, none of them empty")
    return texts


# In a run


def tasks_text(tasks: Mapping[str, Sequence[Task]]) -> str:
    """As a run's tasks.json has them."""
    plain = _TASKS.dump_python({name: list(of_name) for name, of_name in tasks.items()}, mode="json")
    return json.dumps(plain, indent=1)


def list_text(tasks: Sequence[Task]) -> str:
    """As the lists beside it have them."""
    return json.dumps(_LIST.dump_python(list(tasks), mode="json"), indent=2) + "\n"


def tasks_of(run: Run) -> Tasks:
    """The tasks that were stored with the run, by what they are for."""
    tasks: Tasks | None = _stored(run, TASKS, _TASKS)
    if tasks is None:
        raise InputError(f"{run.path} has no {TASKS}: it was killed before it began; start it again")
    return tasks


def stored_tasks(run: Run, name: str) -> list[Task] | None:
    """A list of tasks that a run keeps beside those; None if it keeps none."""
    tasks: list[Task] | None = _stored(run, name, _LIST)
    return tasks


def _stored(run: Run, name: str, adapter: TypeAdapter[Any]) -> Any:
    text = run.read_text(name)
    return None if text is None else adapter.validate_python(json.loads(text))
