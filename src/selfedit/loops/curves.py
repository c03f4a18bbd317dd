"""Accuracy against trained tokens: the same edits, learned again at other budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from selfedit.loops.evaluate import learn, run_conditions, with_tokens
from selfedit.loops.examine import Examiner
from selfedit.loops.outer import Outer
from selfedit.protocols import Progress, Remember, silent
from selfedit.types import Task, Trial, Update


def at_budgets(
    arms: Mapping[str, tuple[Update, Sequence[Trial]]],
    tasks: Sequence[Task],
    budgets: Sequence[int],
    examiner: Examiner,
    outer: Outer,
    remember: Remember,
    progress: Progress = silent,
    tasks_per_adapter: int = 1,
) -> dict[str, dict[int, list[Trial]]]:
    """Arm -> budget -> one trial per task. An arm is what its edits are trained from, and an edit a task; an adapter of
    several tasks has so many tokens for each. Batches that `remember` knows are not run again.
    """

    def relearned(arm: str, tokens: int, part: Sequence[Task]) -> list[Trial]:
        parent, edits = arms[arm]
        named = {task.id for task in part}
        own = [Trial(with_tokens(t.edit, tokens), failure=t.failure) for t in edits if t.edit.task_id in named]
        return learn(own, part, parent, examiner, outer, tasks_per_adapter)

    conditions = {f"{arm}/{tokens}": partial(relearned, arm, tokens) for arm in arms for tokens in budgets}
    size = outer.max_adapters
    found = run_conditions(tasks, conditions, size, remember, progress, tasks_per_adapter, stage="curve")
    return {arm: {tokens: found[f"{arm}/{tokens}"] for tokens in budgets} for arm in arms}
