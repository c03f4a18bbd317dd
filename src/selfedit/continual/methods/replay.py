"""Earlier self-edits are gone over again beside each new one, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.methods.memory import documents, rehearsed, with_more
from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep, StreamStep


@dataclass(frozen=True)
class Replay(Sequential):
    """`budget` tokens of earlier edits per edit, so that an edit costs the same however many came before it."""

    budget: int

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        return [
            with_more(turn, [example for step in self._earlier(turn) for example in documents(step)]) for turn in turns
        ]

    def _earlier(self, turn: PendingStep) -> list[StreamStep]:
        return rehearsed(turn.past, turn.step.task.title, self.budget)
