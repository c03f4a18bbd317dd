"""Keepers that work together: each on what the one before it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.methods.bank import Bank
from selfedit.continual.methods.sequential import Sequential
from selfedit.protocols import ContinualMethod
from selfedit.types import Failure, PendingStep, StreamStep, Update


@dataclass(frozen=True)
class MethodChain:
    """Several keepers as one. Where a bank is among them, it says which update answers."""

    keepers: tuple[ContinualMethod, ...]

    @property
    def asks(self) -> bool:
        return any(keeper.asks for keeper in self.keepers)

    @property
    def bank(self) -> Bank | None:
        return next((keeper for keeper in self.keepers if isinstance(keeper, Bank)), None)

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        prepared = list(turns)
        for keeper in self.keepers:
            prepared = keeper.prepare(prepared)
        return prepared

    def settle(self, turns: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        settled = list(outcomes)
        for keeper in self.keepers:
            settled = keeper.settle(turns, settled)
        return settled

    def held(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        return (self.bank or Sequential()).held(start, past)

    def route(self, start: Update, past: Sequence[StreamStep], asked: Sequence[str]) -> list[Update]:
        return (self.bank or Sequential()).route(start, past, asked)
