"""Training rows laid out for one step: adapter by adapter, with little padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.lora import head_only_at
from selfedit.engines.local.position_ids import PositionIds
from selfedit.engines.local.text import TokenRow

SHARED = 256
"""Tokens of a sequence that short rows share: in longer ones less is padding, but attention takes more."""


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """R sequences of T tokens for each of K adapters: every tensor is [K * R, T].

    `weights` is that of predicting the *next* token at each position (0: not learned), `owners` the adapter's number.
    `positions` begin at 0 with every row; None if they just count and no sequence holds more than one row. `spans[k]`
    says for each row of adapter k, in the job's own order, where it begins in the adapter's R * T tokens, and the row.
    `seen` is False at padding that is learned, which no token sees; None if rows share sequences. `anchors`
    [4, K * R, T] are those of the rows, where the next token is learned; None if they have none. `soft` are
    likely next tokens [K * R, T, k] and their probabilities, all zero where the next token itself is learned; None if
    that is everywhere.
    """

    ids: Tensor
    weights: Tensor
    owners: Tensor
    positions: Tensor | None
    spans: list[list[tuple[int, TokenRow]]]
    seen: Tensor | None
    anchors: Tensor | None
    soft: tuple[Tensor, Tensor] | None = None


def lay_out(jobs: Sequence[Sequence[TokenRow]], model: PreTrainedModel) -> PackedBatch:
    """A job's rows share a sequence where they fit. Sequences are no longer than SHARED, or than the longest row is.

    Rows with padding must all be of one length; they do not share, nor do rows that stand on a canvas, because a
    sequence is told apart from the next by places that begin again. All rows have anchors or none has.
    """
    places, device = PositionIds(model), model.device
    longest = max(len(row.ids) for rows in jobs for row in rows)
    padded = places.canvas or any(row.padding for rows in jobs for row in rows)
    most = longest if padded else SHARED
    length = max(longest, min(most, max(sum(len(row.ids) for row in rows) for rows in jobs)))
    spans = [_first_fit(rows, length) for rows in jobs]
    per_job = max(start // length for of_job in spans for start, _ in of_job) + 1
    ids = torch.zeros(len(jobs), per_job * length, dtype=torch.long)
    weights, positions = torch.zeros(ids.shape), torch.arange(length).repeat(len(jobs), per_job)
    for k, of_job in enumerate(spans):
        for start, row in of_job:
            end = start + len(row.ids)
            ids[k, start:end] = torch.tensor(row.ids)
            weights[k, start + max(row.start - 1, 0) : end - 1] = row.weight
            positions[k, start:end] = torch.arange(len(row.ids))
    owners = torch.arange(len(jobs)).repeat_interleave(per_job)[:, None].expand(-1, length)
    shared = any(start % length for of_job in spans for start, _ in of_job)
    flat = [tensor.view(-1, length).to(device) for tensor in (ids, weights, positions)]
    seen = _seen(spans, ids.shape).view(-1, length).to(device) if padded else None
    return PackedBatch(
        flat[0],
        flat[1],
        owners.to(device),
        places.of(flat[0], torch.ones_like(flat[0])) if places.canvas else flat[2] if shared else None,
        spans,
        seen,
        _anchors(spans, ids.shape, length, device),
        _soft(spans, ids.shape, length, device),
    )


def _seen(spans: Sequence[Sequence[tuple[int, TokenRow]]], shape: torch.Size) -> Tensor:
    seen = torch.ones(shape, dtype=torch.bool)
    for k, of_job in enumerate(spans):
        for start, row in of_job:
            seen[k, start + len(row.ids) - row.padding : start + len(row.ids)] = False
    return seen


def _anchors(
    spans: Sequence[Sequence[tuple[int, TokenRow]]], shape: torch.Size, length: int, device: torch.device
) -> Tensor | None:
    some = spans[0][0][1].anchors
    if some is None:
        return None
    anchors = some.new_zeros(len(some), *shape)
    for k, of_job in enumerate(spans):
        for start, row in of_job:
            assert row.anchors is not None
            anchors[:, k, start + max(row.start - 1, 0) : start + len(row.ids) - 1] = row.anchors
    return anchors.view(len(some), -1, length).to(device)


def _soft(
    spans: Sequence[Sequence[tuple[int, TokenRow]]], shape: torch.Size, length: int, device: torch.device
) -> tuple[Tensor, Tensor] | None:
    some = [row.soft for of_job in spans for _, row in of_job if row.soft]
    if not some:
        return None
    width = max(tokens.shape[1] for tokens, _ in some)
    tokens = torch.zeros(*shape, width, dtype=torch.long)
    chances = some[0][1].new_zeros(*shape, width)
    for k, of_job in enumerate(spans):
        for start, row in of_job:
            if row.soft:
                places = slice(start + max(row.start - 1, 0), start + len(row.ids) - 1)
                tokens[k, places], chances[k, places] = row.soft
    return tokens.view(-1, length, width).to(device), chances.view(-1, length, width).to(device)


def logits_at(model: PreTrainedModel, batch: PackedBatch, scored: Tensor) -> Tensor:
    """The model's logits [N, vocabulary] at the N places where the mask `scored` is True.

    Padding that is not learned needs no attention mask: it stands to the right of every token that counts, where causal
    attention never looks.
    """
    with head_only_at(model, scored):
        logits: Tensor = model(
            input_ids=batch.ids, attention_mask=batch.seen, position_ids=batch.positions, use_cache=False
        ).logits
    return logits


def _first_fit(rows: Sequence[TokenRow], length: int) -> list[tuple[int, TokenRow]]:
    """Where each row begins when every one goes into the first sequence with room for it."""
    used: list[int] = []
    spans = []
    for row in rows:
        place = next((index for index, tokens in enumerate(used) if tokens + len(row.ids) <= length), len(used))
        used += [0] * (place == len(used))
        spans.append((place * length + used[place], row))
        used[place] += len(row.ids)
    return spans
