"""How a config becomes an engine: the one that it names, in one process or in several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from selfedit.config import Config
from selfedit.domains.knowledge.reader import split
from selfedit.engines import ENGINES
from selfedit.engines.start import usual_processes
from selfedit.errors import InputError
from selfedit.plugins import lookup
from selfedit.protocols import Engine, Progress, silent
from selfedit.types import BASE, Task, Update
from selfedit.workflows.build import make_domain
from selfedit.workflows.updates import update_folder


@contextmanager
def open_engine(
    config: Config, progress: Progress = silent, tasks: Sequence[Task] = (), parallel: bool = False
) -> Iterator[Engine]:
    """The engine of the config's model. `tasks`: those of the run, for an engine that has no model.

    `parallel`: in as many processes as the config says, for work that trains many adapters. Raises InputError.
    """
    factory = lookup(ENGINES, config.model.engine, "model.engine")
    processes = (config.model.processes or usual_processes(config.model)) if parallel else 1
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
        return engine.fits([domain.prompt(Task("", title, text))], reserve)[0] is None

    return lambda document: split(replace(document, questions=()), fits)


def refuse_too_long(tasks: Sequence[Task], engine: Engine, prompts: Callable[[Task], Sequence[str]]) -> None:
    """Raises InputError for the first task with a prompt, of those that `prompts` gives, that the model cannot read."""
    asked = [(task, prompt) for task in tasks for prompt in dict.fromkeys(prompts(task))]
    for (task, _), refused in zip(asked, engine.fits([prompt for _, prompt in asked]), strict=True):
        if refused:
            raise InputError(
                f"passage {task.title!r} is too long: {refused.message}; shorten or cut it, or choose a model with a "
                "longer context"
            )
