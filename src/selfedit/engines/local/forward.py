"""Running a model on inputs of which its family may not know some."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel


def run(model: PreTrainedModel, **inputs: Any) -> Tensor:
    """The model's logits [rows, tokens, vocabulary]; what its `forward` does not take is left out of the inputs."""
    logits: Tensor = model(**accepted(model, inputs)).logits
    return logits


def run_and_trace(model: PreTrainedModel, of: slice, **inputs: Any) -> tuple[Tensor, Tensor]:
    """The logits [tokens, vocabulary] of one text at the places `of`, and their gradient [tokens, width] by embeddings.

    It is exactly zero, in any type and whatever the weights are, at tokens that these places do not see.
    """
    made = list[Tensor]()

    def watch(layer: nn.Module, inputs: object, output: Tensor) -> Tensor:
        made.append(output.detach().requires_grad_())
        return made[-1].clone()  # which a model may change in place

    embeddings = model.get_input_embeddings()
    with embeddings.register_forward_hook(watch), torch.enable_grad():
        logits = run(model, **inputs, use_cache=False)[0, of]
        (gradient,) = torch.autograd.grad(logits.float().square().sum(), made[0])
    # XLNet's embeddings are [tokens, 1, width], others' [1, tokens, width].
    return logits.detach(), gradient.reshape(inputs["input_ids"].numel(), -1).nan_to_num(0, 0, 0)


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
