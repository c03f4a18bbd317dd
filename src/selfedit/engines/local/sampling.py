"""Batched decoding with a key-value cache, many adapters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from selfedit.engines.local.stack import Adapter, attached, head_only_at, stack


@dataclass(frozen=True, slots=True)
class Ask:
    """One continuation to sample: prompt ids, and how. `seed` gives it random numbers of its own."""

    ids: list[int]
    seed: int
    temperature: float
    top_p: float
    max_new_tokens: int


OnToken = Callable[[int, int], None]
"""Called with (tokens decoded, the most there can be)."""


@torch.no_grad()
def decode_together(
    model: PreTrainedModel,
    groups: Sequence[tuple[Adapter | None, Sequence[Ask]]],
    stops: frozenset[int],
    on_token: OnToken,
) -> list[list[list[int]]]:
    """The new tokens of every ask, group by group, without the stop token.

    Either every group has an adapter or there is one group without. Groups are padded to the one with most asks. Each
    ask draws from its own generator, so what it gets does not depend on its neighbours (up to ties in rounding).
    """
    width = max(len(asks) for _, asks in groups)
    filler = Ask([next(iter(stops))], 0, 0.0, 1.0, 0)
    asks = [ask for _, group in groups for ask in [*group, *[filler] * (width - len(group))]]
    adapters = [adapter for adapter, _ in groups if adapter]
    with attached(model, *stack(adapters)) if adapters else nullcontext():
        tokens = _decode(model, asks, stops, on_token, can_shrink=not adapters)
    return [tokens[g * width : g * width + len(group)] for g, (_, group) in enumerate(groups)]


def _decode(
    model: PreTrainedModel, asks: Sequence[Ask], stops: frozenset[int], on_token: OnToken, can_shrink: bool
) -> list[list[int]]:
    ids, mask = _left_pad(asks, model.device)
    pick = _Picker(asks, model.device)
    cache = DynamicCache(config=model.config)
    new: list[list[int]] = [[] for _ in asks]
    rows = list(range(len(asks)))  # the ask behind each row of the batch
    open_rows = [ask.max_new_tokens > 0 for ask in asks]
    limit = max(ask.max_new_tokens for ask in asks)
    for done in range(limit):
        positions = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        with head_only_at(model, None):
            logits = model(
                input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True
            ).logits
        tokens = pick(logits, rows, done)
        for ask, token in zip(rows, tokens.tolist(), strict=True):
            if open_rows[ask]:
                open_rows[ask] = token not in stops
                if open_rows[ask]:
                    new[ask].append(token)
                    open_rows[ask] = len(new[ask]) < asks[ask].max_new_tokens
        on_token(done + 1, limit)
        if not any(open_rows):
            break
        ids, mask = tokens[:, None], torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
        kept = [index for index, ask in enumerate(rows) if open_rows[ask]]
        if can_shrink and len(kept) <= 0.7 * len(rows):  # finished rows leave; dropping them one by one would cost more
            chosen = torch.tensor(kept, device=ids.device)
            cache.batch_select_indices(chosen)
            ids, mask, rows = ids[chosen], mask[chosen], [rows[index] for index in kept]
    return new


def _left_pad(asks: Sequence[Ask], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(len(ask.ids) for ask in asks)
    ids = torch.tensor([[0] * (longest - len(ask.ids)) + ask.ids for ask in asks], device=device)
    mask = torch.tensor([[0] * (longest - len(ask.ids)) + [1] * len(ask.ids) for ask in asks], device=device)
    return ids, mask


class _Picker:
    """Next tokens from logits: the likeliest at temperature 0, else one drawn from the top-p nucleus."""

    def __init__(self, asks: Sequence[Ask], device: torch.device) -> None:
        self.temperature = torch.tensor([ask.temperature for ask in asks], dtype=torch.float64, device=device)
        self.top_p = torch.tensor([ask.top_p for ask in asks], dtype=torch.float64, device=device)
        self.sampled = any(ask.temperature > 0 for ask in asks)
        if self.sampled:
            longest = max(ask.max_new_tokens for ask in asks)
            self.uniform = torch.stack([_uniform(ask.seed, longest) for ask in asks]).to(device)

    def __call__(self, logits: Tensor, rows: Sequence[int], step: int) -> Tensor:
        likeliest = logits.argmax(dim=-1)
        if not self.sampled:
            return likeliest
        temperature, top_p = self.temperature[rows, None], self.top_p[rows, None]
        scaled = logits.double() / temperature.clamp(min=1e-6)
        probabilities, order = scaled.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        before = probabilities.cumsum(dim=-1) - probabilities
        nucleus = probabilities.masked_fill(before >= top_p, 0.0).cumsum(dim=-1)
        threshold = self.uniform[rows, step, None] * nucleus[:, -1:]
        drawn = order.gather(1, torch.searchsorted(nucleus, threshold, right=True).clamp(max=order.shape[1] - 1))
        return torch.where(temperature[:, 0] > 0, drawn[:, 0], likeliest)


def _uniform(seed: int, count: int) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
