"""`runs list` and `runs show`: what there is, and how far it got."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from selfedit.cli import screen
from selfedit.cli.common import RUNS, Json, print_json
from selfedit.errors import InputError
from selfedit.store import Run, read_json

app = typer.Typer(help="List the runs here, or show one.", no_args_is_help=True)


@app.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(help="where the runs are", metavar="FOLDER")] = RUNS, json: Json = False
) -> None:
    """Every run in a folder, with how far it got.

    Example: selfedit runs list
    """
    rows = [_row(path.parent) for path in sorted(folder.glob("*/config.json"))]
    if json:
        return print_json(rows)
    table = Table(title=f"Runs in {folder}", title_justify="left")
    for name in ("run", "command", "model", "trials", "state"):
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(row[column]) for column in ("run", "command", "model", "trials", "state")))
    screen.out.print(table if rows else f"no runs in {folder}; `selfedit demo` makes one")


def _row(path: Path) -> dict[str, Any]:
    """A damaged run has its row too: it must not hide the others."""
    try:
        with Run.open(path) as run:
            config, trials = run.config, sum(len(wave.trials) for wave in run.waves())
        state = "finished" if (path / "report.html").exists() else "can be resumed"
    except InputError:
        config, trials, state = {}, 0, "damaged"
    model = config.get("model")
    name = model.get("name") if isinstance(model, dict) else None
    return {"run": str(path), "command": config.get("command"), "model": name, "trials": trials, "state": state}


@app.command("show")
def show(path: Annotated[Path, typer.Argument(help="the run's folder", metavar="RUN")], json: Json = False) -> None:
    """One run: its stages, its scores, and where its report is.

    Example: selfedit runs show runs/demo-1
    """
    with Run.open(path) as run:
        metrics = run.metrics()
    scores = path / "summary.json"
    summary = read_json(scores) if scores.exists() else {}
    if json:
        return print_json({"config": run.config, "stages": metrics, "summary": summary})
    screen.out.print(_stages(path, metrics))
    if summary:
        screen.out.print(screen.score_table(summary, "Closed-book answers"))
    report = path / "report.html"
    screen.out.print(f"Report: {report}" if report.exists() else f"Not finished. Go on with: selfedit resume {path}")


def _stages(path: Path, metrics: list[dict[str, Any]]) -> Table:
    columns = ("stage", "trials", "mean_reward", "policy_failures", "system_failures", "trained_tokens", "seconds")
    table = screen.narrow_table(f"{path}", *(name.replace("_", "\n") for name in columns))
    for row in metrics:
        reward = "" if row["mean_reward"] is None else f"{row['mean_reward']:+.3f}"
        table.add_row(*(reward if name == "mean_reward" else str(row[name]) for name in columns))
    return table
