"""Floating-point operations that training needs, and how many a second the machine can do."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch

from selfedit.bench.clock import wait

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from selfedit.engines.local.lora import Layout

SIZES = (512, 1024, 2048)
"""Square products that are tried on a CPU; the rate that counts is the best."""

GPU_SIZES = (2048, 4096, 8192)
SECONDS = 0.3
"""How long each size is tried."""


def training_flops(model: PreTrainedModel, layout: Layout, lengths: Iterable[int]) -> float:
    """Operations of one epoch over rows of these lengths, padding not counted, the base frozen.

    A product with a weight matrix of N parameters takes 2 N per token forward and 2 N backward to its input; a frozen
    one has no gradient of its own. So per token: 4 x the linear layers without the head, 6 x the adapter (the third 2 N
    is its gradient), 4 x the head at each position that is scored (all but a row's first token), and for causal
    attention 12 x layers x width x length / 2, width being heads x head size (Kaplan et al., arXiv 2001.08361, and
    Chowdhery et al., arXiv 2204.02311, appendix B, less the weight gradients). Norms and elementwise work are left out.
    """
    config = model.config.get_text_config()
    head = model.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    layers = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    linear = sum(layer.weight.numel() for layer in layers)
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 12 * config.num_hidden_layers * config.num_attention_heads * head_size / 2
    per_token, per_score = 4 * linear + 6 * layout.size, 4 * head.weight.numel()
    return float(sum(n * (per_token + attention * n) + per_score * (n - 1) for n in lengths))


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = SECONDS) -> float:
    """Operations per second of the best of several square matrix products, on all threads."""
    return max(_rate(size, device, dtype, seconds) for size in (GPU_SIZES if device.type == "cuda" else SIZES))


def _rate(size: int, device: torch.device, dtype: torch.dtype, seconds: float) -> float:
    a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
    best, end = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < end or not best:
        wait(device)
        began = time.perf_counter()
        for _ in range(5):
            a @ b
        wait(device)
        best = max(best, 5 * 2 * size**3 / (time.perf_counter() - began))
    return best
