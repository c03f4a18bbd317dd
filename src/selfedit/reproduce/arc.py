"""Few-shot abstract reasoning: what plans are worth before and after reinforcement, on families never trained on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from statistics import fmean
from typing import Any

from selfedit.config import ArcConfig, Config
from selfedit.domains.arc.domain import demonstrations
from selfedit.domains.arc.grids import to_grid
from selfedit.domains.arc.prompts import GROUPS, switch
from selfedit.loops.evaluate import Condition, conditions, run_conditions
from selfedit.loops.inner import Examiner, derive_seed, run_inner
from selfedit.loops.outer import Outer, propose, read, run_outer
from selfedit.protocols import Engine, Progress, silent
from selfedit.rewards.measured import solved
from selfedit.statistics import mean_interval, paired_interval
from selfedit.store import Run
from selfedit.types import BASE, Task, Trial, Update
from selfedit.workflows.train import make_examiner, make_outer

PLANS = 5
"""Plans that a policy writes for every task (spec 3.2)."""

SAMPLE = 16
"""Plans that are trained together and then one after another, to compare the time."""


def hand_made() -> list[str]:
    """The plans of the oracle, as SEAL's is: made by hand, the loss on outputs (spec 3.6).

    They did best on the practice families; which of them is best for a task is seen afterwards.
    """
    return [_plan(groups, rate) for groups, rate in (((), 1e-2), ((), 3e-3), (("basic",), 1e-2))]


EPOCHS = 8


def _plan(groups: Sequence[str], rate: float) -> str:
    switches = {switch(group): group in groups for group in GROUPS}
    training = {"strategy": "train_using_output_tokens", "learning_rate": rate, "num_train_epochs": EPOCHS}
    return json.dumps({"data_generation": switches, "training": training})


def run_arc(
    run: Run,
    config: Config,
    train: Sequence[Task],
    evaluation: Sequence[Task],
    engine: Engine,
    progress: Progress = silent,
) -> dict[str, list[Trial]]:
    """Reinforce the planning on `train`, then every row of the table on `evaluation`, with several trials per task.

    Resumes what the run already holds. The oracle's plans come from no policy, so the run with seed 0 alone tries them.
    Without rounds there are no plans of the model's own, and one made by hand stands for them.
    """
    examiner, outer = make_examiner(config, engine), make_outer(config, run.path)
    rows: dict[str, Condition] = {"in_context": conditions(BASE, examiner, outer)["base"]}
    if not outer.rounds:
        rows["by_hand"] = partial(_by_hand, examiner, outer, hand_made()[:1])
    else:
        policy = run_outer(train, examiner, outer, run.remember, run.updates, progress)
        rows["before_rl"] = partial(_planned, examiner, outer, BASE)
        rows["after_rl"] = partial(_planned, examiner, outer, policy)
    if outer.rounds and config.seed == 0:
        rows["oracle"] = partial(_by_hand, examiner, outer, hand_made())
    return run_conditions(evaluation, rows, config.wave // PLANS, run.remember, progress)


def _planned(examiner: Examiner, outer: Outer, policy: Update, tasks: Sequence[Task]) -> list[Trial]:
    """PLANS plans of the policy for every task, each tried from the policy."""
    members = [(task, member) for task in tasks for member in range(PLANS)]
    seeds = [derive_seed(outer.seed, "exam", task.id, member) for task, member in members]
    written = propose(policy, members, examiner.domain, examiner.engine, outer.writing, seeds)
    return _tried(written, tasks, policy, examiner, outer)


def _by_hand(examiner: Examiner, outer: Outer, plans: Sequence[str], tasks: Sequence[Task]) -> list[Trial]:
    written = [read(task, member, plan, examiner.domain) for member, plan in enumerate(plans) for task in tasks]
    return _tried(sorted(written, key=lambda trial: trial.edit.task_id), tasks, BASE, examiner, outer)


def _tried(
    written: Sequence[Trial], tasks: Sequence[Task], parent: Update, examiner: Examiner, outer: Outer
) -> list[Trial]:
    seeds = [derive_seed(outer.seed, "exam", trial.edit.task_id, trial.member) for trial in written]
    return run_inner(written, {task.id: task for task in tasks}, parent, examiner, outer.reward, seeds)


def fits(task: Task, options: ArcConfig) -> bool:
    """Whether a model with so much context can be shown the task as it is, with room for an output as large as those.

    In the compact format; sides are those of the grids that are shown.
    """
    shown = demonstrations(task)
    grids = [grid for pair in shown for grid in pair]
    grids += [to_grid(json.loads(question.text)) for question in task.questions]
    cells = [grid.size + grid.shape[0] + 1 for grid in grids]
    room = sum(cells[: 2 * len(shown)]) + max(cells[2 * len(shown) :]) + max(cells)
    return bool(max(max(grid.shape) for grid in grids) <= options.most_side and room <= options.most_tokens)


# The table


def outcome(trial: Trial) -> float | None:
    """1 if every test grid of the task is right, 0 where the plan was no plan; None where the system failed."""
    if trial.failure:
        return 0.0 if trial.failure.blame == "policy" else None
    return solved(trial) if trial.after and trial.after.whole else None


Rows = Mapping[str, Sequence[Trial]]


def summarise_arc(runs: Sequence[Rows]) -> dict[str, Any]:
    """Every row's share of solved trials, each task with its mean over plans and seeds, with 95 % intervals over tasks.

    Of the oracle's plans for a task the best one counts. `n` counts tasks.
    """
    rows = {name: [run[name] for run in runs if name in run] for name in runs[0]}
    values = {name: _by_task(of_row, max if name == "oracle" else fmean) for name, of_row in rows.items()}
    table: dict[str, Any] = {name: asdict(mean_interval(list(of_row.values()))) for name, of_row in values.items()}
    for name in values:
        trials = [trial for of_run in rows[name] for trial in of_run]
        table[name]["tokens"] = round(fmean([trial.update.tokens if trial.update else 0 for trial in trials]))
        table[name]["unreadable"] = fmean([bool(trial.failure and trial.failure.blame == "policy") for trial in trials])
    if "after_rl" in values:
        table["rl_gain"] = _difference(values["after_rl"], values["before_rl"])
        table["plan_gain"] = _difference(values["before_rl"], values["in_context"])
    return table


def _difference(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, Any]:
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
    """Time to train and examine these plans, so many in one wave, shared out among them."""
    examiner, outer = make_examiner(config, engine), make_outer(config)
    began = time.monotonic()
    for first in range(0, len(plans), at_once):
        _tried(plans[first : first + at_once], tasks, BASE, examiner, outer)
    return (time.monotonic() - began) / len(plans)
