"""`reproduce`: published tables, one command each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from selfedit.cli import screen, tables
from selfedit.cli.common import (
    Json,
    Model,
    Output,
    Set,
    engine_for_many,
    make_config,
    new_folder,
    print_json,
    resumable,
    start_run,
    update_folder,
    write_report,
)
from selfedit.cli.continual import almanac_tasks
from selfedit.cli.experiments import EXAM_TASKS, read_data, run_and_report
from selfedit.config import Config, load_config, merge
from selfedit.continual.summary import StreamRecord, records
from selfedit.engines import embedded
from selfedit.errors import InputError
from selfedit.loops.evaluate import across_seeds
from selfedit.protocols import Engine
from selfedit.reproduce.arc import compare_time, fits, run_arc, summarise_arc
from selfedit.reproduce.continual import Runs, read_keeper_plan, summarise_keepers
from selfedit.reproduce.grader import grader
from selfedit.reproduce.plan import ArmsPlan, read_plan, summarise_arms
from selfedit.reproduce.proxy import proxy
from selfedit.reproduce.released import released
from selfedit.reproduce.self_questions import Ranking, rank_edits, summarise_ranking
from selfedit.reproduce.teacher import write_teacher
from selfedit.types import Trial
from selfedit.workflows.stream import run_continual, waves_of
from selfedit.workflows.train import Result, run_experiment

SEEDS, PASSAGES, ROUNDS, PER_ROUND = 3, 200, 3, 100


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says: where to, which model, which released data, which keys are set."""

    name: str
    output: Path | None
    overrides: list[str]
    model: str | None
    data: Path | None
    tasks: Path | None = None

    @property
    def folder(self) -> Path:
        return self.output or new_folder(f"reproduce-{self.name}")

    def again(self, folder: Path) -> list[object]:
        """The command that goes on."""
        options = {"--model": self.model, "--data": self.data, "--tasks": self.tasks}
        named = [word for name, value in options.items() if value for word in (name, value)]
        sets = [word for text in self.overrides for word in ("--set", text)]
        return ["reproduce", self.name, *named, "--output", folder, *sets]


def almanac(asked: Options) -> dict[str, Any]:
    """SEAL's single-passage table on the embedded model: 3 seeds, 200 unseen passages, 3 rounds of 100 passages."""
    folder, results = asked.folder, list[Result]()
    sizes = [f"data.eval_passages={PASSAGES}", f"outer.rounds={ROUNDS}", f"outer.passages_per_round={PER_ROUND}"]
    for seed in range(SEEDS):
        config = make_config("almanac", ["data.eval=almanac", *sizes, f"seed={seed}", *asked.overrides])
        tasks = read_data(config)
        with resumable(*asked.again(folder)), start_run("reproduce", folder / f"seed-{seed}", config, tasks) as run:
            results.append(run_and_report(run, config, tasks))
    table = across_seeds([result.trials for result in results])
    for name in results[0].trials:
        table[name]["seconds"] = sum(result.summary[name]["seconds"] for result in results) / SEEDS
    return {**table, "seconds": sum(result.summary["seconds"] for result in results)}


def arms(asked: Options) -> dict[str, Any]:
    """The table of a plan in `reproduce/recipes`."""
    plan, folder, began = read_plan(asked.name), asked.folder, time.monotonic()
    rows = {arm: list[Mapping[str, list[Trial]]]() for arm in plan.arms}
    rounds = {arm: list[Mapping[str, list[Trial]]]() for arm in plan.arms}
    with resumable(*asked.again(folder)), ExitStack() as stack:
        progress = stack.enter_context(screen.bars())
        engine = stack.enter_context(engine_for_many(_config(plan.tree(next(iter(plan.arms)), 0), asked), progress))

        def run(tree: dict[str, Any], path: Path) -> tuple[Result, Mapping[str, list[Trial]]]:
            return _run(_config(tree, asked), path, engine, progress)

        more = _teacher(plan, folder, asked) if plan.teacher else {}
        for seed in range(plan.seeds):
            policy = _policy(plan, seed, folder, run) if plan.policy else ""
            for arm in plan.arms:
                result, trials = run(merge(plan.tree(arm, seed, policy), more), folder / slug(arm) / f"seed-{seed}")
                rows[arm].append(result.trials)
                rounds[arm].append(trials)
    return {**summarise_arms(plan, rows, rounds), "seconds": round(time.monotonic() - began, 1)}


