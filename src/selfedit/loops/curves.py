"""Accuracy against trained tokens: the same edits, learned again at other budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from selfedit.loops.examine import Examiner
from selfedit.loops.inner import run_inner
from selfedit.loops.outer import Outer
from selfedit.protocols import Progress, Remember, silent
from selfedit.seeds import derive_seed
from selfedit.types import Task, Trial, Update


def learn(
    trials: Sequence[Trial], tokens: int, parent: Update, tasks: Sequence[Task], examiner: Examiner, outer: Outer
) -> list[Trial]:
    """These edits, each trained from `parent` for so many tokens and examined. All who write share the tasks' seeds."""
    edits = [Trial(replace(t.edit, recipe=replace(t.edit.recipe, tokens=tokens)), failure=t.failure) for t in trials]
    seeds = [derive_seed(outer.seed, "exam", trial.edit.task_id) for trial in edits]
    return run_inner(edits, {task.id: task for task in tasks}, parent, examiner, outer.reward, seeds)


def at_budgets(
    arms: Mapping[str, tuple[Update, Sequence[Trial]]],
    tasks: Sequence[Task],
    budgets: Sequence[int],
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    progress: Progress = silent,
) -> dict[str, dict[int, list[Trial]]]:
    """Arm -> budget -> one trial per task. An arm is what its edits are trained from, and an edit a task. Batches that
    `remember` knows are not run again.
    """
    found: dict[str, dict[int, list[Trial]]] = {}
    total = len(arms) * len(budgets)
    for number, (arm, budget) in enumerate((arm, budget) for arm in arms for budget in budgets):
        progress("curves", number, total, f"{arm}, {budget} tokens")
        parent, edits = arms[arm]
        trials = found.setdefault(arm, {}).setdefault(budget, [])
        for step, first in enumerate(range(0, len(tasks), outer.max_adapters)):
            part = slice(first, first + outer.max_adapters)
            compute = partial(learn, edits[part], budget, parent, tasks[part], examiner, outer)
            trials += remember(f"curve/{arm}/{budget}", step, compute, Trial)
    progress("curves", total, total, "")
    return found
