"""`eval` and `ask`: what an update knows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.options import Json, Model, Set, config_from
from selfedit.cli.running import print_json
from selfedit.workflows.engine import open_engine
from selfedit.workflows.evaluate import ask as ask_update
from selfedit.workflows.evaluate import evaluate as evaluate_update
from selfedit.workflows.updates import base_of, folder_of

UpdateFolder = Annotated[Path, typer.Argument(help="a run, a PEFT adapter directory, or `base`", metavar="UPDATE")]


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
    folder = folder_of(update)
    config = config_from(model or base_of(folder), overrides, own_documents=True, needs_model=True)
    with screen.bars() as progress, open_engine(config, progress) as engine:
        found = evaluate_update(config, engine, folder, data, f"{update} on {data.name}")
    if json:
        answers = {task.id: list(score.answers) for task, score in zip(found.tasks, found.scores, strict=True)}
        return print_json({**found.summary.to_json(), "answers": answers})
    screen.show(found.summary)


def ask(
    update: UpdateFolder,
    question: Annotated[str, typer.Argument(help="what to ask, without the document")],
    topic: Annotated[str, typer.Option("--topic", help="the title of the document it is about")] = "",
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Ask an update a question, closed book.

    Example: selfedit ask runs/handbook "How many days of leave are there?" --topic Handbook
    """
    folder = folder_of(update)
    config = config_from(model or base_of(folder), overrides, own_documents=True)
    with open_engine(config) as engine:
        answer = ask_update(config, engine, folder, question, topic)
    if json:
        return print_json({"question": question, "answer": answer})
    screen.out.print(answer or "(blank)")
