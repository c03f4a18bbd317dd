"""`demo`, `train` and `resume`: the commands that run both loops and end with a table and a report."""

from __future__ import annotations

import json as json_module
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from selfedit.cli import adapt, continual, screen
from selfedit.cli.common import (
    Json,
    Memory,
    Model,
    Output,
    Set,
    config_of,
    engine_for_many,
    make_config,
    print_json,
    resumable,
    start_run,
    tasks_of,
    write_report,
)
from selfedit.config import Config
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.errors import InputError, Refused
from selfedit.formats.arc import read_arc, seal_tasks
from selfedit.loops.evaluate import accuracy
from selfedit.store import Run
from selfedit.types import Task
from selfedit.workflows.stream import STREAM
from selfedit.workflows.train import Result, run_experiment
from selfedit.worlds.almanac import world as almanac
from selfedit.worlds.mosaic import world as mosaic

WORLDS: dict[str, Callable[..., list[Task]]] = {"almanac": almanac.tasks, "mosaic": mosaic.tasks}
"""Where generated tasks come from, by the name that data.train and data.eval have for it."""

EXAM_TASKS = 60
"""How many unseen tasks of a world are evaluated on where the config does not say."""

ConfigFile = Annotated[
    Path | None, typer.Argument(help="a TOML file; `selfedit init` writes one", metavar="CONFIG.toml")
]


def demo(output: Output = None, overrides: Set = None, memory: Memory = None, json: Json = False) -> None:
    """Watch the embedded model teach itself, in about two minutes.

    It reads passages about invented people and places, writes notes, learns from them, answers without the passage, and
    is reinforced to write better notes. The table at the end is on passages that it was never reinforced on.

    Example: selfedit demo -o runs/demo
    """
    config = make_config("almanac", ["data.eval=almanac", *(overrides or [])], memory=memory)
    screen.err.print("A language model of one million parameters teaches itself. It has seen none of these passages.")
    _start("demo", config, output, json)


