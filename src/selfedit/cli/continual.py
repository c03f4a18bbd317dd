"""`continual`, `rollback` and `forget`: a model that goes on learning, and can take it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.options import (
    DOCUMENTS,
    DryRun,
    Include,
    Json,
    Memory,
    Model,
    Output,
    Preset,
    Questions,
    RunFolder,
    Set,
    config_from,
)
from selfedit.cli.running import finish, start_and_finish
from selfedit.config.presets import DEFAULT
from selfedit.store import Run
from selfedit.workflows.documents import documents_with_questions
from selfedit.workflows.history import forget as forget_document
from selfedit.workflows.history import rollback as roll_back
from selfedit.workflows.stream import almanac_streams, document_tasks
from selfedit.workflows.updates import update_folder


def continual(
    documents: Annotated[
        list[Path] | None, typer.Argument(help=f"{DOCUMENTS}; none: the almanac", metavar="DOC")
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            "-k",
            help="sequential, replay, self_distill, olora, ewc, gate, bank, consolidate; several with commas",
        ),
    ] = None,
    model: Model = None,
    questions: Questions = None,
    include: Include = "",
    control: Annotated[
        Path | None, typer.Option("--control", help="passages with questions that are never taught, JSON")
    ] = None,
    neutral: Annotated[
        Path | None, typer.Option("--neutral", help="texts that are about none of it: a JSON list, or a file")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="begin with this trained run's policy")] = None,
    preset: Preset = DEFAULT,
    overrides: Set = None,
    memory: Memory = None,
    output: Output = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Learn documents one after another, and see after each what is still known of the earlier ones.

    Without documents it learns streams of almanac passages (continual.streams, continual.tasks), to compare methods.

    Example: selfedit continual --method replay,gate --set continual.streams=4 --set continual.tasks=8

    Example: selfedit continual january.md february.md march.md --model path/to/model -o runs/year
    """  # fmt: skip
    config = config_from(
        model,
        overrides,
        memory=memory,
        dry_run=dry_run,
        own_documents=bool(documents),
        needs_model=bool(documents),
        preset=preset,
        continual__methods=method.split(",") if method else None,
        continual__neutral=str(neutral) if neutral else None,
        outer__policy=str(update_folder(policy)) if policy else None,
    )
    if documents:
        tasks = document_tasks(config, documents_with_questions(documents, questions, include), control)
    else:
        tasks = almanac_streams(config)
    start_and_finish("stream", "continual", output, config, tasks, json)


def rollback(
    path: RunFolder,
    step: Annotated[int, typer.Argument(min=0, help="how many documents it should have learned", metavar="STEP")],
    json: Json = False,
) -> None:
    """Take a run back to what it was after so many documents, to the bit; it goes on learning from there.

    Example: selfedit rollback runs/year 2
    """
    with Run.resume(path) as run:
        gone = ", ".join(repr(document.title) for document in roll_back(run, step))
        screen.err.print(f"Back to step {step}; taken back: {gone or 'nothing that was not before'}.", soft_wrap=True)
        finish(run, json)


def forget(
    path: RunFolder,
    document: Annotated[str, typer.Argument(help="its title, or its id", metavar="DOCUMENT")],
    json: Json = False,
) -> None:
    """Make a run as if it had never learned this document, and check that it is gone.

    A bank drops the document's adapter, which no other has seen. Other methods learn what came after it once more,
    without it: what is left is to the bit what a run without the document would have made.

    Example: selfedit forget runs/year "February"
    """
    with Run.resume(path) as run:
        gone = forget_document(run, document)
        checked = any(task.questions for task in gone)
        asked = "its questions are asked again" if checked else "it has no questions to check"
        titles = ", ".join(repr(task.title) for task in gone)
        screen.err.print(f"Forgotten: {titles}; {asked}.", soft_wrap=True)
        finish(run, json)