def _teacher(plan: ArmsPlan, folder: Path, asked: Options) -> dict[str, Any]:
    """Keys that name the teacher's file, which is written first; nothing where the passages are not the almanac's."""
    config = _config(plan.tree(next(iter(plan.arms)), 0), asked)
    if config.data.eval != "almanac":
        return {}
    path = folder / "teacher.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_teacher(path, config.data.eval_passages or EXAM_TASKS, config.documents.edits)
    return {"teacher": {"completions": str(path)}}


def self_questions(asked: Options) -> dict[str, Any]:
    """The arms of its plan, and how the two kinds of questions rank the same edits."""
    asked = replace(asked, output=asked.folder)
    summary, plan, rankings = arms(asked), read_plan(asked.name), list[Ranking]()
    config = _config(plan.tree(plan.reference, 0), asked)
    with resumable(*asked.again(asked.folder)), screen.bars() as progress, engine_for_many(config, progress) as engine:
        for seed in range(plan.seeds):
            config = _config(plan.tree(plan.reference, seed), asked)
            tasks = read_data(config)["eval"]
            progress.forget()
            with start_run("reproduce", asked.folder / "ranking" / f"seed-{seed}", config, {"eval": tasks}) as run:
                rankings.append(rank_edits(run, config, tasks, engine, progress))
    return {**summary, "ranking": summarise_ranking(rankings)}


def _policy(plan: ArmsPlan, seed: int, folder: Path, run: Callable[..., Any]) -> str:
    path = folder / "policy" / f"seed-{seed}"
    run(plan.policy_tree(seed), path)
    return str(update_folder(path))


def _config(tree: dict[str, Any], asked: Options, embedded_model: str = "almanac") -> Config:
    model = asked.model or embedded_model
    return load_config(None, asked.overrides, merge(merge(embedded.recipe(model), tree), {"model": {"name": model}}))


def _run(config: Config, path: Path, engine: Engine, progress: screen.Bars) -> tuple[Result, Mapping[str, list[Trial]]]:
    """One run, and the trials of its outer loop by round."""
    tasks = read_data(config)
    progress.forget()
    with start_run("reproduce", path, config, tasks) as run:
        result = run_experiment(run, config, tasks["train"], tasks["eval"], engine, progress)
        rounds: dict[str, list[Trial]] = {}
        for wave in run.waves():
            if wave.stage.startswith("round-"):
                rounds.setdefault(wave.stage, []).extend(wave.trials)
    return result, rounds


def arc(asked: Options) -> dict[str, Any]:
    """Plans for learning grids, before and after reinforcement, on families never trained on; or on ARC's files."""
    folder, runs, seconds = asked.folder, list[Mapping[str, list[Trial]]](), dict[str, float]()
    with resumable(*asked.again(folder)), ExitStack() as stack:
        progress = stack.enter_context(screen.bars())
        config = _arc_config(asked, 0)
        engine = stack.enter_context(engine_for_many(config, progress))
        for seed in range(SEEDS if config.outer.rounds else 1):
            config = _arc_config(asked, seed)
            given = read_data(config)
            tasks = {**given, "eval": [task for task in given["eval"] if fits(task, config.arc)]}
            if not tasks["eval"]:
                raise InputError(
                    f"none of the {len(given['eval'])} tasks fits the model: it is shown grids with sides up to "
                    f"{config.arc.most_side}, and {config.arc.most_tokens} cells and row ends in all "
                    "(--set arc.most_side and arc.most_tokens)"
                )
            progress.forget()
            with start_run("reproduce", folder / f"seed-{seed}", config, tasks) as run:
                runs.append(run_arc(run, config, tasks["train"], tasks["eval"], engine, progress))
                seconds = {**{name.removeprefix("exam/"): time for name, time in run.seconds().items()}, **seconds}
                summary = {**summarise_arc(runs), "given": len(given["eval"])}
                run.write_metrics()
                write_report(run, summary, [*tasks["train"], *tasks["eval"]])
        clock = compare_time(config, list(runs[0].values())[-1], tasks["eval"], engine)
    for name, trials in runs[0].items():
        summary[name]["seconds_per_trial"] = seconds[name] / len(trials)
        summary[name]["seconds_per_task"] = seconds[name] / len(tasks["eval"])
    return {**summary, "time": clock}


