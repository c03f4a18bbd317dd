"""SEAL's way (spec 4): every edit is trained on top of the last, and nothing is done about what was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.types import Failure, PendingStep, StreamStep, Update, model_of


@dataclass(frozen=True)
class Sequential:
    """The keeper that does nothing; what others do not say, they do like it."""

    @property
    def asks(self) -> bool:
        return False

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        return list(turns)

    def settle(self, turns: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        return list(outcomes)

    def held(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        return [model_of(start, tuple(past))]

    def route(self, start: Update, past: Sequence[StreamStep], asked: Sequence[str]) -> list[Update]:
        return [model_of(start, tuple(past))] * len(asked)
