"""Few-shot abstract reasoning: what plans are worth before and after reinforcement, on families never trained on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from statistics import fmean
from typing import Any

from selfedit.config import Config
from selfedit.domains import DOMAINS
from selfedit.domains.arc.domain import demonstrations
from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.options import ArcOptions
from selfedit.domains.arc.prompts import GROUPS, switch
from selfedit.errors import InputError
from selfedit.loops.evaluate import Condition, conditions, run_conditions
from selfedit.loops.examine import Examiner
from selfedit.loops.inner import run_inner
from selfedit.loops.outer import Outer, parse_edit, propose, run_outer
from selfedit.protocols import Engine, Progress, silent
from selfedit.reproduce.options import Options
from selfedit.results import Summary, Table, TextTable, gain_sentence, interval, percent
from selfedit.rewards.measured import solved
from selfedit.seeds import derive_seed
from selfedit.statistics import Interval, paired_interval, share_interval
from selfedit.store import Run
from selfedit.types import BASE, Task, Trial, Update
from selfedit.workflows.build import make_examiner, make_outer
from selfedit.workflows.data import read_data
from selfedit.workflows.engine import open_engine
from selfedit.workflows.runs import start

PLANS = 5
"""Plans that a policy writes for every task (docs/seal.md 3.2)."""

SAMPLE = 16
"""Plans that are trained together and then one after another, to compare the time."""


def hand_made() -> list[str]:
    """The plans of the oracle, as SEAL's is: made by hand, the loss on outputs (docs/seal.md 3.6).

    They did best on the practice families, the first one of all; which of them is best for a task is seen afterwards.
    """
    return [_plan(groups, rate) for groups, rate in (((), 1e-2), ((), 3e-3), (("basic",), 1e-2))]


EPOCHS = 8


def _plan(groups: Sequence[str], rate: float) -> str:
    switches = {switch(group): group in groups for group in GROUPS}
    training = {"strategy": "train_using_output_tokens", "learning_rate": rate, "num_train_epochs": EPOCHS}
    return json.dumps({"data_generation": switches, "training": training})


SEEDS = 3


def arc(options: Options) -> dict[str, Any]:
    """Plans for learning grids, before and after reinforcement, on families never trained on; or on ARC's files."""
    runs, seconds = list[Mapping[str, list[Trial]]](), dict[str, float]()
    first, summary = _config(options, 0), dict[str, Any]()
    with open_engine(first, options.progress, parallel=True) as engine:
        for seed in range(SEEDS if first.outer.rounds else 1):
            config = _config(options, seed)
            given = read_data(config)
            tasks = {**given, "eval": fitting(given["eval"], config)}
            with start("train", options.folder / f"seed-{seed}", config, tasks, "reproduce") as run:
                runs.append(run_arc(run, config, tasks["train"], tasks["eval"], engine, options.progress))
                seconds = {**{name.removeprefix("exam/"): time for name, time in run.seconds().items()}, **seconds}
                summary = {**summarise_arc(runs), "given": len(given["eval"])}
                run.write_metrics()
                options.on_run(run, Summary(Table.from_json(summary), tasks=[*tasks["train"], *tasks["eval"]]))
        clock = compare_time(config, list(runs[0].values())[-1], tasks["eval"], engine)
    for name, trials in runs[0].items():
        summary[name]["seconds_per_trial"] = seconds[name] / len(trials)
        summary[name]["seconds_per_task"] = seconds[name] / len(tasks["eval"])
    return {**summary, "time": clock}


def _config(options: Options, seed: int) -> Config:
    """The embedded grid model's recipe, or SEAL's for another model; ARC's files instead of generated tasks."""
    tree: dict[str, Any] = {"domain": {"name": "arc"}, "seed": seed, "data": {"train": "mosaic", "eval": "mosaic"}}
    if options.model and options.model != "mosaic":
        tree["domain"]["format"] = "seal"
    if options.tasks:
        tree["data"] = {"train": str(options.data or "mosaic"), "eval": str(options.tasks)}
        tree["outer"] = {} if options.data else {"rounds": 0}
    return options.config(tree, "mosaic")


