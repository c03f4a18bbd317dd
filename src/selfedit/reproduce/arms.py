"""Published tables whose arms differ in a few config keys: a plan in `recipes/`, each arm run with several seeds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from selfedit.config import merge
from selfedit.protocols import Engine
from selfedit.reproduce.options import Options, slug
from selfedit.reproduce.plan import ArmsPlan, read_plan, summarise_arms
from selfedit.reproduce.teacher import write_teacher
from selfedit.results import TextTable, interval, percent, signed_points
from selfedit.statistics import Interval
from selfedit.types import Trial
from selfedit.workflows.data import MAX_WORLD_TASKS, read_data
from selfedit.workflows.engine import open_engine
from selfedit.workflows.runs import start
from selfedit.workflows.train import Experiment, run_experiment
from selfedit.workflows.updates import update_folder

Rounds = Mapping[str, list[Trial]]
"""The trials of an outer loop by round."""


def arms(options: Options) -> dict[str, Any]:
    """The table of a plan in `reproduce/recipes`."""
    plan, folder, began = read_plan(options.name), options.folder, time.monotonic()
    experiments: dict[str, list[Experiment]] = {arm: [] for arm in plan.arms}
    rounds: dict[str, list[Rounds]] = {arm: [] for arm in plan.arms}
    first = options.config(plan.tree(next(iter(plan.arms)), 0))
    more = _teacher(plan, folder, options) if plan.teacher else {}
    with open_engine(first, options.progress, parallel=True) as engine:
        for seed in range(plan.seeds):
            policy = ""
            if plan.policy:
                of_policy = folder / "policy" / f"seed-{seed}"
                run_arm(options, plan.policy_tree(seed), of_policy, engine)
                policy = str(update_folder(of_policy))
            for arm in plan.arms:
                tree, path = merge(plan.tree(arm, seed, policy), more), folder / slug(arm) / f"seed-{seed}"
                found, of_rounds = run_arm(options, tree, path, engine)
                experiments[arm].append(found)
                rounds[arm].append(of_rounds)
    rows = {arm: [found.trials for found in of_arm] for arm, of_arm in experiments.items()}
    return {**summarise_arms(plan, rows, rounds), "seconds": round(time.monotonic() - began, 1)}


def run_arm(options: Options, tree: dict[str, Any], path: Path, engine: Engine) -> tuple[Experiment, Rounds]:
    """One run, and the trials of its outer loop by round."""
    config = options.config(tree)
    tasks = read_data(config)
    with start("train", path, config, tasks, "reproduce") as run:
        found = run_experiment(run, config, tasks["train"], tasks["eval"], engine, options.progress)
        rounds: dict[str, list[Trial]] = {}
        for batch in run.batches():
            if batch.stage.startswith("round-"):
                rounds.setdefault(batch.stage, []).extend(batch.trials)
    return found, rounds


def _teacher(plan: ArmsPlan, folder: Path, options: Options) -> dict[str, Any]:
    """Keys that name the teacher's file, which is written first; nothing where the passages are not the almanac's."""
    config = options.config(plan.tree(next(iter(plan.arms)), 0))
    if config.data.eval != "almanac":
        return {}
    path = folder / "teacher.json"
    folder.mkdir(parents=True, exist_ok=True)
    write_teacher(path, config.data.max_eval_tasks or MAX_WORLD_TASKS, config.exam.edits_per_task)
    return {"data": {"teacher": str(path)}}


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    """The arms of a plan: what each reached in every condition, how far from the reference, and its rounds."""
    scores = []
    for arm, of_arm in summary["arms"].items():
        name = arm
        for row, cells in of_arm.items():
            if "n" not in cells:
                continue
            difference = summary.get("differences", {}).get(arm, {}).get(row)
            published = summary.get("published", {}).get(arm, {}).get(row)
            mean, low, high = signed_points(difference) if difference else ("", "", "")
            scores.append(
                (
                    f"{name}  {row}" if name else f"  {row}",
                    percent(cells["mean"]),
                    interval(Interval(cells["mean"], cells["low"], cells["high"], cells["n"])),
                    f"{100 * cells['blank']:.1f}",
                    f"{mean}\n({low} to {high})" if difference else "",
                    f"{published:.1f}" if published else "",
                )
            )
            name = ""
    columns = ("arm, condition", "correct", "interval\n(95 %)", "blank", "against\nreference", "SEAL")
    made = [TextTable(summary.get("about", ""), columns, scores)]
    if summary["rounds"]:
        of_rounds = []
        for arm, stages in summary["rounds"].items():
            means = ", ".join("-" if s["mean_reward"] is None else f"{s['mean_reward']:.2f}" for s in stages)
            reliable = ", ".join(f"{name} {row['icc']:.2f}" for name, row in stages[0]["reliability"].items())
            of_rounds.append((arm, means, reliable))
        heads = ("arm", "mean reward, round by round", "reliability\n(ICC)")
        made.append(TextTable("Rounds of the outer loop", heads, of_rounds))
    return made