def train(
    config: ConfigFile = None,
    data: Annotated[Path | None, typer.Option("--data", help="passages with questions, JSON in SEAL's layout")] = None,
    evaluation: Annotated[Path | None, typer.Option("--eval", help="other passages, for the final table")] = None,
    model: Model = None,
    overrides: Set = None,
    memory: Memory = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Reinforce a model's note writing on passages with questions (SEAL's outer loop).

    Example: selfedit train --data squad_train.json --eval squad_val.json --model path/to/model

    Example: selfedit train config.toml --set outer.rounds=3
    """
    files = {"data.train": data, "data.eval": evaluation}
    named = [f"{key}={json_module.dumps(str(path))}" for key, path in files.items() if path]
    if not config and not data:
        raise InputError("train needs passages: a config file, or --data passages.json")
    _start("train", make_config(model, [*named, *(overrides or [])], config, memory), output, json)


def resume(run: Annotated[Path, typer.Argument(help="the run's folder", metavar="RUN")], json: Json = False) -> None:
    """Go on with a run that was stopped; what it had finished is not done again.

    Example: selfedit resume runs/demo-1
    """
    with Run.resume(run) as opened:
        tasks = tasks_of(opened)
        if f"{STREAM}00" in tasks or (run / continual.DOCUMENTS).exists():
            continual.go_on(opened, tasks, json)
        elif "documents" in tasks:
            adapt.go_on(opened, tasks, json)
        else:
            _finish(opened, config_of(opened), tasks, json)


def _start(command: str, config: Config, output: Path | None, json: bool) -> None:
    tasks = read_data(config)
    with start_run(command, output, config, tasks) as run:
        _finish(run, config, tasks, json)


def _finish(run: Run, config: Config, tasks: dict[str, list[Task]], json: bool) -> None:
    with resumable("resume", run.path):
        result = run_and_report(run, config, tasks)
    if json:
        print_json({"run": str(run.path), **result.summary})
    else:
        _show(run, result, tasks["eval"])


def run_and_report(run: Run, config: Config, tasks: dict[str, list[Task]]) -> Result:
    """The experiment with progress bars, and its report."""
    with screen.bars() as progress, engine_for_many(config, progress) as engine:
        result = run_experiment(run, config, tasks["train"], tasks["eval"], engine, progress)
    write_report(run, result.summary, [*tasks["train"], *tasks["eval"]])
    return result


def _show(run: Run, result: Result, tasks: list[Task]) -> None:
    if tasks and result.trials.keys() >= {"own_edits", "after_rl"}:
        _show_example(result, tasks)
    if tasks:
        screen.out.print(screen.score_table(result.summary, f"Closed-book answers on {len(tasks)} unseen passages"))
    if "rl_gain" in result.summary:
        screen.out.print(screen.gain(result.summary["rl_gain"]))
    screen.out.print(f"Report: {run.path / 'report.html'}", soft_wrap=True)
    screen.out.print(f"Policy: {result.policy.id}   {result.summary['seconds']} s")


def _show_example(result: Result, tasks: list[Task]) -> None:
    """A passage of middling score: neither the best nor the worst that reinforcement led to."""
    ranked = sorted(range(len(tasks)), key=lambda index: accuracy(result.trials["after_rl"][index]) or 0.0)
    middle = ranked[len(ranked) // 2]
    own, after = result.trials["own_edits"][middle], result.trials["after_rl"][middle]
    screen.section("A passage it had never seen (one of middling score)", tasks[middle].context)
    screen.section("Its notes before reinforcement", own.edit.text)
    screen.section("Its notes after reinforcement", after.edit.text)
    screen.out.print()
    title = "Answers without the passage: having learned the notes before, and after"
    screen.out.print(screen.answer_table(tasks[middle].questions, own.after, after.after, title))


def read_data(config: Config) -> dict[str, list[Task]]:
    """The passages to train and to evaluate on. Raises Refused where some are both: their gain would mean nothing."""
    other = "mosaic" if config.domain == "knowledge" else "almanac"
    if other in (config.data.train, config.data.eval):
        raise InputError(f"domain {config.domain} has no use for {other}; set data.train and data.eval to files")
    tasks = {"train": train_tasks(config), "eval": eval_tasks(config)}
    seen = {task.context for task in tasks["train"]}
    both = [task.title for task in tasks["eval"] if task.context in seen]
    if both:
        raise Refused(
            f"{len(both)} passages of data.eval are also in data.train, such as {both[0]!r}; "
            "evaluate on passages that were not trained on"
        )
    return tasks


def train_tasks(config: Config) -> list[Task]:
    """The passages of the outer loop; every one has questions, unless the model writes its own."""
    needed = config.outer.rounds * config.outer.passages_per_round
    if config.data.train in WORLDS:
        return WORLDS[config.data.train]("practice", needed, config.seed)
    tasks = read_file(config, Path(config.data.train))
    return tasks if config.outer.questions == "own" else _examined(tasks, config.data.train)


def eval_tasks(config: Config) -> list[Task]:
    count = config.data.eval_passages
    if not config.data.eval:
        return []
    if config.data.eval in WORLDS:
        return WORLDS[config.data.eval]("exam", count or EXAM_TASKS)
    tasks = _examined(read_file(config, Path(config.data.eval)), config.data.eval)
    return tasks[: count or len(tasks)]


def read_file(config: Config, path: Path) -> list[Task]:
    """The tasks in a file, or for grids in a folder, of the config's domain."""
    if config.domain == "knowledge":
        return read_tasks(path)
    tasks = read_arc(path)
    return tasks if config.arc.tasks == "all" else seal_tasks(tasks, truncated=config.arc.tasks == "seal-truncated")


def _examined(tasks: list[Task], source: str) -> list[Task]:
    without = [task.title for task in tasks if not task.questions]
    if without:
        raise InputError(
            f"{source}: {without[0]!r} has no questions, so nothing can be measured on it; give it some (to train, the "
            "model can write its own: --set outer.questions=own)"
        )
    return tasks
