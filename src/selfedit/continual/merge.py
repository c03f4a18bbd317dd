"""SEAL's way (spec 4): every edit is trained on top of the last, and nothing is done about what was there before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.types import Failure, Step, Turn, Update, model_of


@dataclass(frozen=True)
class Merge:
    """The keeper that does nothing; what others do not say, they do like it."""

    @property
    def asks(self) -> bool:
        return False

    def prepare(self, turns: Sequence[Turn]) -> list[Turn]:
        return list(turns)

    def settle(self, turns: Sequence[Turn], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        return list(outcomes)

    def held(self, start: Update, past: Sequence[Step]) -> list[Update]:
        return [model_of(start, tuple(past))]

    def route(self, start: Update, past: Sequence[Step], asked: Sequence[str]) -> list[Update]:
        return [model_of(start, tuple(past))] * len(asked)
