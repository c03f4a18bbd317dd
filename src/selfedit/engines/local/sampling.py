"""Batched decoding with a key-value cache, many adapters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from selfedit.engines.local.lora import Adapter, attached, head_only_at, stack
from selfedit.engines.local.position_ids import PositionIds


@dataclass(frozen=True, slots=True)
class TokenizedRequest:
    """One continuation to sample: prompt ids, and how. `seed` gives it random numbers of its own."""

    ids: list[int]
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 64

    @property
    def length(self) -> int:
        """Tokens when it is done, at most."""
        return len(self.ids) + self.max_new_tokens

    @property
    def scored(self) -> int:
        """At how many of them logits are needed at once."""
        return 1


OnToken = Callable[[int, int], None]
"""Called with (tokens decoded, the most there can be)."""


@torch.no_grad()
def decode_together(
    model: PreTrainedModel,
    groups: Sequence[tuple[Adapter | None, Sequence[TokenizedRequest]]],
    stops: frozenset[int],
    on_token: OnToken,
) -> list[list[list[int]]]:
    """The new tokens of every ask, group by group, without the stop token.

    Either every group has an adapter or none has. Groups are padded to the one with most asks; a group leaves the batch
    when all its asks are answered. Each ask draws from its own generator, so what it gets does not depend on its
    neighbours (up to ties in rounding).
    """
    width = max(len(asks) for _, asks in groups)
    filler = TokenizedRequest([next(iter(stops))], max_new_tokens=0)
    asks = [ask for _, group in groups for ask in [*group, *[filler] * (width - len(group))]]
    with AttachedAdapters(model, [adapter for adapter, _ in groups if adapter]) as worn:
        tokens = _decode(model, asks, width, stops, on_token, worn)
    return [tokens[g * width : g * width + len(group)] for g, (_, group) in enumerate(groups)]


class AttachedAdapters(ExitStack):
    """The adapters attached to the model, one per group of rows; none if there are none."""

    def __init__(self, model: PreTrainedModel, adapters: Sequence[Adapter]) -> None:
        super().__init__()
        self.model, self.adapters = model, adapters
        self.keep(range(len(adapters)))

    def keep(self, groups: Sequence[int]) -> None:
        self.close()
        if self.adapters:
            self.adapters = [self.adapters[group] for group in groups]
            self.enter_context(attached(self.model, *stack(self.adapters)))


def _decode(
    model: PreTrainedModel,
    asks: Sequence[TokenizedRequest],
    width: int,
    stops: frozenset[int],
    on_token: OnToken,
    worn: AttachedAdapters,
) -> list[list[int]]:
    ids, mask = left_pad(asks, model.device)
    canvas = PositionIds(model)
    places = canvas.of(ids, mask)
    pick = _Picker(asks, model.device)
    limit = max(ask.max_new_tokens for ask in asks)
    cache = make_cache(model, ids.shape[1] + min(limit, 64))
    new: list[list[int]] = [[] for _ in asks]
    rows = list(range(len(asks)))  # the ask behind each row of the batch
    open_rows = [ask.max_new_tokens > 0 for ask in asks]
    for done in range(limit):
        with head_only_at(model, None):
            logits = model(
                input_ids=ids, attention_mask=mask, position_ids=places, past_key_values=cache, use_cache=True
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
        places = canvas.after(places[:, -1:], ids)
        groups = range(len(rows) // width)
        kept = [g for g in groups if any(open_rows[row] for row in rows[g * width : (g + 1) * width])]
        if len(kept) <= 0.8 * len(groups):  # dropping every group at once when it is done would cost more
            chosen = torch.tensor([g * width + place for g in kept for place in range(width)], device=ids.device)
            cache.batch_select_indices(chosen)
            worn.keep(kept)
            ids, mask, places = ids[chosen], mask[chosen], places[chosen]
            rows = [rows[index] for index in chosen.tolist()]
    return new


def make_cache(model: PreTrainedModel, room: int) -> DynamicCache:
    """Room for that many tokens at first. Layers with a sliding window keep transformers' own cache."""
    cache = DynamicCache(config=model.config)
    cache.layers = [_Layer(room) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class _Layer(DynamicLayer):
    """Keys and values [rows, heads, room, width] written in place; transformers' own are copied for every token."""

    def __init__(self, room: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.room, self.used = room, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.all_keys, self.all_values = key_states[:, :, :0], value_states[:, :, :0]
        new = slice(self.used, self.used + key_states.shape[2])
        if new.stop > self.all_keys.shape[2]:
            self.room = max(2 * self.used, new.stop, self.room)
            self.all_keys, self.all_values = self._larger(self.all_keys), self._larger(self.all_values)
        self.all_keys[:, :, new], self.all_values[:, :, new] = key_states, value_states
        self.used = new.stop
        self.keys, self.values = self.all_keys[:, :, : self.used], self.all_values[:, :, : self.used]
        return self.keys, self.values

    def _larger(self, states: Tensor) -> Tensor:
        rows, heads, _, width = states.shape
        larger = states.new_empty(rows, heads, self.room, width)
        larger[:, :, : self.used] = states[:, :, : self.used]
        return larger

    def batch_select_indices(self, indices: Tensor) -> None:
        super().batch_select_indices(indices)
        self.all_keys, self.all_values = self.all_keys[indices], self.all_values[indices]


def left_pad(asks: Sequence[TokenizedRequest], device: torch.device) -> tuple[Tensor, Tensor]:
    longest = max(len(ask.ids) for ask in asks)
    ids = torch.tensor([[0] * (longest - len(ask.ids)) + ask.ids for ask in asks], device=device)
    mask = torch.tensor([[0] * (longest - len(ask.ids)) + [1] * len(ask.ids) for ask in asks], device=device)
    return ids, mask


class _Picker:
    """Next tokens from logits: the likeliest at temperature 0, else one drawn from the top-p nucleus."""

    def __init__(self, asks: Sequence[TokenizedRequest], device: torch.device) -> None:
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
