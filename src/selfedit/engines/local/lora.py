"""Stacked LoRA adapters: K of them on one frozen model, each for its own rows of the batch.

Every target layer adds `x · A[k]ᵀ · B[k]ᵀ · scale[k]` to its output, by batched matrix products.
Batches are laid out adapter by adapter: rows 0..R-1 belong to adapter 0, the next R to adapter 1, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from selfedit.errors import InputError

LoraPair = tuple[Tensor, Tensor]
"""A and B of one layer: [rank, inputs] and [outputs, rank], or stacked [K, rank, inputs] and [K, outputs, rank]."""

Dropout = Callable[[Tensor], Tensor]
"""Adapter inputs [K, tokens, inputs] -> the same with some elements dropped."""


@dataclass(frozen=True, slots=True)
class Target:
    """A linear layer that carries an adapter, by its full name in the model."""

    name: str
    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Adapter:
    """One trained adapter: (A, B) per layer name, and alpha; it adds B · A · alpha / rank to a layer's weight.

    `importance`, of the same shapes, is how much each parameter matters to what was learned so far, if it was measured.
    """

    weights: dict[str, LoraPair]
    rank: int
    alpha: float
    importance: dict[str, LoraPair] | None = None

    @property
    def scale(self) -> float:
        return self.alpha / self.rank

    @property
    def num_parameters(self) -> int:
        return sum(a.numel() + b.numel() for a, b in self.weights.values())


@dataclass(frozen=True, slots=True)
class FullWeights:
    """All weights of a model by name, on the CPU: what training without an adapter leaves."""

    weights: dict[str, Tensor]


@dataclass(frozen=True)
class Layout:
    """Where each layer's A and B lie in the flat vector of an adapter of this rank."""

    targets: tuple[Target, ...]
    rank: int

    @cached_property
    def sizes(self) -> list[int]:
        return [size for t in self.targets for size in (self.rank * t.inputs, self.rank * t.outputs)]

    @property
    def size(self) -> int:
        """Parameters of one adapter."""
        return sum(self.sizes)

    @property
    def summary(self) -> str:
        """What is trained, for people."""
        kinds = sorted({target.name.rpartition(".")[2] for target in self.targets})
        return f"{self.size:,} parameters on {len(self.targets)} layers: {', '.join(kinds)}"

    def views(self, flat: Tensor) -> dict[str, LoraPair]:
        """Flat adapters [K, size] as (A [K, rank, inputs], B [K, outputs, rank]) per layer; no copy."""
        parts, count, rank = iter(flat.split(self.sizes, dim=1)), len(flat), self.rank
        return {
            t.name: (next(parts).view(count, rank, t.inputs), next(parts).view(count, t.outputs, rank))
            for t in self.targets
        }

    def initial(self, own: Layout, seed: int) -> Tensor:
        """A new adapter [size] as PEFT begins it: A Kaiming-uniform (bound 1 / sqrt(inputs)), B zero.

        `own` is the job's layout. Layers and ranks that only this wider layout has stay zero, and so do their
        gradients: a zero A row meets a zero B column.
        """
        generator = torch.Generator().manual_seed(seed)
        count = own.rank * sum(target.inputs for target in own.targets)
        uniform = 2 * torch.rand(count, generator=generator, dtype=torch.float64) - 1
        flat = torch.zeros(self.size, dtype=torch.float64)
        weights = self.views(flat[None])
        parts = uniform.split([own.rank * target.inputs for target in own.targets])
        for target, part in zip(own.targets, parts, strict=True):
            weights[target.name][0][0, : own.rank] = part.view(own.rank, target.inputs) / target.inputs**0.5
        return flat

    def put(self, flat: Tensor, weights: Mapping[str, LoraPair], scale: float = 1.0) -> None:
        """Write an adapter, B times `scale`, into a flat one [size]; what it does not have becomes zero."""
        views = self.views(flat.zero_()[None])
        for name, (a, b) in weights.items():
            views[name][0][0, : a.shape[0]] = a
            views[name][1][0, :, : b.shape[1]] = b * scale

    def take(self, flat: Tensor, own: Layout) -> dict[str, LoraPair]:
        """The weights of a job with layout `own` out of a flat adapter [size]; copies."""
        views, rank = self.views(flat[None]), own.rank
        pairs = {target.name: views[target.name] for target in own.targets}
        return {name: (a[0, :rank].clone(), b[0, :, :rank].clone()) for name, (a, b) in pairs.items()}


def adapter_dtype(model: PreTrainedModel) -> torch.dtype:
    """Adapters are trained in float32, or in the model's own type if that is finer."""
    return torch.promote_types(model.dtype, torch.float32)


def with_scale(adapter: Adapter) -> dict[str, LoraPair]:
    """Its weights with alpha / rank multiplied into B."""
    return {name: (a, b * adapter.scale) for name, (a, b) in adapter.weights.items()}


def stack(adapters: Sequence[Adapter]) -> tuple[dict[str, LoraPair], Tensor]:
    """Adapters of one rank and the same layers, stacked, and their scales [K]: what `attached` takes."""
    weights = {
        name: (torch.stack([a.weights[name][0] for a in adapters]), torch.stack([a.weights[name][1] for a in adapters]))
        for name in adapters[0].weights
    }
    some = next(iter(weights.values()))[0]
    return weights, torch.tensor([a.scale for a in adapters], dtype=some.dtype, device=some.device)


@contextmanager
def attached(
    model: PreTrainedModel, weights: Mapping[str, LoraPair], scales: Tensor, dropout: Dropout | None = None
) -> Iterator[None]:
    """Within this block the target layers add the stacked adapters' outputs, times `scales` [K], to their own."""
    with ExitStack() as hooks:
        for name, (a, b) in weights.items():
            hook = _lora_hook(a, b, scales.view(-1, 1, 1), dropout)
            hooks.enter_context(model.get_submodule(name).register_forward_hook(hook))
        yield


def _lora_hook(a: Tensor, b: Tensor, scale: Tensor, dropout: Dropout | None) -> Any:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        x = inputs[0].reshape(len(a), -1, a.shape[2]).to(a.dtype)  # [K, tokens, inputs]
        low = torch.bmm(dropout(x) if dropout else x, a.transpose(1, 2)) * scale
        own = output.reshape(len(a), -1, b.shape[1]).to(a.dtype)
        return torch.baddbmm(own, low, b.transpose(1, 2)).view(output.shape).to(output.dtype)

    return hook


@contextmanager
def head_only_at(model: PreTrainedModel, mask: Tensor | None) -> Iterator[None]:
    """Within this block logits are computed only where `mask` [rows, length] is True, or at the last token if None."""

    def keep(layer: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        return inputs[0][:, -1] if mask is None else inputs[0][mask]

    head = model.get_output_embeddings()
    assert isinstance(head, nn.Module)
    with head.register_forward_pre_hook(keep):
        yield


def check_rank(layout: Layout) -> None:
    """Raises InputError if the rank is larger than any layer is wide."""
    widest = max(min(target.inputs, target.outputs) for target in layout.targets)
    if layout.rank > widest:
        raise InputError(f"rank {layout.rank} is above the width of the model's layers, {widest}; choose a lower one")
