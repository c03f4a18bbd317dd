"""SEAL's way (docs/seal.md 4): every edit is trained on top of the last, and nothing is done about what was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.types import Failure, PendingStep, Update


@dataclass(frozen=True)
class Sequential:
    """The method that does nothing; what others do not say, they do like it."""

    @property
    def needs_questions(self) -> bool:
        return False

    @property
    def steps_depend(self) -> bool:
        return True

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        return list(pending)

    def accept(self, pending: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        return list(outcomes)
