"""`runs list` and `runs show`: what there is, and how far it got."""

from __future__ import annotations

from json import loads
from pathlib import Path
from typing import Annotated, Any

import typer

from selfedit.cli import screen
from selfedit.cli.options import Json, RunFolder
from selfedit.cli.running import RUNS, print_json
from selfedit.results import Table, TextTable, score_table
from selfedit.store import REPORT, Run, list_runs
from selfedit.workflows.configure import config_of, domain_type

app = typer.Typer(help="List the runs here, or show one.", no_args_is_help=True)

_COLUMNS = ("run", "date", "command", "document", "score", "model", "state")
_STAGE = ("stage", "trials", "mean_reward", "policy_failures", "system_failures", "trained_tokens", "seconds")


@app.command("list")
def list_(
    folder: Annotated[Path, typer.Argument(help="where the runs are", metavar="FOLDER")] = RUNS, json: Json = False
) -> None:
    """Every run in a folder, with how far it got.

    Example: selfedit runs list
    """
    rows = list_runs(folder)
    if json:
        return print_json(rows)
    if not rows:
        return screen.out.print(f"no runs in {folder}; `selfedit demo` makes one")
    cells = [tuple(_cell(row[column]) for column in _COLUMNS) for row in rows]
    screen.print_table(TextTable(f"Runs in {folder}", _COLUMNS, cells))


@app.command("show")
def show(path: RunFolder, json: Json = False) -> None:
    """One run: its stages, its scores, and where its report is.

    Example: selfedit runs show runs/demo-1
    """
    with Run.open(path) as run:
        metrics, words, is_finished = run.metrics(), domain_type(config_of(run)).words, run.is_finished
        summary: dict[str, Any] = loads(run.read_text("summary.json") or "{}")
    if json:
        return print_json({"config": run.config, "stages": metrics, "summary": summary})
    cells = [
        tuple(_reward(row[name]) if name == "mean_reward" else str(row[name]) for name in _STAGE) for row in metrics
    ]
    screen.print_table(TextTable(str(path), [name.replace("_", "\n") for name in _STAGE], cells))
    if (table := Table.from_json(summary)).rows:
        screen.print_table(score_table(table, words, words.title))
    report = f"Report: {path / REPORT}"
    screen.out.print(report if is_finished else f"Not finished. Go on with: selfedit resume {path}")


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.1%}" if isinstance(value, float) else str(value)


def _reward(value: float | None) -> str:
    return "" if value is None else f"{value:+.3f}"
