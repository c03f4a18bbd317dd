"""What holds an adapter back in training: the directions and the numbers that earlier edits need."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selfedit.engines.local.lora import Adapter, Layout, Pair
from selfedit.engines.local.state import TrainingState


def is_bound(course: TrainingState) -> bool:
    """Whether its recipe asks for any of this. The first edit is not held back, but its importance is measured."""
    return bool(course.recipe.ewc or (course.recipe.orthogonal and course.below))


class Regularizer:
    """The bounds of the adapters in training: row k of every tensor [slots, size] is that of slot k."""

    def __init__(self, layout: Layout, weights: Tensor) -> None:
        self.layout, self.weights = layout, weights
        self.anchors, self.importances, self.squares = (torch.zeros_like(weights) for _ in range(3))
        self.spans: dict[int, dict[str, Tensor]] = {}

    def begin(self, slot: int, course: TrainingState) -> None:
        """Set the bounds of a new course, and put its adapter where they allow it to be."""
        for state in (self.anchors, self.importances, self.squares):
            state[slot].zero_()
        self.spans.pop(slot, None)
        recipe, below = course.recipe, course.below
        if below and course.goes_on:
            self.layout.put(self.weights[slot], below.weights, _scale(below) / (recipe.alpha / recipe.rank))
            self.anchors[slot] = self.weights[slot]
            self.layout.put(self.importances[slot], below.importance or {})
        elif below and recipe.orthogonal:
            self.spans[slot] = {name: _span(a) for name, (a, _) in below.weights.items()}
            self.push_out(slot)

    def pull(self, slots: Sequence[int], courses: Sequence[TrainingState], gradients: Tensor) -> None:
        """Note what the gradients [K, size] of the text say about importance; add those of the penalty."""
        for gradient, slot, course in zip(gradients, slots, courses, strict=True):
            if course.recipe.ewc:
                self.squares[slot].addcmul_(gradient, gradient)
                way = self.weights[slot] - self.anchors[slot]
                gradient.addcmul_(self.importances[slot], way, value=course.recipe.ewc)

    def push_out(self, slot: int) -> None:
        """Take what lies along the parent's rows out of the rows of A."""
        views = self.layout.views(self.weights[slot][None])
        for name, span in self.spans.get(slot, {}).items():
            if name in views:
                a = views[name][0][0]
                a -= a @ span.T @ span

    def importance(self, slot: int, course: TrainingState, own: Layout) -> dict[str, Pair] | None:
        """Importance after this course: what it was, and the mean squared gradient of a step."""
        if not course.recipe.ewc:
            return None
        return self.layout.take(self.importances[slot] + self.squares[slot] / max(1, course.done), own)


def _scale(adapter: Adapter) -> float:
    return adapter.alpha / adapter.rank


def _span(a: Tensor) -> Tensor:
    """An orthonormal basis [directions, inputs] of the rows of A."""
    _, strengths, rows = torch.linalg.svd(a, full_matrices=False)
    directions: Tensor = rows[strengths > 1e-6 * strengths.max()]
    return directions
