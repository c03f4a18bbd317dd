"""Updates that stand beside the model's weights: several with different parents train and answer in one batch."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from selfedit.engines.local.files import join
from selfedit.engines.local.lora import Adapter, Pair
from selfedit.errors import EngineError, InputError
from selfedit.types import BASE, Recipe, Update


class AdapterChain(NamedTuple):
    """An update's own adapter, what is `below` it beside the weights, and the `whole` of both.

    `root` is the update that must be merged into the weights below them.
    """

    update: Update
    own: Adapter
    below: Adapter | None
    whole: Adapter
    root: str


def wear(update: Update, own: Adapter, parent: AdapterChain | None) -> AdapterChain:
    """What `own` makes of a parent that is worn, or of one that is merged."""
    below = parent.whole if parent else None
    return AdapterChain(update, own, below, on_top(below, own), parent.root if parent else update.parent or BASE.id)


def go_on(update: Update, own: Adapter, parent: AdapterChain | None) -> AdapterChain:
    """What training the parent's own adapter further made of it: it stands in the parent's place, not on top."""
    return AdapterChain(update, own, None, own, parent.root if parent else update.parent or BASE.id)


def check_goes_on(recipe: Recipe, parent: AdapterChain | None) -> None:
    """Raises InputError where the parent is no single adapter of this recipe's rank."""
    if recipe.ewc and parent and (parent.below or parent.own.rank != recipe.rank):
        raise InputError(
            f"ewc goes on training the adapter of the last edit, at rank {recipe.rank}, and that is no single adapter "
            "of this rank; leave inner.rank as it was when the stream began, and do not combine ewc with other keepers "
            "that stack adapters"
        )


def on_top(below: Adapter | None, own: Adapter) -> Adapter:
    """One adapter that does what both do; exact, and its rank does not grow without end."""
    return compact(join([below, own])) if below else own


def compact(adapter: Adapter) -> Adapter:
    """The same with no higher rank than the widest layer needs.

    Beyond that B · A is kept as it is, beside the identity: no decomposition, so nothing is lost.
    """
    most = max(min(a.shape[1], b.shape[0]) for a, b in adapter.weights.values())
    if adapter.rank <= most:
        return adapter
    scale = adapter.alpha / adapter.rank
    weights = {name: _multiplied(a, b * scale, most) for name, (a, b) in adapter.weights.items()}
    return Adapter(weights, most, float(most))


def _multiplied(a: Tensor, b: Tensor, rank: int) -> Pair:
    product, inputs, outputs = b @ a, a.shape[1], b.shape[0]
    small = min(inputs, outputs)
    one = torch.eye(small, dtype=a.dtype, device=a.device)
    left, right = (one, product) if inputs <= outputs else (product, one)
    return _filled(left, rank, 0), _filled(right, rank, 1)


def _filled(weight: Tensor, rank: int, dim: int) -> Tensor:
    """With zeros up to this rank."""
    missing = list(weight.shape)
    missing[dim] = rank - weight.shape[dim]
    return torch.cat([weight, weight.new_zeros(missing)], dim=dim)


def scaled_down(worn: AdapterChain, name: str, factor: float) -> AdapterChain:
    """The update with its own adapter times `factor`: at 0 what is below it, at 1 itself.

    Raises EngineError for one that was loaded with its parents: what is its own is not known any more.
    """
    if worn.below is None and (worn.update.parent or BASE.id) not in (BASE.id, worn.root):
        raise EngineError(f"update {worn.update.id} was loaded with its parents in it, so it cannot be scaled alone")
    own = replace(worn.own, alpha=worn.own.alpha * factor)
    return AdapterChain(replace(worn.update, id=name), own, worn.below, on_top(worn.below, own), worn.root)