def fitting(tasks: Sequence[Task], config: Config) -> list[Task]:
    """Those that the model can be shown. Raises InputError where there are none."""
    options = ArcOptions(**config.domain.options)
    kept = [task for task in tasks if fits(task, options)]
    if not kept:
        raise InputError(
            f"none of the {len(tasks)} tasks fits the model: it is shown grids with sides up to {options.max_side}, "
            f"and {options.max_tokens} cells and row ends in all (--set domain.max_side and domain.max_tokens)"
        )
    return kept


def run_arc(
    run: Run,
    config: Config,
    train: Sequence[Task],
    evaluation: Sequence[Task],
    engine: Engine,
    progress: Progress = silent,
) -> dict[str, list[Trial]]:
    """Reinforce the planning on `train`, then every row of the table on `evaluation`, with several trials per task.

    Resumes what the run already holds. Plans made by hand come from no policy, so the run with seed 0 alone tries them.
    Without rounds there are no plans of the model's own, and no oracle to hold them against.
    """
    examiner, outer = make_examiner(config, engine), make_outer(config, run.path)
    rows: dict[str, Condition] = {"in_context": conditions(BASE, examiner, outer)["base"]}
    if outer.settings.rounds:
        policy = run_outer(train, examiner, outer, run.remember, run.updates, progress)
        rows["before_rl"] = partial(_planned, examiner, outer, BASE)
        rows["after_rl"] = partial(_planned, examiner, outer, policy)
    if config.seed == 0:
        rows["by_hand"] = partial(_by_hand, examiner, outer, hand_made()[:1])
        if outer.settings.rounds:
            rows["oracle"] = partial(_by_hand, examiner, outer, hand_made())
    return run_conditions(evaluation, rows, config.max_adapters // PLANS, run.remember, progress)


def _planned(examiner: Examiner, outer: Outer, policy: Update, tasks: Sequence[Task]) -> list[Trial]:
    """PLANS plans of the policy for every task, each tried from the policy."""
    members = [(task, member) for task in tasks for member in range(PLANS)]
    seeds = [derive_seed(outer.seed, "exam", task.id, member) for task, member in members]
    written = propose(policy, members, examiner.domain, examiner.engine, outer.settings.sampling, seeds)
    return _tried(written, tasks, policy, examiner, outer)


def _by_hand(examiner: Examiner, outer: Outer, plans: Sequence[str], tasks: Sequence[Task]) -> list[Trial]:
    written = [parse_edit(task, member, plan, examiner.domain) for member, plan in enumerate(plans) for task in tasks]
    return _tried(sorted(written, key=lambda trial: trial.edit.task_id), tasks, BASE, examiner, outer)


def _tried(
    written: Sequence[Trial], tasks: Sequence[Task], parent: Update, examiner: Examiner, outer: Outer
) -> list[Trial]:
    seeds = [derive_seed(outer.seed, "exam", trial.edit.task_id, trial.member) for trial in written]
    return run_inner(written, {task.id: task for task in tasks}, parent, examiner, outer.reward, seeds)


def fits(task: Task, options: ArcOptions) -> bool:
    """Whether a model with so much context can be shown the task as it is, with room for an output as large as those.

    In the compact format; sides are those of the grids that are shown.
    """
    shown = demonstrations(task)
    grids = [grid for pair in shown for grid in pair]
    grids += [to_grid(json.loads(question.text)) for question in task.questions]
    cells = [grid.size + grid.shape[0] + 1 for grid in grids]
    room = sum(cells[: 2 * len(shown)]) + max(cells[2 * len(shown) :]) + max(cells)
    return bool(max(max(grid.shape) for grid in grids) <= options.max_side and room <= options.max_tokens)


# The table


def outcome(trial: Trial) -> float | None:
    """1 if every test grid of the task is right, 0 where the plan was no plan; None where the system failed."""
    if trial.failure:
        return 0.0 if trial.failure.blame == "policy" else None
    return solved(trial) if trial.after and trial.after.is_complete else None


Rows = Mapping[str, Sequence[Trial]]


def summarise_arc(runs: Sequence[Rows]) -> dict[str, Any]:
    """Every row's share of solved trials, each task with its mean over plans and seeds, with 95 % intervals over tasks.

    Of the oracle's plans for a task the best one counts. `n` counts tasks.
    """
    rows = {name: [run[name] for run in runs if name in run] for name in runs[0]}
    values = {name: _by_task(of_row, max if name == "oracle" else fmean) for name, of_row in rows.items()}
    table: dict[str, Any] = {name: asdict(share_interval(list(of_row.values()))) for name, of_row in values.items()}
    for name in values:
        trials = [trial for of_run in rows[name] for trial in of_run]
        table[name]["tokens"] = round(fmean([trial.update.tokens if trial.update else 0 for trial in trials]))
        table[name]["unreadable"] = fmean([bool(trial.failure and trial.failure.blame == "policy") for trial in trials])
    if "after_rl" in values:
        table["rl_gain"] = _difference(values["after_rl"], values["before_rl"])
        table["plan_gain"] = _difference(values["before_rl"], values["in_context"])
    return table


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """Paired by task, on those that the system failed in neither."""
    both = [task_id for task_id in after if task_id in before]
    return paired_interval([after[task_id] for task_id in both], [before[task_id] for task_id in both]).fields


def _by_task(runs: Sequence[Sequence[Trial]], of_plans: Callable[[Sequence[float]], float]) -> dict[str, float]:
    """One value per task that the system never failed: the mean over runs of what its trials make together."""
    tasks: dict[str, list[list[float | None]]] = {}
    for run in runs:
        own: dict[str, list[float | None]] = {}
        for trial in run:
            own.setdefault(trial.edit.task_id, []).append(outcome(trial))
        for task_id, values in own.items():
            tasks.setdefault(task_id, []).append(values)
    return {
        task_id: fmean(of_plans([value or 0.0 for value in values]) for values in of_task)
        for task_id, of_task in tasks.items()
        if all(value is not None for values in of_task for value in values)
    }


# Time


def compare_time(config: Config, trials: Sequence[Trial], tasks: Sequence[Task], engine: Engine) -> dict[str, float]:
    """Seconds per plan, trained and examined: SAMPLE plans together, and the same plans one after another.

    Empty where none of the plans could be tried.
    """
    chosen = [Trial(trial.edit, member=trial.member) for trial in trials if not trial.failure][:SAMPLE]
    if not chosen:
        return {}
    together = seconds_per_plan(chosen, tasks, config, engine, len(chosen))
    alone = seconds_per_plan(chosen, tasks, config, engine, 1)
    return {
        "plans": len(chosen),
        "seconds_per_plan_together": together,
        "seconds_per_plan_alone": alone,
        "times_as_fast": alone / together,
    }


def seconds_per_plan(
    plans: Sequence[Trial], tasks: Sequence[Task], config: Config, engine: Engine, at_once: int
) -> float:
    """Time to train and examine these plans, so many in one batch, shared out among them."""
    examiner, outer = make_examiner(config, engine), make_outer(config)
    began = time.monotonic()
    for first in range(0, len(plans), at_once):
        _tried(plans[first : first + at_once], tasks, BASE, examiner, outer)
    return (time.monotonic() - began) / len(plans)


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    """Solved trials of every row, and what a plan costs."""
    rows = []
    for name, label in DOMAINS["arc"].words.conditions.items():
        if row := summary.get(name):
            rows.append(
                (
                    label,
                    percent(row["mean"]),
                    interval(Interval(row["mean"], row["low"], row["high"], row["n"])),
                    percent(row["unreadable"]),
                    f"{row['tokens']:,}",
                    f"{row['seconds_per_trial']:.2f}",
                    f"{row['seconds_per_task']:.2f}",
                )
            )
    columns = ("row", "solved", "interval\n(95 %)", "unreadable", "tokens\nper trial", "s per\ntrial", "s per\ntask")
    title = f"Tasks solved in two attempts ({summary['in_context']['n']} of {summary['given']} tasks fit the model)"
    said = [gain_sentence(summary["rl_gain"], "task")] if "rl_gain" in summary else []
    if clock := summary["time"]:
        said.append(
            f"{clock['plans']} plans together {clock['seconds_per_plan_together']:.2f} s each, one after another "
            f"{clock['seconds_per_plan_alone']:.2f} s: {clock['times_as_fast']:.1f} times as fast"
        )
    return [TextTable(title, columns, rows, caption="\n".join(said))]
