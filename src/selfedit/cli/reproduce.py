"""`reproduce`: published tables, one command each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.options import Json, Model, Output, Set
from selfedit.cli.running import new_folder, print_json, resumable
from selfedit.errors import InputError
from selfedit.report import write_report
from selfedit.reproduce import TABLES
from selfedit.reproduce.options import Options


def reproduce(
    name: Annotated[str, typer.Argument(help=f"which table: {', '.join(TABLES)}")],
    model: Model = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", help="the folder of SEAL's released data, for the tables made from it; arc: practice tasks"
        ),
    ] = None,
    tasks: Annotated[
        Path | None, typer.Option("--tasks", help="arc: a challenges file or a folder of tasks to be examined on")
    ] = None,
    output: Output = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Run a published experiment and print its table.

    Example: selfedit reproduce almanac --json

    Example: selfedit reproduce prompts --model path/to/Qwen2.5-7B
    """
    if name not in TABLES:
        raise InputError(f"there is no table {name!r}; the tables are {', '.join(TABLES)}")
    folder, sets = output or new_folder(f"reproduce-{name}"), overrides or []
    given = {"--model": model, "--data": data, "--tasks": tasks, "--output": folder}
    again = [str(word) for option, value in given.items() if value for word in (option, value)]
    with (
        resumable("reproduce", name, *again, *(word for text in sets for word in ("--set", text))),
        screen.bars() as progress,
    ):
        summary = TABLES[name].run(Options(name, folder, progress, write_report, tuple(sets), model, data, tasks))
    if json:
        return print_json(summary)
    for table in TABLES[name].tables(summary):
        screen.print_table(table)
