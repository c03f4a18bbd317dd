"""`eval`, `ask` and `cost`: what an update knows, and what it costs."""

from __future__ import annotations

from collections.abc import Sequence
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.options import Json, Model, Set, config_from
from selfedit.cli.running import print_json
from selfedit.config import Config
from selfedit.errors import InputError
from selfedit.types import BASE
from selfedit.workflows.cost import cost_of, read_checks
from selfedit.workflows.engine import open_engine
from selfedit.workflows.evaluate import ask as ask_update
from selfedit.workflows.evaluate import evaluate as evaluate_update
from selfedit.workflows.updates import base_of, folder_of, settings_of

UpdateFolder = Annotated[Path, typer.Argument(help="a run, a PEFT adapter directory, or `base`", metavar="UPDATE")]


def named_update(
    update: Path, model: str | None, overrides: Sequence[str] | None, needs_model: bool = False
) -> tuple[Path | None, Config]:
    """The folder of the update that a person names, None for the base model, and the config to ask it by: that of its
    run, with the model that it was trained on, and over these what the command's options say.
    """
    folder = folder_of(update)
    base = settings_of(folder)
    named = model or base_of(folder)
    return folder, config_from(named, overrides, own_documents=True, needs_model=needs_model, base=base)


def evaluate(
    update: UpdateFolder,
    data: Annotated[Path, typer.Option("--data", "-d", help="tasks with questions, JSON in SEAL's layout")],
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """The closed-book score of an update: every question, without the passages.

    Example: selfedit eval runs/handbook --data handbook_passages.json
    """
    folder, config = named_update(update, model, overrides, needs_model=True)
    with screen.bars() as progress, open_engine(config, progress) as engine:
        found = evaluate_update(config, engine, folder, data, f"{update} on {data.name}")
    if json:
        answers = {task.id: list(score.answers) for task, score in zip(found.tasks, found.scores, strict=True)}
        return print_json({**found.summary.to_json(), "answers": answers})
    screen.show(found.summary)


def cost(
    update: UpdateFolder,
    instructions: Annotated[
        Path | None, typer.Option("--instructions", help="prompts in IFEval's layout, JSON lines")
    ] = None,
    multiple_choice: Annotated[
        list[Path] | None,
        typer.Option("--multiple-choice", help="questions with choices, JSON lines; may be named several times"),
    ] = None,
    neutral: Annotated[Path | None, typer.Option("--neutral", help="texts about anything else, JSON or text")] = None,
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """What an update costs the rest of the model: instructions followed, the form of answers, general ability, text.

    Without files the package's own small sets are measured, all of them; with files only what they are for. The base
    model and the update are asked the same, and differences are paired.

    Example: selfedit cost runs/handbook

    Example: selfedit cost runs/handbook --instructions ifeval.jsonl --set cost.max_new_tokens=1280
    """
    if str(update) == BASE.id:
        raise InputError("the base model costs nothing: name a run, or an adapter directory")
    named = {"instructions": instructions, "multiple_choice": multiple_choice, "neutral": neutral}
    chosen = [f"cost.{key}={dumps(value, default=str)}" for key, value in named.items() if value]
    checks = [key for key, value in named.items() if value] or list(named)
    checks += ["chat_format"] if "instructions" in checks else []
    settings = [*chosen, f"cost.checks={dumps(checks)}", *(overrides or [])]
    folder, config = named_update(update, model, settings, needs_model=True)
    assert folder
    read_checks(config.cost)  # a file that is wrong is told before a model is loaded
    with screen.bars() as progress, open_engine(config, progress) as engine:
        summary, found = cost_of(config, engine, folder, progress)
    if json:
        return print_json({**summary.to_json(), "answers": found.answers})
    screen.show(summary)


def ask(
    update: UpdateFolder,
    question: Annotated[str | None, typer.Argument(help="what to ask, without the document")] = None,
    topic: Annotated[str, typer.Option("--topic", help="the title of the document it is about")] = "",
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Ask an update a question, closed book, as the exams do.

    Example: selfedit ask runs/handbook "How many days of leave are there?" --topic Handbook
    """
    if question is None:
        raise InputError(f"there is no question: add it, or ask many in a row with selfedit chat {update}")
    folder, config = named_update(update, model, overrides)
    with open_engine(config) as engine:
        answer = ask_update(config, engine, folder, question, topic)
    if json:
        return print_json({"question": question, "answer": answer})
    screen.out.print(answer or "(blank)")
