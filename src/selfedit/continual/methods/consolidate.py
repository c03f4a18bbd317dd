"""A bank for what is new; from time to time one adapter learns everything in it, and the bank is empty again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.continual.methods.bank import Bank
from selfedit.continual.methods.memory import current, documents, with_more
from selfedit.types import PendingStep, StreamStep, Update


@dataclass(frozen=True)
class Consolidate(Bank):
    """Every `every`-th edit is no adapter of its own but one for all edits so far, trained from the start model.

    So after it there is a single model. Those that follow begin from it, and stand beside it until the next time.
    """

    every: int

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        return [self._prepared(turn) for turn in turns]

    def _prepared(self, turn: PendingStep) -> PendingStep:
        if (len(turn.past) + 1) % self.every:
            job = replace(turn.job, parent=self._common(turn.start, turn.past))
            return replace(turn, job=job)
        earlier = [step for step in current(turn.past) if step.task.title != turn.step.task.title]
        whole = replace(turn, job=replace(turn.job, parent=turn.start))
        return with_more(whole, [example for step in earlier for example in documents(step)])

    def held(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        new = [step.trial.update for step in self._new(past) if step.trial.update]
        return [self._common(start, past), *new]

    def route(self, start: Update, past: Sequence[StreamStep], asked: Sequence[str]) -> list[Update]:
        return super().route(self._common(start, past), self._new(past), asked)

    def home(self, start: Update, past: Sequence[StreamStep], title: str) -> Update:
        return super().home(self._common(start, past), self._new(past), title)

    def _common(self, start: Update, past: Sequence[StreamStep]) -> Update:
        """The last update that holds everything before it."""
        place = self._places(past)
        return (past[place - 1].trial.update if place else None) or start

    def _new(self, past: Sequence[StreamStep]) -> Sequence[StreamStep]:
        return past[self._places(past) :]

    def _places(self, past: Sequence[StreamStep]) -> int:
        """How many steps the common model holds. One that failed leaves the bank as it was."""
        whole = range(len(past) // self.every * self.every, 0, -self.every)
        return next((count for count in whole if past[count - 1].trial.update), 0)
