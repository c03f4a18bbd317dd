"""Stacked LoRA adapters: K of them on one frozen model, each for its own rows of the batch.

Every target layer adds `x · A[k]ᵀ · B[k]ᵀ · alpha / rank` to its output, by two batched matrix products.
Batches are laid out adapter by adapter: rows 0..R-1 belong to adapter 0, the next R to adapter 1, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from selfedit.errors import InputError


@dataclass(frozen=True, slots=True)
class Target:
    """A linear layer that carries an adapter, by its full name in the model."""

    name: str
    inputs: int
    outputs: int

    def size(self, rank: int) -> int:
        """Numbers in one adapter of this layer."""
        return rank * (self.inputs + self.outputs)


@dataclass(frozen=True, slots=True)
class Adapter:
    """One trained adapter: (A [rank, inputs], B [outputs, rank]) per layer name, and the factor alpha / rank."""

    weights: dict[str, tuple[Tensor, Tensor]]
    rank: int
    alpha: float


def find_targets(model: PreTrainedModel, names: Sequence[str] = ()) -> list[Target]:
    """The linear layers to adapt: those whose name or last part is in `names`, or all but the output head.

    Raises InputError when nothing matches, and for experts of a mixture, whose rows are shuffled among adapters.
    """
    head = model.get_output_embeddings()
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)}
    chosen = {
        name: layer
        for name, layer in layers.items()
        if (name in names or name.rpartition(".")[2] in names if names else layer is not head)
    }
    if not chosen:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in layers}))
        raise InputError(f"no layer of the model is called {', '.join(names)}; its linear layers are {known}")
    experts = [name for name in chosen if ".experts." in name]
    if experts:
        raise InputError(f"{experts[0]} is an expert of a mixture, which cannot be adapted yet; name other targets")
    return [Target(name, *_shape(layer)) for name, layer in chosen.items()]


def _shape(layer: Any) -> tuple[int, int]:
    """(inputs, outputs). Conv1D, GPT-2's linear layer, keeps its weight the other way round."""
    if isinstance(layer, Conv1D):
        return int(layer.weight.shape[0]), int(layer.weight.shape[1])
    return layer.in_features, layer.out_features


def initial(targets: Sequence[Target], rank: int, seed: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """One adapter as a flat vector, as PEFT begins: A Kaiming-uniform (bound 1/sqrt(inputs)), B zero."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for target in targets:
        uniform = torch.rand(rank * target.inputs, generator=generator, dtype=torch.float64)
        parts += [(2 * uniform - 1) / target.inputs**0.5, torch.zeros(rank * target.outputs, dtype=torch.float64)]
    return torch.cat(parts).to(device=device, dtype=dtype)


def views(flat: Tensor, targets: Sequence[Target], rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Flat adapters [K, size] as (A [K, rank, inputs], B [K, outputs, rank]) per layer; no copy, gradients flow."""
    sizes = [size for target in targets for size in (rank * target.inputs, rank * target.outputs)]
    parts = iter(flat.split(sizes, dim=1))
    count = flat.shape[0]
    return {
        t.name: (next(parts).view(count, rank, t.inputs), next(parts).view(count, t.outputs, rank)) for t in targets
    }


def stack(adapters: Sequence[Adapter]) -> dict[str, tuple[Tensor, Tensor]]:
    """Adapters of equal rank side by side, with alpha / rank folded into B: for sampling."""
    names = adapters[0].weights
    return {
        name: (
            torch.stack([adapter.weights[name][0] for adapter in adapters]),
            torch.stack([adapter.weights[name][1] * (adapter.alpha / adapter.rank) for adapter in adapters]),
        )
        for name in names
    }


@contextmanager
def attached(model: PreTrainedModel, weights: dict[str, tuple[Tensor, Tensor]], scale: float = 1.0) -> Iterator[None]:
    """Within this block the model's target layers add the stacked adapters' outputs to their own."""
    handles = [
        model.get_submodule(name).register_forward_hook(_adding(a, b, scale)) for name, (a, b) in weights.items()
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _adding(a: Tensor, b: Tensor, scale: float) -> Any:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0].reshape(a.shape[0], -1, a.shape[2]).to(a.dtype)
        own = output.reshape(a.shape[0], -1, b.shape[1]).to(a.dtype)
        low = torch.bmm(x, a.transpose(1, 2))
        return torch.baddbmm(own, low, b.transpose(1, 2), alpha=scale).view(output.shape).to(output.dtype)

    return hook


@contextmanager
def head_only_at(model: PreTrainedModel, positions: Tensor | None) -> Iterator[None]:
    """Within this block logits are computed only at `positions` (a mask [rows, length]), or at the last one if None."""

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        return inputs[0][:, -1] if positions is None else inputs[0][positions]

    head = model.get_output_embeddings()
    assert isinstance(head, nn.Module)
    handle = head.register_forward_pre_hook(keep)
    try:
        yield
    finally:
        handle.remove()
