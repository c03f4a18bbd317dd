"""Elastic weight consolidation (arXiv 1612.00796), online: one adapter, trained on and held where it matters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep


@dataclass(frozen=True)
class Ewc(Sequential):
    """The adapter of the last edit is trained on, and a parameter costs `strength` / 2 times its importance times the
    square of its way. Importance is the mean squared gradient over all earlier edits (the diagonal of the empirical
    Fisher information), which the adapter carries with it.
    """

    strength: float

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        return [replace(step, job=replace(step.job, ewc=self.strength)) for step in pending]
