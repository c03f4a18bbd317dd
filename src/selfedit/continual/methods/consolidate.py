"""A bank for what is new; from time to time one adapter learns everything in it, and the bank is empty again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.continual.memory import consolidated, current, with_examples
from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep


@dataclass(frozen=True)
class Consolidate(Sequential):
    """Every `every`-th edit is no adapter of its own but one for all edits so far, trained from the start model.

    So after it there is a single model. Those that follow begin from it, and stand beside it until the next time.
    """

    every: int

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        return [self._prepared(step) for step in pending]

    def _prepared(self, pending: PendingStep) -> PendingStep:
        if (len(pending.past) + 1) % self.every:
            common, _ = consolidated(pending.start, pending.past, self.every)
            return replace(pending, job=replace(pending.job, parent=common))
        whole = replace(pending, job=replace(pending.job, parent=pending.start))
        earlier = [step for step in current(pending.past) if step.task.title != pending.step.task.title]
        return with_examples(whole, [example for step in earlier for example in step.trial.edit.examples])
