"""What a GGUF file says of a model and transformers passes over: put into its config, or refused.

Settings that it leaves out keep the values of some other checkpoint, and the model answers a little worse, in silence.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import isclose
from typing import Any

import torch
from transformers import PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from selfedit.engines.gguf import Header
from selfedit.errors import InputError

SAME = {
    "attention.layer_norm_epsilon": ("layer_norm_epsilon", "layer_norm_eps", "norm_epsilon", "norm_eps"),
    "attention.layer_norm_rms_epsilon": ("rms_norm_eps", "norm_eps"),
    "attention.sliding_window": ("sliding_window",),
    "attn_logit_softcapping": ("attn_logit_softcapping",),
    "final_logit_softcapping": ("final_logit_softcapping",),
    "expert_used_count": ("num_experts_per_tok",),
}
"""Settings of llama.cpp, and what configs call them. None has a say in another, or in the shape of a weight."""

FACTORS = "rope_freqs.weight"
"""The tensor with a factor per frequency, by which it is divided: Llama 3's scaling of positions."""

LLAMA_3 = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of Llama 3.1, 3.2 and 3.3, which differ in the factor of their lowest frequencies: 8 or 32."""


def complete(config: PreTrainedConfig, header: Header, factors: Sequence[float], name: str) -> None:
    """Gives the config of the model `name` what the file says. `factors` are those of FACTORS, from the highest
    frequency to the lowest; empty if the file has none. Raises InputError where they, or another scaling, are unknown.
    """
    text: Any = config.get_text_config()
    for key, keys in SAME.items():
        value = _number(header, key)
        for known in (known for known in keys if value is not None and hasattr(text, known)):
            if not isclose(getattr(text, known) or 0, value or 0, rel_tol=1e-6):
                setattr(text, known, value)
    rope: dict[str, Any] = getattr(text, "rope_parameters", None) or {}
    base = _number(header, "rope.freq_base")
    if base is not None and "rope_theta" in rope:
        rope["rope_theta"] = float(base)
    if factors:
        _scale(text, factors, name)
    scaling = header.text(f"{header.text('general.architecture')}.rope.scaling.type") or "none"
    if scaling != "none" and rope.get("rope_type", "default") == "default" and not factors:
        raise InputError(
            f"{name} scales its positions ({scaling!r:.60}), which transformers does not read from a GGUF file of this "
            "architecture; take the model's directory of safetensors"
        )


def _number(header: Header, key: str) -> float | None:
    value = header.settings.get(f"{header.text('general.architecture')}.{key}")
    return value if isinstance(value, int | float) else None


def _scale(text: Any, factors: Sequence[float], name: str) -> None:
    """Sets Llama 3's scaling, if its rule gives these factors."""
    theta = text.rope_parameters["rope_theta"]
    text.rope_parameters = {"rope_type": "llama3", "rope_theta": theta, "factor": max(factors), **LLAMA_3}
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](text, torch.device("cpu"))
    plain, found = theta ** -(torch.arange(len(scaled)) / len(scaled)), torch.tensor(factors)
    if found.shape != scaled.shape or not torch.allclose(plain / scaled, found, rtol=1e-3):
        raise InputError(
            f"{name} scales its positions by factors ({FACTORS}) that are not those of Llama 3, the only ones known "
            "here; take the model's directory of safetensors"
        )
