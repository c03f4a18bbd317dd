"""Keepers that work together: each on what the one before it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.bank import Bank
from selfedit.continual.merge import Merge
from selfedit.protocols import Keeper
from selfedit.types import Failure, Step, Turn, Update


@dataclass(frozen=True)
class Chain:
    """Several keepers as one. Where a bank is among them, it says which update answers."""

    keepers: tuple[Keeper, ...]

    @property
    def asks(self) -> bool:
        return any(keeper.asks for keeper in self.keepers)

    @property
    def bank(self) -> Bank | None:
        return next((keeper for keeper in self.keepers if isinstance(keeper, Bank)), None)

    def prepare(self, turns: Sequence[Turn]) -> list[Turn]:
        prepared = list(turns)
        for keeper in self.keepers:
            prepared = keeper.prepare(prepared)
        return prepared

    def settle(self, turns: Sequence[Turn], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        settled = list(outcomes)
        for keeper in self.keepers:
            settled = keeper.settle(turns, settled)
        return settled

    def held(self, start: Update, past: Sequence[Step]) -> list[Update]:
        return (self.bank or Merge()).held(start, past)

    def route(self, start: Update, past: Sequence[Step], asked: Sequence[str]) -> list[Update]:
        return (self.bank or Merge()).route(start, past, asked)
