"""Chains of adapters that are attached to the model: many with different parents train and answer in one batch."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

from selfedit.engines.local.lora import Adapter, LoraPair
from selfedit.errors import EngineError, InputError
from selfedit.types import BASE, Job, Update


class AdapterChain(NamedTuple):
    """An update's own adapter, that of its `parents` (if any are attached), and the `combined` adapter of both.

    `merged_id` names the update that must be merged into the model's weights while the chain is attached.
    """

    update: Update
    own: Adapter
    parents: Adapter | None
    combined: Adapter
    merged_id: str


def extend_chain(update: Update, own: Adapter, parent: AdapterChain | None, replace: bool = False) -> AdapterChain:
    """`own` on top of its parent, which is attached or merged; with `replace`, in place of an attached one."""
    parents = parent.combined if parent and not replace else None
    merged_id = parent.merged_id if parent else update.parent or BASE.id
    return AdapterChain(update, own, parents, combine(parents, own), merged_id)


def scale_chain(chain: AdapterChain, name: str, factor: float) -> AdapterChain:
    """The update with its own adapter times `factor`: its parents at 0, itself at 1.

    Raises EngineError for one that was loaded with its parents: which part is its own is not known any more.
    """
    update = chain.update
    if chain.parents is None and (update.parent or BASE.id) not in (BASE.id, chain.merged_id):
        raise EngineError(f"update {update.id} was loaded with its parents in it, so it cannot be scaled alone")
    own = dataclasses.replace(chain.own, alpha=chain.own.alpha * factor)
    return AdapterChain(
        dataclasses.replace(update, id=name), own, chain.parents, combine(chain.parents, own), chain.merged_id
    )


def check_ewc(job: Job, parent: AdapterChain | None) -> None:
    """Raises InputError where ewc would train a parent that is no single adapter of the recipe's rank."""
    rank = job.recipe.rank
    if job.ewc and parent and (parent.parents or parent.own.rank != rank):
        raise InputError(
            f"ewc goes on training the adapter of the last edit, at rank {rank}, and that is no single adapter "
            "of this rank; leave inner.rank as it was when the stream began, and do not combine ewc with other methods "
            "that stack adapters"
        )


def combine(parents: Adapter | None, own: Adapter) -> Adapter:
    """One adapter that adds what both add: exactly, and at no higher rank than the widest layer needs."""
    return _reduce_rank(concatenate([parents, own])) if parents else own


def concatenate(adapters: Sequence[Adapter]) -> Adapter:
    """One adapter that adds what all of these add: ranks add up, alpha / rank goes into B."""
    if len(adapters) == 1:
        return adapters[0]
    rank = sum(adapter.rank for adapter in adapters)
    names = dict.fromkeys(name for adapter in adapters for name in adapter.weights)
    return Adapter({name: _concatenate_layer(name, adapters) for name in names}, rank, float(rank))


def _concatenate_layer(name: str, adapters: Sequence[Adapter]) -> LoraPair:
    a, b = next(adapter.weights[name] for adapter in adapters if name in adapter.weights)
    parts = [
        (adapter.weights[name][0], adapter.weights[name][1] * adapter.scale)
        if name in adapter.weights
        else (a.new_zeros(adapter.rank, a.shape[1]), b.new_zeros(b.shape[0], adapter.rank))
        for adapter in adapters
    ]
    return torch.cat([part for part, _ in parts], dim=0), torch.cat([part for _, part in parts], dim=1)


def _reduce_rank(adapter: Adapter) -> Adapter:
    """Where the rank is above the width, it keeps B · A itself, times an identity: no decomposition loses anything."""
    max_rank = max(min(a.shape[1], b.shape[0]) for a, b in adapter.weights.values())
    if adapter.rank <= max_rank:
        return adapter
    weights = {name: _product_and_identity(a, b * adapter.scale, max_rank) for name, (a, b) in adapter.weights.items()}
    return Adapter(weights, max_rank, float(max_rank))


def _product_and_identity(a: Tensor, b: Tensor, rank: int) -> LoraPair:
    product, inputs, outputs = b @ a, a.shape[1], b.shape[0]
    identity = torch.eye(min(inputs, outputs), dtype=a.dtype, device=a.device)
    new_a, new_b = (identity, product) if inputs <= outputs else (product, identity)
    missing = rank - len(new_a)
    return pad(new_a, (0, 0, 0, missing)), pad(new_b, (0, missing))
