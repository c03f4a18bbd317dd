"""`demo`, `train` and `resume`: the commands that run both loops and end with a table and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from selfedit.almanac import world
from selfedit.cli import adapt, screen
from selfedit.cli.common import (
    Json,
    Model,
    Output,
    Set,
    config_of,
    make_config,
    make_engine,
    print_json,
    resumable,
    start_run,
    tasks_of,
)
from selfedit.config import Config
from selfedit.domains.passages import read_tasks
from selfedit.errors import InputError
from selfedit.experiment import Result, run_experiment
from selfedit.store import Run
from selfedit.types import Task

ALMANAC_PASSAGES = 60
"""How many unseen almanac passages are evaluated where the config does not say."""

ConfigFile = Annotated[
    Path | None, typer.Argument(help="a TOML file; `selfedit init` writes one", metavar="CONFIG.toml")
]


def demo(output: Output = None, overrides: Set = None, json: Json = False) -> None:
    """Watch the embedded model teach itself, in about two minutes.

    It reads passages about invented people and places, writes notes, learns from them, answers without the passage, and
    is reinforced to write better notes. The table at the end is on passages that it was never reinforced on.

    Example: selfedit demo -o runs/demo
    """
    config = make_config("almanac", ["data.eval=almanac", *(overrides or [])])
    screen.err.print("A language model of one million parameters teaches itself. It has seen none of these passages.")
    run_and_report("demo", config, output, json)


def train(
    config: Annotated[
        Path | None, typer.Argument(help="a TOML file; `selfedit init` writes one", metavar="CONFIG.toml")
    ] = None,
    data: Annotated[Path | None, typer.Option("--data", help="passages with questions, JSON in SEAL's layout")] = None,
    evaluation: Annotated[Path | None, typer.Option("--eval", help="other passages, for the final table")] = None,
    model: Model = None,
    overrides: Set = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Reinforce a model's note writing on passages with questions (SEAL's outer loop).

    Example: selfedit train --data squad_train.json --eval squad_val.json --model path/to/model

    Example: selfedit train config.toml --set outer.rounds=3
    """
    files = {"data.train": data, "data.eval": evaluation}
    named = [f"{key}={path}" for key, path in files.items() if path]
    if not config and not data:
        raise InputError("train needs passages: a config file, or --data passages.json")
    run_and_report("train", make_config(model, [*named, *(overrides or [])], config), output, json)


def resume(run: Annotated[Path, typer.Argument(help="the run's folder", metavar="RUN")], json: Json = False) -> None:
    """Go on with a run that was stopped; what it had finished is not done again.

    Example: selfedit resume runs/demo-1
    """
    with Run.open(run) as opened:
        tasks = tasks_of(opened)
        if opened.config["command"] == "adapt":
            adapt.go_on(opened, tasks, json)
        else:
            _finish(opened, config_of(opened), tasks, json)


def run_and_report(command: str, config: Config, output: Path | None, json: bool) -> None:
    tasks = {"train": train_tasks(config), "eval": eval_tasks(config)}
    with start_run(command, output, config, tasks) as run:
        _finish(run, config, tasks, json)


def _finish(run: Run, config: Config, tasks: dict[str, list[Task]], json: bool) -> None:
    with resumable(run), screen.bars() as progress:
        engine = make_engine(config, progress)
        result = run_experiment(run, config, tasks["train"], tasks["eval"], engine, progress)
    report = write_report(run, result.summary, [*tasks["train"], *tasks["eval"]])
    if json:
        print_json({"run": str(run.path), **result.summary})
    else:
        _show(result, tasks["eval"], report)


def write_report(run: Run, summary: dict[str, Any], tasks: list[Task]) -> Path:
    """Imported here because drawing takes a second to import."""
    from selfedit.report import write_report

    return write_report(run, summary, {task.id: task for task in tasks})


def _show(result: Result, tasks: list[Task], report: Path) -> None:
    if tasks:
        _show_example(result, tasks[0])
        screen.out.print(screen.score_table(result.summary, f"Closed-book answers on {len(tasks)} unseen passages"))
        gain = result.summary["rl_gain"]
        screen.out.print(
            f"Reinforcement added {100 * gain['mean']:.1f} points "
            f"(95 % interval {100 * gain['low']:.1f} to {100 * gain['high']:.1f}, paired by passage)."
        )
    screen.out.print(f"Report: {report}   Policy: {result.policy.id}   {result.summary['seconds']} s")


def _show_example(result: Result, task: Task) -> None:
    own, after = result.trials["own_edits"][0], result.trials["after_rl"][0]
    screen.out.print(f"\n[bold]A passage it had never seen:[/] {task.context}", soft_wrap=True)
    screen.out.print("\n[bold]Its notes before reinforcement:[/]")
    screen.out.print(own.edit.text, markup=False)
    screen.out.print("\n[bold]Its notes after reinforcement:[/]")
    screen.out.print(after.edit.text, markup=False)
    screen.out.print()
    screen.out.print(screen.answer_table(task.questions, own.before, after.after, "Answers without the passage"))


def train_tasks(config: Config) -> list[Task]:
    """The passages of the outer loop; every one has questions, or it could not be rewarded."""
    needed = config.outer.rounds * config.outer.passages_per_round
    if config.data.train == "almanac":
        return world.tasks("practice", needed, config.seed)
    return _examined(read_tasks(Path(config.data.train)), config.data.train)


def eval_tasks(config: Config) -> list[Task]:
    count = config.data.eval_passages
    if not config.data.eval:
        return []
    if config.data.eval == "almanac":
        return world.tasks("exam", count or ALMANAC_PASSAGES)
    tasks = _examined(read_tasks(Path(config.data.eval)), config.data.eval)
    return tasks[: count or len(tasks)]


def _examined(tasks: list[Task], source: str) -> list[Task]:
    without = [task.title for task in tasks if not task.questions]
    if without:
        raise InputError(f"{source}: {without[0]!r} has no questions, so no reward can be measured on it; give it some")
    return tasks
