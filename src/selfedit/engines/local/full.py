"""Training all weights of the model itself, one job at a time; afterwards they are restored to the last bit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.batch import pack_rows
from selfedit.engines.local.lora import FullWeights
from selfedit.engines.local.state import TrainingState
from selfedit.engines.local.training import OnStep, TrainingResult, gradients
from selfedit.errors import InputError


def train_full(model: PreTrainedModel, state: TrainingState, on_step: OnStep) -> TrainingResult:
    """Train every weight, tied ones once, in the model's own type; weight decay is on all of them.

    Takes the memory of the weights four times more: the originals, the gradients and two moments. Raises InputError for
    quantized weights. Not covered: dropout inside the model, which stays in evaluation mode.
    """
    weights = dict(model.named_parameters())
    if any(not weight.is_floating_point() for weight in weights.values()):
        raise InputError("the weights are quantized, and method full trains them; set method to lora or leave quantize")
    originals = {name: weight.detach().clone() for name, weight in weights.items()}
    try:
        model.requires_grad_()
        _train(model, list(weights.values()), state, on_step)
        is_finite = not state.failed and all(bool(weight.isfinite().all()) for weight in weights.values())
        trained = {name: w.detach().to("cpu", copy=True) for name, w in weights.items()} if is_finite else None
    finally:
        model.requires_grad_(False)
        for name, weight in weights.items():
            weight.grad = None
            weight.copy_(originals[name])
    return TrainingResult(FullWeights(trained) if trained else None, state.loss, state.tokens)


def _train(model: PreTrainedModel, weights: Sequence[Tensor], state: TrainingState, on_step: OnStep) -> None:
    optimizer = torch.optim.AdamW(weights, weight_decay=state.recipe.weight_decay)
    while state.steps_left:
        losses, found = gradients(model, weights, pack_rows([state.next_rows], model))
        for weight, gradient in zip(weights, found, strict=True):
            weight.grad = gradient
        norm = torch.nn.utils.clip_grad_norm_(weights, state.recipe.clip or math.inf)
        loss, is_finite = losses.item(), bool(norm.isfinite() & losses.isfinite())
        if is_finite:
            optimizer.param_groups[0]["lr"] = state.learning_rate
            optimizer.step()
        state.advance(loss, is_finite)
        on_step(1, loss)
