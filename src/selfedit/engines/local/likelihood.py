"""The probabilities of the tokens of given texts, many adapters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.batch import logits_at, pack_rows
from selfedit.engines.local.lora import Adapter, adapter_dtype, attached, stack
from selfedit.engines.local.soft_targets import TOP_K
from selfedit.engines.local.text import TokenRow

Measure = Callable[[Tensor, Tensor], Tensor]
"""Logits [N, vocabulary] and the tokens that follow [N] -> what is measured at each position, [N, ...]."""


def log_probs(logits: Tensor, following: Tensor) -> Tensor:
    """Of the token that follows, in nats. Not by log_softmax, which would be a second array as large as the logits."""
    return logits.gather(1, following[:, None])[:, 0] - logits.logsumexp(dim=-1)


def top_probs(logits: Tensor, following: Tensor) -> Tensor:
    """The TOP_K likeliest tokens and their probabilities, [N, 2, k]."""
    probs, tokens = logits.softmax(dim=-1).topk(min(TOP_K, logits.shape[-1]), dim=-1)
    return torch.stack([tokens.to(probs.dtype), probs], dim=1)


@torch.no_grad()
def score_together(
    model: PreTrainedModel,
    groups: Sequence[tuple[Adapter | None, Sequence[TokenRow]]],
    measure: Measure = log_probs,
) -> list[list[Tensor]]:
    """What is measured [row.scored, ...] at the target tokens of every row, group by group; on the CPU.

    Either every group has an adapter or none has. It is at least in float32. No row may have weight 0.
    """
    batch = pack_rows([rows for _, rows in groups], model)
    mask = batch.weights != 0  # [K * R, T]
    adapters = [adapter for adapter, _ in groups if adapter]
    with attached(model, *stack(adapters)) if adapters else nullcontext():
        logits = logits_at(model, batch, mask).to(adapter_dtype(model))
    measured = measure(logits, batch.ids.roll(-1, dims=1)[mask])  # [N, ...]
    everywhere = measured.new_zeros(*mask.shape, *measured.shape[1:])
    everywhere[mask] = measured
    of_adapters = everywhere.view(len(groups), -1, *measured.shape[1:]).cpu()  # [K, R * T, ...]
    return [[values[span.predicting] for span in spans] for values, spans in zip(of_adapters, batch.spans, strict=True)]
