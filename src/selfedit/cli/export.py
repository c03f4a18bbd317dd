"""`export`: an update for other programs."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.options import Json, Model, Set
from selfedit.cli.running import print_json
from selfedit.cli.updates import UpdateFolder
from selfedit.workflows.export import Wanted
from selfedit.workflows.export import export as export_update


def export(
    update: UpdateFolder,
    merged: Annotated[Path | None, typer.Option(help="a Hugging Face directory, the update in its weights")] = None,
    peft: Annotated[Path | None, typer.Option(help="a PEFT adapter directory over the base")] = None,
    gguf: Annotated[Path | None, typer.Option(help="a file for llama.cpp, made by its converter")] = None,
    ollama: Annotated[Path | None, typer.Option(help="a merged directory with a Modelfile for Ollama")] = None,
    dtype: Annotated[
        str, typer.Option(help="of the weights: float32, bfloat16, float16; left out: as they were examined")
    ] = "",
    base: Annotated[str, typer.Option(help="what the adapter calls its base, such as a hub id")] = "",
    llama_cpp: Annotated[Path | None, typer.Option(help="the source of llama.cpp; left out: $LLAMA_CPP")] = None,
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Write an update for other programs, checked against the model that was examined.

    What was written is loaded again, and its greedy answers to questions of the run's exam are compared in float32,
    token by token; where they differ nothing is kept.

    Example: selfedit export runs/handbook --merged handbook-model --ollama handbook-ollama
    """
    wanted = Wanted(merged, peft, gguf, ollama, dtype, base, llama_cpp)
    with screen.bars() as progress:
        exported, remarks = export_update(update, wanted, model, overrides or (), progress)
    if json:
        return print_json(
            {"exported": [{**asdict(one), "path": str(one.path)} for one in exported], "remarks": remarks}
        )
    for one in exported:
        same = "all" if not one.ties else f"all but {one.ties} (ties within rounding) of"
        screen.out.print(
            f"{one.form.capitalize()}: {one.path} ({one.dtype}); checked: {same} {one.answers} answers are those of "
            f"the model that was examined, to the token; log-probabilities differ by at most {one.max_gap:g} nats",
            soft_wrap=True,
        )
    for remark in remarks:
        screen.out.print(remark, soft_wrap=True)
