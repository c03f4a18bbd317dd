"""A bank: an adapter of its own for every document. Its router (`routers.MostSimilar`) says which one answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep


@dataclass(frozen=True)
class Bank(Sequential):
    """Every edit is trained from the start model. To forget a document is to leave its adapter out: the others never
    saw it.
    """

    @property
    def steps_depend(self) -> bool:
        return False

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        return [replace(step, job=replace(step.job, parent=step.start)) for step in pending]
