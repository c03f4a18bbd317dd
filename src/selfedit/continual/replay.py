"""Earlier self-edits are gone over again beside each new one, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.memory import documents, rehearsed, with_more
from selfedit.continual.merge import Merge
from selfedit.types import Step, Turn


@dataclass(frozen=True)
class Replay(Merge):
    """`budget` tokens of earlier edits per edit, so that an edit costs the same however many came before it."""

    budget: int

    def prepare(self, turns: Sequence[Turn]) -> list[Turn]:
        return [
            with_more(turn, [example for step in self._earlier(turn) for example in documents(step)]) for turn in turns
        ]

    def _earlier(self, turn: Turn) -> list[Step]:
        return rehearsed(turn.past, turn.step.task.title, self.budget)
