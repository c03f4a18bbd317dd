"""O-LoRA (arXiv 2310.14152): the new adapter reads nothing that an earlier one reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep


@dataclass(frozen=True)
class OLora(Sequential):
    """The rows of A are kept orthogonal to those of all adapters below: the paper's penalty, at an infinite weight.

    Each edit uses up `rank` of the directions that a layer can read, so a stream has room for width / rank edits.
    """

    rank: int

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        prepared = []
        for step in pending:
            recipe = step.job.recipe
            recipe = replace(recipe, rank=self.rank, alpha=self.rank * recipe.alpha / recipe.rank)
            prepared.append(replace(step, job=replace(step.job, recipe=recipe, orthogonal=True)))
        return prepared
