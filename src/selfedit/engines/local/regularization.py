"""What protects earlier edits while an adapter is trained: orthogonal directions (O-LoRA), and online EWC."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selfedit.engines.local.lora import Layout, LoraPair
from selfedit.engines.local.state import TrainingState


def is_regularized(state: TrainingState) -> bool:
    """Whether its job asks for either. The first edit of a stream is not held back, but its importance is measured."""
    return bool(state.ewc or (state.orthogonal and state.parent))


class Regularizer:
    """The constraints of the adapters in training: row k of every tensor [slots, size] is that of slot k."""

    def __init__(self, layout: Layout, weights: Tensor) -> None:
        self.layout, self.weights = layout, weights
        self.ewc_center, self.ewc_importance, self.squared_gradients = (torch.zeros_like(weights) for _ in range(3))
        self.parent_directions: dict[int, dict[str, Tensor]] = {}

    def start(self, slot: int, state: TrainingState) -> None:
        """Set the constraints of a new job, and put its adapter where they allow it to be."""
        for of_slots in (self.ewc_center, self.ewc_importance, self.squared_gradients):
            of_slots[slot].zero_()
        self.parent_directions.pop(slot, None)
        recipe, parent = state.recipe, state.parent
        if parent and state.continues_parent:
            self.layout.put(self.weights[slot], parent.weights, parent.scale / (recipe.alpha / recipe.rank))
            self.ewc_center[slot] = self.weights[slot]
            self.layout.put(self.ewc_importance[slot], parent.importance or {})
        elif parent and state.orthogonal:
            self.parent_directions[slot] = {name: _row_space(a) for name, (a, _) in parent.weights.items()}
            self.project_out(slot)

    def add_penalty(self, slots: Sequence[int], states: Sequence[TrainingState], gradients: Tensor) -> None:
        """Accumulate the squares of the gradients [K, size] of the text, then add those of the EWC penalty."""
        for gradient, slot, state in zip(gradients, slots, states, strict=True):
            if state.ewc:
                self.squared_gradients[slot].addcmul_(gradient, gradient)
                distance = self.weights[slot] - self.ewc_center[slot]
                gradient.addcmul_(self.ewc_importance[slot], distance, value=state.ewc)

    def project_out(self, slot: int) -> None:
        """Remove from the rows of A their components along the rows of the parent's A."""
        views = self.layout.views(self.weights[slot][None])
        for name, directions in self.parent_directions.get(slot, {}).items():
            if name in views:
                a = views[name][0][0]
                a -= a @ directions.T @ directions

    def importance(self, slot: int, state: TrainingState, own: Layout) -> dict[str, LoraPair] | None:
        """Importance after this job: what it was, and the mean squared gradient of a step."""
        if not state.ewc:
            return None
        return self.layout.take(self.ewc_importance[slot] + self.squared_gradients[slot] / max(1, state.done), own)


def _row_space(a: Tensor) -> Tensor:
    """An orthonormal basis [directions, inputs] of the rows of A."""
    _, singular_values, rows = torch.linalg.svd(a, full_matrices=False)
    directions: Tensor = rows[singular_values > 1e-6 * singular_values.max()]
    return directions
