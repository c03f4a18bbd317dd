"""`reproduce`: published tables, one command each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from selfedit.cli import screen
from selfedit.cli.common import (
    Json,
    Output,
    Set,
    make_config,
    new_folder,
    print_json,
    resumable,
    start_run,
)
from selfedit.cli.experiments import read_data, run_and_report
from selfedit.errors import InputError
from selfedit.evaluate import across_seeds
from selfedit.experiment import Result

SEEDS, PASSAGES, ROUNDS, PER_ROUND = 3, 200, 3, 100


def almanac(output: Path | None, overrides: list[str]) -> dict[str, Any]:
    """SEAL's single-passage table on the embedded model: 3 seeds, 200 unseen passages, 3 rounds of 100 passages."""
    folder, results = output or new_folder("reproduce-almanac"), list[Result]()
    again = ["reproduce", "almanac", "--output", folder, *(word for text in overrides for word in ("--set", text))]
    sizes = [f"data.eval_passages={PASSAGES}", f"outer.rounds={ROUNDS}", f"outer.passages_per_round={PER_ROUND}"]
    for seed in range(SEEDS):
        config = make_config("almanac", ["data.eval=almanac", *sizes, f"seed={seed}", *overrides])
        tasks = read_data(config)
        with resumable(*again), start_run("reproduce", folder / f"seed-{seed}", config, tasks) as run:
            results.append(run_and_report(run, config, tasks))
    table = across_seeds([result.trials for result in results])
    for name in results[0].trials:
        table[name]["seconds"] = sum(result.summary[name]["seconds"] for result in results) / SEEDS
    return {**table, "seconds": sum(result.summary["seconds"] for result in results)}


TABLES: dict[str, Callable[[Path | None, list[str]], dict[str, Any]]] = {"almanac": almanac}


def reproduce(
    name: Annotated[str, typer.Argument(help=f"which table: {', '.join(TABLES)}")],
    output: Output = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Run a published experiment and print its table.

    Example: selfedit reproduce almanac --json
    """
    if name not in TABLES:
        raise InputError(f"there is no table {name!r}; the tables are {', '.join(TABLES)}")
    summary = TABLES[name](output, overrides or [])
    if json:
        print_json(summary)
    else:
        screen.out.print(screen.score_table(summary, TABLES[name].__doc__ or name))
        screen.out.print(screen.gain(summary["rl_gain"]))
