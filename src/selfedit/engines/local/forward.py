"""Running a model on inputs of which its family may not know some."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


def run(model: PreTrainedModel, **inputs: Any) -> Tensor:
    """The model's logits [rows, tokens, vocabulary]; what its `forward` does not take is left out of the inputs."""
    logits: Tensor = model(**accepted(model, inputs)).logits
    return logits


def accepted(model: nn.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that the model's `forward` takes: one without position embeddings may know no `position_ids`."""
    names = _inputs(type(model).forward)
    return {name: value for name, value in inputs.items() if not names or name in names}


@cache
def _inputs(forward: Callable[..., Any]) -> frozenset[str]:
    """What it takes; empty if that is anything."""
    parameters = inspect.signature(forward).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return frozenset()
    return frozenset(parameters)
