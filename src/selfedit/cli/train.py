"""`demo`, `train` and `resume`: both loops, a table, and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import screen
from selfedit.cli.options import DryRun, Json, Memory, Model, Output, Preset, RunFolder, Set, config_from
from selfedit.cli.running import finish, start_and_finish
from selfedit.config.presets import DEFAULT
from selfedit.errors import InputError
from selfedit.store import Run
from selfedit.workflows.data import read_data
from selfedit.workflows.updates import update_folder

ConfigFile = Annotated[
    Path | None, typer.Argument(help="a TOML file; `selfedit init` writes one", metavar="CONFIG.toml")
]


BUDGETS = (150, 300)
"""Trained tokens a passage beside the recipe's own, for the demo's curve."""

PER_ROUND = 40
"""Passages of a round of the demo, fewer than the recipe's, so that it takes three minutes."""


def demo(
    output: Output = None, overrides: Set = None, memory: Memory = None, dry_run: DryRun = False, json: Json = False
) -> None:
    """Watch the embedded model teach itself, in about three minutes.

    It reads passages about invented people and places, writes notes, learns from them, answers without the passage, and
    is reinforced to write better notes. The table at the end is on passages that it was never reinforced on.

    Example: selfedit demo -o runs/demo
    """
    config = config_from(
        "almanac",
        overrides,
        memory=memory,
        dry_run=dry_run,
        data__eval="almanac",
        exam__budgets=list(BUDGETS),
        outer__tasks_per_round=PER_ROUND,
    )
    screen.err.print("A language model of one million parameters teaches itself. It has seen none of these passages.")
    start_and_finish("train", "demo", output, config, read_data(config), json)


def train(
    config: ConfigFile = None,
    data: Annotated[Path | None, typer.Option("--data", help="tasks with questions, JSON in SEAL's layout")] = None,
    evaluation: Annotated[Path | None, typer.Option("--eval", help="other tasks, for the final table")] = None,
    model: Model = None,
    policy: Annotated[
        Path | None, typer.Option("--policy", help="go on from this trained run's policy, or from an adapter")
    ] = None,
    preset: Preset = DEFAULT,
    overrides: Set = None,
    memory: Memory = None,
    output: Output = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Reinforce a model's note writing on passages with questions (SEAL's outer loop).

    Example: selfedit train --data squad_train.json --eval squad_val.json --model path/to/model

    Example: selfedit train config.toml --set outer.rounds=3
    """
    if not config and not data and not any(one.startswith("data.train=") for one in overrides or ()):
        raise InputError("train needs passages: a config file, or --data passages.json")
    train_file, eval_file = (str(path) if path else None for path in (data, evaluation))
    made = config_from(
        model,
        overrides,
        config,
        memory,
        dry_run,
        needs_model=bool(data or evaluation),
        preset=preset,
        data__train=train_file,
        data__eval=eval_file,
        outer__policy=str(update_folder(policy)) if policy else None,
    )
    start_and_finish("train", "train", output, made, read_data(made), json)


def resume(run: RunFolder, json: Json = False) -> None:
    """Go on with a run that was stopped; what it had finished is not done again.

    Example: selfedit resume runs/demo-1
    """
    with Run.resume(run) as opened:
        finish(opened, json)
