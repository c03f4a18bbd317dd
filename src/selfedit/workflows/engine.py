"""How a config becomes an engine: the one that it names, in one process or in several."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from selfedit.config import Config
from selfedit.domains.knowledge.reader import split
from selfedit.engines import ENGINES
from selfedit.engines.cores import cores
from selfedit.engines.start import processes_for, threads_for
from selfedit.errors import InputError
from selfedit.plugins import lookup
from selfedit.protocols import Engine, Progress, silent
from selfedit.types import BASE, Failure, Prompt, Task, Update
from selfedit.workflows.build import make_domain
from selfedit.workflows.updates import update_folder

log = logging.getLogger(__name__)


def machine_of(config: Config, parallel: bool) -> dict[str, int]:
    """What a run takes from the machine where its config leaves it open, and the cores there are."""
    model = config.model
    processes = processes_for(model) if parallel else 1
    return {"processes": processes, "threads": threads_for(model), "cores": cores()}


@contextmanager
def open_engine(
    config: Config, progress: Progress = silent, tasks: Sequence[Task] = (), parallel: bool = False
) -> Iterator[Engine]:
    """The engine of the config's model. `tasks`: those of the run, for an engine that has no model.

    `parallel`: in as many processes as the config says, for work that trains many adapters. Raises InputError.
    """
    factory = lookup(ENGINES, config.model.engine, "model.engine")
    processes = processes_for(config.model) if parallel else 1
    opened = factory(
        config.model, max_adapters=config.max_adapters, processes=processes, tasks=tasks, progress=progress
    )
    with opened as engine:
        yield engine


def load_update(engine: Engine, folder: str | Path | None) -> Update:
    """The update in a folder or a run, or the base model where none is named."""
    return engine.load(update_folder(Path(folder))) if folder else BASE


def splitter(config: Config, engine: Engine) -> Callable[[Task], list[Task]]:
    """What cuts a document into passages, where it would not leave room for notes in the model's context."""
    domain, reserve = make_domain(config), config.outer.sampling.max_new_tokens

    def fits(title: str, text: str) -> bool:
        return not any(engine.fits(domain.prompts(Task("", title, text)), reserve))

    return lambda document: split(replace(document, questions=()), fits)


def leave_out_too_long(
    tasks: Sequence[Task], engine: Engine, prompts: Callable[[Task], Sequence[Prompt]], needed: int | None = None
) -> tuple[list[Task], list[str]]:
    """The tasks of which the model can read every prompt that `prompts` gives, and a remark on the others, if any.

    `needed`: how many will be used, all where it is None; the rest is taken unseen. The remark is logged, too.
    Raises InputError where no task is left.
    """
    kept, refused, seen = list[Task](), list[tuple[Task, Failure]](), 0
    while seen < len(tasks) and (needed is None or len(kept) < needed):
        asked = tasks[seen : None if needed is None else seen + needed - len(kept)]
        seen += len(asked)
        failed = first_refusals(asked, engine, prompts)
        kept += [task for task, failure in zip(asked, failed, strict=True) if failure is None]
        refused += [(task, failure) for task, failure in zip(asked, failed, strict=True) if failure]
    if not refused:
        return list(tasks), []
    task, failure = refused[0]
    about = f"passage {task.title!r} is too long: {failure.message}"
    if not kept:
        raise InputError(f"{about}; shorten or cut it, or choose a model with a longer context")
    remark = f"{len(refused)} of {seen} passages left out, being too long for the model: {about}"
    log.warning("%s", remark)
    return [*kept, *tasks[seen:]], [remark]


def first_refusals(
    tasks: Sequence[Task], engine: Engine, prompts: Callable[[Task], Sequence[Prompt]]
) -> list[Failure | None]:
    """Of each task why the first prompt that the model cannot read is none for it; None where it can read all."""
    asked = [list(dict.fromkeys(prompts(task))) for task in tasks]
    found = iter(engine.fits([prompt for of_task in asked for prompt in of_task]))
    return [next((f for f in [next(found) for _ in of_task] if f), None) for of_task in asked]
