"""What would be trained with a recipe, and what memory that takes, in words."""

from __future__ import annotations

from transformers import PreTrainedModel

from selfedit.engines.local.lora import adapter_layout
from selfedit.engines.local.memory import COPIES, fit, model_bytes, token_bytes
from selfedit.types import Recipe


def describe_training(model: PreTrainedModel, recipe: Recipe, max_adapters: int, memory: int) -> dict[str, str]:
    """`memory`: the bytes that may be used (0: what is free)."""
    return _full(model) if recipe.method == "full" else _lora(model, recipe, max_adapters, memory)


def _full(model: PreTrainedModel) -> dict[str, str]:
    weights = model_bytes(model)
    return {
        "trainable per job": f"all {model.num_parameters():,} parameters",
        "memory": f"{weights / 1e6:,.0f} MB of weights, {4 * weights / 1e6:,.0f} MB more in training (originals, "
        "gradients, two moments) and the steps' activations",
        "together": "one job at a time",
    }


def _lora(model: PreTrainedModel, recipe: Recipe, max_adapters: int, memory: int) -> dict[str, str]:
    layout = adapter_layout(model, [recipe])
    limits = fit(model, layout, max_adapters, memory)
    return {
        "trainable per adapter": layout.summary,
        "memory": f"{model_bytes(model) / 1e6:,.0f} MB of weights, "
        f"{4 * COPIES * layout.size / 1e6:,.1f} MB per adapter in training, "
        f"{token_bytes(model, layout) / 1e6:,.2f} MB per token of a step",
        "together": f"up to {limits.adapters} adapters, {limits.tokens} tokens in a step",
    }