def _arc_config(asked: Options, seed: int) -> Config:
    """The embedded grid model's recipe, or SEAL's for another model; ARC's files instead of generated tasks."""
    tree: dict[str, Any] = {"domain": "arc", "seed": seed, "data": {"train": "mosaic", "eval": "mosaic"}}
    if asked.model and asked.model != "mosaic":
        tree["arc"] = {"format": "seal"}
    if asked.tasks:
        tree["data"] = {"train": str(asked.data or "mosaic"), "eval": str(asked.tasks)}
        tree["outer"] = {} if asked.data else {"rounds": 0}
    return _config(tree, asked, "mosaic")


def keepers(asked: Options) -> dict[str, Any]:
    """Every keeper of `recipes/continual.toml` on streams of both lengths."""
    plan, folder, began = read_keeper_plan(), asked.folder, time.monotonic()
    found: dict[str, dict[str, Runs]] = {}
    with resumable(*asked.again(folder)), ExitStack() as stack:
        progress = stack.enter_context(screen.bars())
        engine = stack.enter_context(engine_for_many(_config(plan.common, asked), progress))
        for length in plan.lengths:
            for keeper in plan.keepers:
                configs = [_config(plan.tree(keeper, length, seed), asked) for seed in range(plan.seeds)]
                paths = [folder / slug(keeper) / slug(length) / f"seed-{seed}" for seed in range(plan.seeds)]
                runs = [_stream(*row, engine, progress) for row in zip(configs, paths, strict=True)]
                found.setdefault(keeper, {})[length] = Runs([r for r, _ in runs], [s for _, s in runs])
    return {**summarise_keepers(plan, found), "wall_seconds": round(time.monotonic() - began, 1)}


def _stream(
    config: Config, path: Path, engine: Engine, progress: screen.Bars
) -> tuple[list[StreamRecord], dict[str, Any]]:
    """One run of streams: its records, and its summary."""
    tasks = almanac_tasks(config)
    progress.forget()
    with start_run("reproduce", path, config, tasks) as run:
        summary = run_continual(run, config, tasks, engine, progress)
        return records(waves_of(run)), summary


def from_data(asked: Options) -> dict[str, Any]:
    """A table made from SEAL's released files, without any model."""
    if asked.data is None:
        raise InputError(
            f"reproduce {asked.name} needs --data, a folder of SEAL's released files "
            "(`data` and `results` of its knowledge-incorporation folder)"
        )
    return FROM_DATA[asked.name](asked.data)


def slug(text: str) -> str:
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())


Table = Callable[[Options], dict[str, Any]]
FROM_DATA = {"released": released, "grader": grader, "proxy": proxy}
"""Tables that are made from SEAL's released files alone."""

TABLES: dict[str, Table] = {
    "almanac": almanac,
    **dict.fromkeys(FROM_DATA, from_data),
    **dict.fromkeys(("single-passage", "cpt", "prompts", "rewards", "credit"), arms),
    "self-questions": self_questions,
    "arc": arc,
    "continual": keepers,
}
"""By name. Those that `arms` makes have a plan of the same name in `reproduce/recipes`."""


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
    summary = TABLES[name](Options(name, output, overrides or [], model, data, tasks))
    if json:
        print_json(summary)
    elif "keepers" in summary:
        for table in tables.keepers(summary):
            screen.out.print(table)
    elif name in tables.OF_DATA:
        for table in tables.OF_DATA[name](summary):
            screen.out.print(table)
    elif name == "arc":
        for table in tables.arc(summary):
            screen.out.print(table)
        if "rl_gain" in summary:
            screen.out.print(screen.gain(summary["rl_gain"]))
    elif "arms" in summary:
        for table in tables.arms(summary, read_plan(name).about):
            screen.out.print(table)
    else:
        screen.out.print(screen.score_table(summary, TABLES[name].__doc__ or name))
        screen.out.print(screen.gain(summary["rl_gain"]))
