"""What a model makes of the tokens of given texts, many adapters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.batch import lay_out, logits_at
from selfedit.engines.local.lora import Adapter, adapter_dtype, attached, stack
from selfedit.engines.local.soft_targets import LIKELY
from selfedit.engines.local.text import TokenRow

Measure = Callable[[Tensor, Tensor], Tensor]
"""Logits [N, vocabulary] and the tokens that follow [N] -> what is wanted of each place, [N, ...]."""


def log_probability(logits: Tensor, following: Tensor) -> Tensor:
    """Of the token that follows, in nats. Not by log_softmax, which would be a second array as large as the logits."""
    return logits.gather(1, following[:, None])[:, 0] - logits.logsumexp(dim=-1)


def likeliest(logits: Tensor, following: Tensor) -> Tensor:
    """The LIKELY likeliest tokens and their probabilities, [N, 2, k]."""
    chances, tokens = logits.softmax(dim=-1).topk(min(LIKELY, logits.shape[-1]), dim=-1)
    return torch.stack([tokens.to(chances.dtype), chances], dim=1)


@torch.no_grad()
def read_together(
    model: PreTrainedModel,
    groups: Sequence[tuple[Adapter | None, Sequence[TokenRow]]],
    measure: Measure = log_probability,
) -> list[list[Tensor]]:
    """What is measured [row.scored, ...] at the target tokens of every row, group by group; on the CPU.

    Either every group has an adapter or none has. It is at least in float32. A row of weight 0 is not read.
    """
    batch = lay_out([rows for _, rows in groups], model)
    scored = batch.weights != 0
    adapters = [adapter for adapter, _ in groups if adapter]
    with attached(model, *stack(adapters)) if adapters else nullcontext():
        logits = logits_at(model, batch, scored).to(adapter_dtype(model))
    found = measure(logits, batch.ids.roll(-1, dims=1)[scored])
    each = found.new_zeros(*scored.shape, *found.shape[1:])
    each[scored] = found
    each = each.view(len(groups), -1, *found.shape[1:]).cpu()
    return [
        [values[start + max(row.start - 1, 0) : start + len(row.ids) - 1] for start, row in spans]
        for values, spans in zip(each, batch.spans, strict=True)
    ]
