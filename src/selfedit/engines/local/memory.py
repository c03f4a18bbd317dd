"""How many adapters and tokens fit into memory, by what one of each takes and what is free."""

from __future__ import annotations

import psutil
import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.abilities import abilities
from selfedit.engines.local.batch import pack_rows
from selfedit.engines.local.lora import Layout, adapter_dtype, attached
from selfedit.engines.local.state import MemoryLimits
from selfedit.engines.local.targets import adapter_layout
from selfedit.engines.local.text import TokenRow
from selfedit.engines.local.training import gradients
from selfedit.errors import InputError
from selfedit.types import Recipe

CPU_TOKENS, GPU_TOKENS = 512, 4096
"""Largest step. On a CPU more tokens leave the cache (LOG.md); on a GPU they fill it (docs/seal.md, Hardware)."""

COPIES = 6
"""Values kept per adapter parameter: weight, gradient, two moments, and the step's own weight and gradient."""

BACKWARD = 1.5
"""Memory of a step, as a multiple of what it saves for the backward pass: gradients of activations come on top."""

SHARE = 0.8
"""Of the free memory that training may take: other programs grow too."""


def fit(model: PreTrainedModel, layout: Layout, max_adapters: int, cap: int, frozen: int = 0) -> MemoryLimits:
    """What fits into the memory that is free on the device, or into `cap` bytes for the whole process if not 0.

    `frozen` counts the parameters of the largest attached parent; a step copies it.

    Raises InputError if not even one adapter fits.
    """
    free = free_memory(model.device, cap)
    adapter = (COPIES * layout.size + 2 * frozen) * adapter_dtype(model).itemsize
    token = BACKWARD * token_bytes(model, layout)
    max_tokens = GPU_TOKENS if model.device.type == "cuda" else CPU_TOKENS
    limits = split_memory(free, adapter, token, MemoryLimits(max_adapters, max_tokens))
    if limits.adapters < 1 or limits.tokens < 1:
        raise InputError(
            f"training one adapter takes {_mb(adapter)} and {_mb(token)} per token, and {_mb(max(free, 0))} are free; "
            "choose a lower rank or fewer targets, or allow more with --memory"
        )
    return limits


def split_memory(free: float, adapter: float, token: float, upper: MemoryLimits) -> MemoryLimits:
    """`free` bytes between adapters and tokens of a step, by the bytes that one of each takes; no more than `upper`."""
    tokens = int(min(upper.tokens, free / 2 / token))  # the other half is for adapters
    return MemoryLimits(int(min(upper.adapters, (free - tokens * token) / adapter)), tokens)


def max_rows(model: PreTrainedModel, tokens: int, scored: int, cap: int) -> int:
    """How many sequences of `tokens` tokens can be run together, at least one.

    Each takes what is kept of its tokens, and, at `scored` of them, logits in the model's own type and in float32.
    """
    of_row, of_token = abilities(model).cache_bytes
    row = of_row + of_token * tokens + (model.dtype.itemsize + 4) * model.config.get_text_config().vocab_size * scored
    return max(1, int(free_memory(model.device, cap) / 2 / row))  # the other half is for the work on them


def free_memory(device: torch.device, cap: int) -> float:
    """Bytes that training may take, now; with a cap, what it leaves beside what the process already holds."""
    if device.type == "cuda":
        held = torch.cuda.memory_allocated(device)
        free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - held
    else:
        held, free = psutil.Process().memory_info().rss, psutil.virtual_memory().available
    return min(SHARE * free, cap - held) if cap else SHARE * free


def model_bytes(model: PreTrainedModel) -> int:
    """Bytes of its weights."""
    return sum(weight.numel() * weight.element_size() for weight in model.parameters())


def token_bytes(model: PreTrainedModel, layout: Layout) -> float:
    """Bytes that a training step saves per token for its backward pass, logits included: measured on a short one."""
    saved: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    row, dtype = TokenRow([0] * 16, 0, 1.0), adapter_dtype(model)
    blank = layout.views(torch.zeros(1, layout.size, dtype=dtype, device=model.device))
    leaves = {name: (a.clone().requires_grad_(), b.clone().requires_grad_()) for name, (a, b) in blank.items()}
    flat = [weight for pair in leaves.values() for weight in pair]
    hooks = torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor)
    with hooks, attached(model, leaves, flat[0].new_ones(1)):
        gradients(model, flat, pack_rows([[row]], model))
    frozen = {weight.untyped_storage().data_ptr() for weight in [*model.parameters(), *model.buffers(), *flat]}
    logits = 2 * 4 * int(model.config.get_text_config().vocab_size)  # their probabilities, and the gradient
    return sum(size for pointer, size in saved.items() if pointer not in frozen) / len(row.ids) + logits


def is_out_of_memory(error: BaseException) -> bool:
    """Whether this is what PyTorch raises when an allocation fails, on a GPU or a CPU."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "DefaultCPUAllocator" in str(error)


def describe_training(model: PreTrainedModel, recipe: Recipe, max_adapters: int, cap: int) -> dict[str, str]:
    """What would be trained with a recipe, and what memory that takes, in words. `cap` is that of `fit`."""
    return _describe_full(model) if recipe.method == "full" else _describe_lora(model, recipe, max_adapters, cap)


def _describe_full(model: PreTrainedModel) -> dict[str, str]:
    weights = model_bytes(model)
    return {
        "trainable per job": f"all {model.num_parameters():,} parameters",
        "memory": f"{weights / 1e6:,.0f} MB of weights, {4 * weights / 1e6:,.0f} MB more in training (originals, "
        "gradients, two moments) and the steps' activations",
        "together": "one job at a time",
    }


def _describe_lora(model: PreTrainedModel, recipe: Recipe, max_adapters: int, cap: int) -> dict[str, str]:
    layout = adapter_layout(model, [recipe])
    limits = fit(model, layout, max_adapters, cap)
    return {
        "trainable per adapter": layout.summary,
        "memory": f"{model_bytes(model) / 1e6:,.0f} MB of weights, "
        f"{4 * COPIES * layout.size / 1e6:,.1f} MB per adapter in training, "
        f"{token_bytes(model, layout) / 1e6:,.2f} MB per token of a step",
        "together": f"up to {limits.adapters} adapters, {limits.tokens} tokens in a step",
    }


def _mb(size: float) -> str:
    return f"{size / 1e6:,.1f} MB"
