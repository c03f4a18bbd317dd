"""O-LoRA (arXiv 2310.14152): the new adapter reads nothing that an earlier one reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep, Recipe


@dataclass(frozen=True)
class OLora(Sequential):
    """The rows of A are kept orthogonal to those of all adapters below: the paper's penalty, at an infinite weight.

    Each edit uses up `rank` of the directions that a layer can read, so a stream has room for width / rank edits.
    """

    rank: int

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        return [replace(turn, job=replace(turn.job, recipe=self._recipe(turn))) for turn in turns]

    def _recipe(self, turn: PendingStep) -> Recipe:
        recipe = turn.job.recipe
        return replace(recipe, rank=self.rank, alpha=self.rank * recipe.alpha / recipe.rank, orthogonal=True)
