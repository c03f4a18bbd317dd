"""Llama 3's scaling of positions: a GGUF file holds a factor per frequency, the config of transformers four numbers."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedConfig
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

from selfedit.errors import InputError

FACTORS = "rope_freqs.weight"
"""What the tensor with the factors is called."""

SCALING = {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
"""Of Llama 3.1, 3.2 and 3.3, which differ in the factor of their lowest frequencies: 8 or 32."""


def scale_positions(config: PreTrainedConfig, factors: Tensor, name: str) -> None:
    """Sets the scaling in the config of the model `name`. `factors` has one value per frequency, from the highest to
    the lowest, by which it is divided. Raises InputError where they are not what Llama 3's rule gives.
    """
    text = config.get_text_config()
    given = {"rope_type": "llama3", "factor": float(factors.max()), **SCALING}
    text.rope_parameters = {"rope_theta": text.rope_parameters["rope_theta"], **given}
    scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](text, torch.device("cpu"))
    places = torch.arange(len(scaled)) / len(scaled)
    plain = text.rope_parameters["rope_theta"] ** -places
    if factors.shape != scaled.shape or not torch.allclose(plain / scaled, factors, rtol=1e-3):
        raise InputError(
            f"{name} scales its positions by factors ({FACTORS}) that are not those of Llama 3, the only ones known "
            "here; take the model's directory of safetensors"
        )
