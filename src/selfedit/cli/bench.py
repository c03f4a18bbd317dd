"""`bench`: how fast the inner loop is, beside the usual ways."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from selfedit.bench.page import measure
from selfedit.bench.plan import BenchOptions
from selfedit.bench.shapes import SHAPES, shape_named
from selfedit.bench.table import remarks, tables
from selfedit.cli import screen
from selfedit.cli.options import Json
from selfedit.cli.running import print_json

Names = Annotated[list[str] | None, typer.Option("--shape", help=f"which model: {', '.join(SHAPES)}; can be repeated")]
Device = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:1")]
Adapters = Annotated[
    list[int] | None, typer.Option("--adapters", help="how many the engine trains at once; can be repeated")
]
BaselineEdits = Annotated[int | None, typer.Option("--baseline-edits", help="edits of the Trainer and of plain PEFT")]
SealEdits = Annotated[int | None, typer.Option("--seal-edits", help="edits of SEAL's recipe; 0 leaves it out")]
Rank = Annotated[int | None, typer.Option("--rank", help="of every adapter; alpha follows")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="over each edit's documents")]
Rate = Annotated[float | None, typer.Option("--learning-rate", help="at the first step")]
Edits = Annotated[
    Path | None, typer.Option("--edits", help="passages with questions and completions, JSON as SEAL released them")
]


def bench(
    names: Names = None,
    device: Device = "auto",
    adapters: Adapters = None,
    baseline_edits: BaselineEdits = None,
    seal_edits: SealEdits = None,
    rank: Rank = None,
    epochs: Epochs = None,
    learning_rate: Rate = None,
    edits: Edits = None,
    json: Json = False,
) -> None:
    """Measure the inner loop: this engine beside SEAL's recipe, the Hugging Face Trainer and plain PEFT.

    All train on the same edits with the same recipe and answer the same questions, in one run. Shapes other than
    `embedded` have random weights. On two cores: embedded about 4 minutes, smollm2-135m 3, qwen2.5-0.5b 5.

    Example: selfedit bench --json

    Example: selfedit bench --shape smollm2-135m --shape qwen2.5-0.5b

    Example: selfedit bench --device cuda --shape qwen2.5-7b --adapters 8 --adapters 32 --rank 32 --epochs 10
    """
    chosen = names or ["embedded"]
    options = BenchOptions(
        device, tuple(adapters or ()), baseline_edits, seal_edits, rank, epochs, learning_rate, edits
    )
    with screen.bars() as progress:
        result = measure(chosen, options, progress)
    if json:
        return print_json(result)
    for name in chosen:
        _show(name, result[shape_named(name).key])


def _show(name: str, result: dict[str, Any]) -> None:
    for table in tables(name, result):
        screen.print_table(table)
    for remark in remarks(result):
        screen.out.print(remark, soft_wrap=True)
