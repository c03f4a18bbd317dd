"""Earlier self-edits are gone over again beside each new one, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.memory import rehearsed, with_examples
from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep


@dataclass(frozen=True)
class Replay(Sequential):
    """`budget` tokens of earlier edits per edit, so that an edit costs the same however many came before it."""

    budget: int

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        prepared = []
        for new in pending:
            earlier = rehearsed(new.past, new.step.task.title, self.budget)
            prepared.append(with_examples(new, [example for step in earlier for example in step.trial.edit.examples]))
        return prepared
