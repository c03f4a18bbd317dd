"""Training rows packed into one batch: adapter by adapter, with little padding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.abilities import abilities
from selfedit.engines.local.forward import run
from selfedit.engines.local.lora import head_only_at
from selfedit.engines.local.position_ids import PositionIds
from selfedit.engines.local.text import TokenRow

SHARED = 256
"""Tokens of a sequence that short rows share: in longer ones less is padding, but attention takes more."""


class RowSpan(NamedTuple):
    """A row, and where it begins in its adapter's tokens."""

    start: int
    row: TokenRow

    @property
    def tokens(self) -> slice:
        return slice(self.start, self.start + len(self.row.ids))

    @property
    def predicting(self) -> slice:
        """The positions whose next token is learned: each one before its target token."""
        return slice(self.start + max(self.row.start - 1, 0), self.start + len(self.row.ids) - 1)


Spans = list[list[RowSpan]]
"""The rows of each adapter, in the job's own order."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """R sequences of T tokens for each of K adapters: every tensor is [K * R, T].

    `weights` is that of predicting the *next* token at each position (0: not learned), `owners` the adapter's index.
    `positions` begin at 0 with every row; None if they just count and no sequence holds more than one row. `spans[k]`
    says where each row of adapter k begins in its R * T tokens. `attention_mask` is False at padding that is learned,
    which no token attends to; None if rows share sequences. `reference_logprobs` [K * R, T, 4] are those of the rows,
    where the next token is learned; None if they have none. `soft_tokens` and `soft_probs` [K * R, T, k] are top next
    tokens and their probabilities, zero where the next token itself is learned; None if that is everywhere.
    """

    ids: Tensor
    weights: Tensor
    owners: Tensor
    positions: Tensor | None
    spans: Spans
    attention_mask: Tensor | None
    reference_logprobs: Tensor | None
    soft_tokens: Tensor | None
    soft_probs: Tensor | None


def pack_rows(jobs: Sequence[Sequence[TokenRow]], model: PreTrainedModel) -> PackedBatch:
    """A job's rows share a sequence where they fit. Sequences are no longer than SHARED, or than the longest row is.

    Rows with padding must all be of one length; they do not share, nor do rows with position stops, because a sequence
    is told from the next by positions that begin again, nor rows of a model that does not tell them so. Either all rows
    have reference log-probabilities or none has.
    """
    position_ids, device = PositionIds(model), model.device
    longest = max(len(row.ids) for rows in jobs for row in rows)
    is_padded = position_ids.has_stops or any(row.padding for rows in jobs for row in rows)
    shares = not is_padded and abilities(model).packs
    length = max(longest, min(SHARED, max(sum(len(row.ids) for row in rows) for rows in jobs))) if shares else longest
    spans = [_first_fit(rows, length) if shares else _one_each(rows, length) for rows in jobs]
    per_job = max(span.start // length for of_job in spans for span in of_job) + 1
    shape = (len(jobs), per_job * length)

    ids, weights = torch.zeros(shape, dtype=torch.long), torch.zeros(shape)
    positions, mask = torch.arange(length).repeat(len(jobs), per_job), torch.ones(shape, dtype=torch.bool)
    for k, span in _enumerate(spans):
        ids[k, span.tokens] = torch.tensor(span.row.ids)
        weights[k, span.predicting] = span.row.weight
        positions[k, span.tokens] = torch.arange(len(span.row.ids))
        mask[k, span.tokens.stop - span.row.padding : span.tokens.stop] = False
    ids, weights, positions, mask = (part.view(-1, length).to(device) for part in (ids, weights, positions, mask))
    is_shared = any(span.start % length for _, span in _enumerate(spans))
    return PackedBatch(
        ids,
        weights,
        torch.arange(len(jobs)).repeat_interleave(per_job)[:, None].expand(-1, length).to(device),
        position_ids.of(ids, torch.ones_like(ids)) if position_ids.has_stops else positions if is_shared else None,
        spans,
        mask if is_padded else None,
        _spread(spans, ids.shape, device, lambda row: row.reference_logprobs),
        _spread(spans, ids.shape, device, lambda row: row.soft_tokens),
        _spread(spans, ids.shape, device, lambda row: row.soft_probs),
    )


def _first_fit(rows: Sequence[TokenRow], length: int) -> list[RowSpan]:
    """Where each row begins when every one goes into the first sequence with room for it."""
    used: list[int] = []  # tokens of each sequence
    spans = []
    for row in rows:
        index = next((index for index, tokens in enumerate(used) if tokens + len(row.ids) <= length), len(used))
        used += [0] * (index == len(used))
        spans.append(RowSpan(index * length + used[index], row))
        used[index] += len(row.ids)
    return spans


def _one_each(rows: Sequence[TokenRow], length: int) -> list[RowSpan]:
    return [RowSpan(index * length, row) for index, row in enumerate(rows)]


def _enumerate(spans: Spans) -> Iterator[tuple[int, RowSpan]]:
    return ((k, span) for k, of_job in enumerate(spans) for span in of_job)


def _spread(
    spans: Spans, shape: tuple[int, ...], device: torch.device, values: Callable[[TokenRow], Tensor | None]
) -> Tensor | None:
    """`values` of the target tokens of each row [scored, n], where those are predicted [K * R, T, n], and zeros."""
    found = [(k, span, of_row) for k, span in _enumerate(spans) if (of_row := values(span.row)) is not None]
    if not found:
        return None
    first = found[0][2]
    spread = first.new_zeros(*shape, first.shape[1])
    by_job = spread.view(len(spans), -1, first.shape[1])  # [K, R * T, n]
    for k, span, of_row in found:
        by_job[k, span.predicting] = of_row
    return spread.to(device)


def logits_at(model: PreTrainedModel, batch: PackedBatch, mask: Tensor) -> Tensor:
    """The model's logits [N, vocabulary] at the N positions where `mask` is True.

    Padding that is not learned needs no attention mask: it is to the right of every token that counts, where causal
    attention never looks.
    """
    with head_only_at(model, mask):
        inputs = {"input_ids": batch.ids, "attention_mask": batch.attention_mask, "position_ids": batch.positions}
        return run(model, **inputs, use_cache=False)
