"""What training a model would take that is not here: an estimate from its sizes, without its weights."""

from __future__ import annotations

from dataclasses import replace
from math import gcd
from typing import TYPE_CHECKING

from selfedit.bench.shapes import SHAPES, Shape, load_shape
from selfedit.config import Config
from selfedit.types import Recipe

if TYPE_CHECKING:
    from transformers import PreTrainedModel

GPUS = (24, 48, 80, 141)
"""GB of memory that GPUs have."""

FOUR_BITS = 0.5 + 4 / 64
"""Bytes per parameter of a linear layer in 4 bits: NF4 keeps a float32 scale for every 64 (bitsandbytes)."""

LOGITS = 8
"""Bytes that the engine counts per token and word of the vocabulary."""

WIDTHS = ("hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads")

VOCABULARY = 2048
"""Of the small models on which the memory of a token is measured; the embedded tokenizer's."""


def shape_of(name: str) -> Shape | None:
    """The sizes of a model by its hub id, Qwen/Qwen2.5-7B or Qwen/Qwen2.5-7B-Instruct; None where they are unknown."""
    shape = SHAPES.get(name.rpartition("/")[2].lower().removesuffix("-instruct"))
    return shape if shape and not shape.taught else None


def needs(shape: Shape, config: Config) -> dict[str, str]:
    """What the engine's `describe` would say on GPUs, which keep the weights in bfloat16, or in 4 bits."""
    import torch

    model, _ = load_shape(shape, torch.device("meta"))
    quantized, count = config.model.quantize != "", f"{model.num_parameters():,}"
    weights = weight_bytes(model, quantized)
    held = f"{weights / 1e9:,.1f} GB of weights in {'4 bits' if quantized else 'bfloat16'}"
    named = {"model": f"{config.model.name} ({count} parameters)"}
    if config.inner.method == "lora":
        return named | _side_by_side(shape, model, config, weights, held)
    return named | {
        "trainable per job": f"all {count} parameters",
        "memory": f"{held}, {4 * weights / 1e9:,.1f} GB more in training, and the steps' activations",
        "together": "one job at a time",
    }


def _side_by_side(shape: Shape, model: PreTrainedModel, config: Config, weights: float, held: str) -> dict[str, str]:
    from selfedit.engines.local.memory import BACKWARD, COPIES, GPU_TOKENS, SHARE, split_memory
    from selfedit.engines.local.state import MemoryLimits
    from selfedit.engines.local.targets import adapter_layout

    recipe = config.inner
    layout, token = adapter_layout(model, [recipe]), token_bytes_of(shape, recipe)
    adapter = 4.0 * COPIES * layout.size  # in float32
    together = []
    for gpu in GPUS:
        limits = split_memory(
            SHARE * (gpu * 1e9 - weights), adapter, BACKWARD * token, MemoryLimits(config.max_adapters, GPU_TOKENS)
        )
        fits = limits.adapters > 0 and limits.tokens > 0
        what = f"up to {limits.adapters} adapters, {limits.tokens} tokens in a step" if fits else "too little"
        together.append(f"with {gpu} GB of GPU memory {what}")
    return {
        "trainable per adapter": layout.summary,
        "memory": f"{held}, {adapter / 1e6:,.1f} MB per adapter in training, {token / 1e6:,.2f} MB per token of a step",
        "together": "; ".join(together),
    }


def weight_bytes(model: PreTrainedModel, quantized: bool) -> float:
    """Bytes of a model's weights; in 4 bits its linear layers but the head, as transformers loads them."""
    import torch

    from selfedit.engines.local.memory import model_bytes

    head = model.get_output_embeddings()
    layers = [m.weight for m in model.modules() if isinstance(m, torch.nn.Linear) and m is not head]
    spared = sum(weight.numel() * (weight.element_size() - FOUR_BITS) for weight in layers) if quantized else 0.0
    return model_bytes(model) - spared


def token_bytes_of(shape: Shape, recipe: Recipe) -> float:
    """Bytes that a step saves per token, logits as the engine counts them.

    Measured on narrower models with one layer and with two, and carried on: all that is saved grows with the width, but
    for what goes between an adapter's two matrices, which is less than a hundredth of it. Layers below the
    adapters save nothing.
    """
    one, two = (_measured(shape, layers, replace(recipe, top_layers=False)) for layers in (1, 2))
    layers = shape.sizes["num_hidden_layers"]
    trained = layers - layers // 2 if recipe.top_layers else layers
    return float(one + (trained - 1) * (two - one) + LOGITS * shape.sizes["vocab_size"])


def _measured(shape: Shape, layers: int, recipe: Recipe) -> float:
    import torch

    from selfedit.engines.local.memory import token_bytes
    from selfedit.engines.local.targets import adapter_layout

    narrower = gcd(shape.sizes["num_attention_heads"], shape.sizes["num_key_value_heads"])
    sizes = {name: shape.sizes[name] // narrower for name in WIDTHS}
    few = {**shape.sizes, **sizes, "num_hidden_layers": layers, "vocab_size": VOCABULARY}
    model, _ = load_shape(replace(shape, sizes=few), torch.device("meta"))
    model.to_empty(device="cpu")  # its numbers do not matter
    return narrower * (token_bytes(model, adapter_layout(model, [recipe])) - LOGITS * VOCABULARY)
