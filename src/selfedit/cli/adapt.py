"""`adapt`: teach a model some documents and get a PEFT adapter."""

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
    Set,
    config_from,
)
from selfedit.cli.running import finish, start_and_finish
from selfedit.config.presets import DEFAULT
from selfedit.errors import InputError
from selfedit.store import Run
from selfedit.workflows.documents import documents_with_questions
from selfedit.workflows.history import add_documents
from selfedit.workflows.updates import update_folder


def adapt(
    documents: Annotated[list[Path], typer.Argument(help=DOCUMENTS, metavar="DOC")],
    model: Model = None,
    questions: Questions = None,
    include: Include = "",
    policy: Annotated[Path | None, typer.Option("--policy", help="write notes with this trained run's policy")] = None,
    reinforce: Annotated[
        int,
        typer.Option("--reinforce", min=0, max=1000, help="rounds of reinforcement by questions that the model writes"),
    ] = 0,
    into: Annotated[
        Path | None, typer.Option("--into", help="the run that goes on learning: these documents come after its own")
    ] = None,
    preset: Preset = DEFAULT,
    gentle: Annotated[
        bool, typer.Option("--gentle", help="--preset gentle: smaller steps, and chat is replayed meanwhile")
    ] = False,
    overrides: Set = None,
    memory: Memory = None,
    output: Output = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Teach a model documents: it writes notes on them, and one LoRA adapter learns the notes and the text.

    Without questions the model writes its own, keeps those that it can answer only with the text before it, and is
    examined on half of them; the other half is for --reinforce, and no report sees it.

    Example: selfedit adapt handbook.md --model path/to/model --questions handbook_questions.json -o runs/handbook

    Example: selfedit adapt appendix.md --into runs/handbook
    """
    taught = documents_with_questions(documents, questions, include)
    if into:
        if model or policy or reinforce or overrides or output or dry_run or gentle or preset != DEFAULT:
            raise InputError("--into goes on under the settings of that run; leave out the other options")
        with Run.resume(into) as run:
            if not add_documents(run, taught):
                screen.err.print(f"{run.path} has these documents already; nothing is taught twice.", soft_wrap=True)
            return finish(run, json)
    folder = str(update_folder(policy)) if policy else None
    config = config_from(
        model,
        overrides,
        memory=memory,
        dry_run=dry_run,
        own_documents=True,
        needs_model=True,
        preset="gentle" if gentle else preset,
        outer__rounds=reinforce,
        outer__policy=folder,
    )
    start_and_finish("adapt", "adapt", output, config, {"documents": taught}, json)
