"""Methods that work together: each on what the one before it left."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.protocols import ContinualMethod
from selfedit.types import Failure, PendingStep, Update


@dataclass(frozen=True)
class MethodChain:
    """Several methods as one."""

    methods: tuple[ContinualMethod, ...]

    @property
    def needs_questions(self) -> bool:
        return any(method.needs_questions for method in self.methods)

    @property
    def steps_depend(self) -> bool:
        return any(method.steps_depend for method in self.methods)

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        prepared = list(pending)
        for method in self.methods:
            prepared = method.prepare(prepared)
        return prepared

    def accept(self, pending: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        accepted = list(outcomes)
        for method in self.methods:
            accepted = method.accept(pending, accepted)
        return accepted
