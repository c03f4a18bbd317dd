"""`init` and `doctor`: before a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from selfedit.bench.needs import needs, shape_of
from selfedit.cli import screen
from selfedit.cli.common import Json, Model, Set, make_config, make_engine, print_json
from selfedit.config import Config
from selfedit.config.toml import to_toml
from selfedit.domains.knowledge.domain import build_documents
from selfedit.domains.knowledge.reader import read_documents
from selfedit.errors import InputError, ModelAbsent, Refused
from selfedit.protocols import silent
from selfedit.store import write_whole
from selfedit.types import BASE, Example, Job, Task, Update
from selfedit.workflows.endpoints import reached, used
from selfedit.worlds.almanac import world

if TYPE_CHECKING:
    from selfedit.engines.local.engine import LocalEngine

NOTES = "It is here.\nIt is this."
"""Stand-in notes for the estimate: what the policy will write is not known before it has."""


def init(
    path: Annotated[Path, typer.Argument(help="where to write it", metavar="CONFIG.toml")] = Path("selfedit.toml"),
    model: Model = None,
) -> None:
    """Write a commented config with every key.

    Example: selfedit init my.toml --model path/to/model
    """
    if path.exists():
        raise Refused(f"{path} exists already; choose another name or remove it")
    text = to_toml(make_config(model, []))
    try:
        write_whole(path, text)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from None
    screen.out.print(f"{path} written. Set data.train and data.eval in it, then: selfedit train {path}", soft_wrap=True)


def doctor(
    documents: Annotated[list[Path] | None, typer.Argument(help="documents to be taught", metavar="DOC")] = None,
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Check a model before training it: device, memory, what will be trained, and an estimate of the time.

    A judge, a rubric or a teacher that the config uses is asked whether it answers.

    Shows three training documents as the model will read them; only the marked tokens are learned. Of a model that is
    not here and cannot be fetched it says what it needs, if its sizes are known.

    Example: selfedit doctor handbook.md --model path/to/model
    """
    config = make_config(model, overrides)
    tasks = read_documents(documents) if documents else world.tasks("practice", 3, config.seed)
    answering = {role: reached(config, role) for role in used(config)}
    try:
        engine = make_engine(config, silent)
    except ModelAbsent as error:
        return _print_facts({**from_sizes(config, error), **answering}, json)
    _print_facts({**engine.describe(config.inner.recipe()), **estimate(engine, config, tasks[0]), **answering}, json)
    if not json:
        for document in _three_documents(tasks):
            screen.out.print(shown(engine, Example("", document)))


def _print_facts(facts: dict[str, Any], json: bool) -> None:
    if json:
        return print_json(facts)
    for name, value in facts.items():
        screen.out.print(f"{name:<22} {value}", soft_wrap=True)


def from_sizes(config: Config, absent: ModelAbsent) -> dict[str, Any]:
    """What a model would need that is not here. Raises `absent` again where its sizes are unknown."""
    shape = shape_of(config.model.name)
    if not shape:
        raise absent
    return {
        **needs(shape, config),
        "estimate": "all this is an estimate from the model's sizes; nothing was loaded, and no time was measured",
        "weights": f"not here: {absent}",
    }


def estimate(engine: LocalEngine, config: Config, task: Task) -> dict[str, Any]:
    """Seconds per self-edit, measured: one adapter trained for one epoch on a stand-in edit of this task."""
    recipe = config.inner.model_copy(update={"epochs": 1}).recipe()
    documents = build_documents(task.title, task.context, NOTES)
    job = Job(BASE, tuple(Example("", text) for text in documents), recipe, seed=0)
    engine.release([done for done in engine.train([job]) if isinstance(done, Update)])  # the first call also imports
    began = time.monotonic()
    engine.train([job])
    seconds = (time.monotonic() - began) * config.inner.epochs
    together = "" if recipe.method == "full" else f" trained alone; less in a wave of {config.wave}"
    return {"seconds per edit": f"about {seconds:.2f}{together}"}


def _three_documents(tasks: list[Task]) -> list[str]:
    documents = [text for task in tasks for text in build_documents(task.title, task.context, NOTES)]
    return documents[:3]


def shown(engine: LocalEngine, example: Example) -> Text:
    """The tokens of a training document, those the loss falls on underlined, a bar between tokens."""
    text = Text("\n")
    for row in engine.text.rows(example):
        for position, token in enumerate(row.ids):
            piece = str(engine.text.tokenizer.decode([token])).replace("\n", "⏎")
            text.append(piece, style="underline green" if position >= max(row.start, 1) else "dim")
            text.append("│", style="dim")
    return text
