"""Batched decoding with a key-value cache, many adapters at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.abilities import abilities
from selfedit.engines.local.generation import GenerationBatch
from selfedit.engines.local.lora import Adapter


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
    """The new tokens of every request, group by group, without the stop token.

    Either every group has an adapter or none has. Groups are padded to the largest; a group leaves the batch when all
    its requests are answered. Each request draws from its own generator, so what it gets does not depend on its
    neighbours (up to ties in rounding).
    """
    width = max(len(requests) for _, requests in groups)
    requests = [r for _, group in groups for r in [*group, *[_filler(group[0])] * (width - len(group))]]
    max_tokens = max(request.max_new_tokens for request in requests)
    new: list[list[int]] = [[] for _ in requests]
    is_open = [request.max_new_tokens > 0 for request in requests]
    rows = list(range(len(requests)))  # the request behind each row of the batch
    pick = _TokenPicker(requests, model.device)
    prompts, adapters = [request.ids for request in requests], [adapter for adapter, _ in groups if adapter]
    cached, gaps = abilities(model).caches, abilities(model).gaps
    with GenerationBatch(model, prompts, adapters, min(max_tokens, 64), cached, gaps) as batch:
        for step in range(max_tokens):
            tokens = pick(batch.logits(), rows, step)  # [rows]
            for index, token in zip(rows, tokens.tolist(), strict=True):
                if is_open[index] and token not in stops:
                    new[index].append(token)
                is_open[index] &= token not in stops and len(new[index]) < requests[index].max_new_tokens
            on_token(step + 1, max_tokens)
            if not any(is_open):
                break
            batch.append(tokens)
            rows = _drop_finished(batch, rows, width, is_open)
    return [new[g * width : g * width + len(group)] for g, (_, group) in enumerate(groups)]


def _filler(like: TokenizedRequest) -> TokenizedRequest:
    """A row that asks for nothing; it reads what a neighbour does, once for both."""
    return TokenizedRequest(like.ids, max_new_tokens=0)


def _drop_finished(batch: GenerationBatch, rows: list[int], width: int, is_open: Sequence[bool]) -> list[int]:
    """Take the groups that are finished out of the batch; the request behind each row that is left.

    Not before a fifth of them is finished: dropping each at once would cost more.
    """
    groups = range(len(rows) // width)
    kept = [g for g in groups if any(is_open[row] for row in rows[g * width : (g + 1) * width])]
    if len(kept) > 0.8 * len(groups):
        return rows
    selected = [row for g in kept for row in range(g * width, (g + 1) * width)]
    batch.select(selected, kept)
    return [rows[row] for row in selected]


class _TokenPicker:
    """Next tokens from logits: the likeliest at temperature 0, else one drawn from the top-p nucleus."""

    def __init__(self, requests: Sequence[TokenizedRequest], device: torch.device) -> None:
        self.temperature = torch.tensor([r.temperature for r in requests], dtype=torch.float64, device=device)
        self.top_p = torch.tensor([r.top_p for r in requests], dtype=torch.float64, device=device)
        self.is_random = any(request.temperature > 0 for request in requests)
        if self.is_random:
            longest = max(request.max_new_tokens for request in requests)
            self.uniform = torch.stack([_uniform(request.seed, longest) for request in requests]).to(device)

    def __call__(self, logits: Tensor, rows: Sequence[int], step: int) -> Tensor:
        """Tokens [rows] from logits [rows, vocabulary]."""
        likeliest = logits.argmax(dim=-1)
        if not self.is_random:
            return likeliest
        temperature, top_p = self.temperature[rows, None], self.top_p[rows, None]
        scaled = logits.double() / temperature.clamp(min=1e-6)
        probs, order = scaled.softmax(dim=-1).sort(dim=-1, descending=True, stable=True)
        before = probs.cumsum(dim=-1) - probs  # probability of all likelier tokens
        nucleus = probs.masked_fill(before >= top_p, 0.0).cumsum(dim=-1)
        threshold = self.uniform[rows, step, None] * nucleus[:, -1:]  # inverse transform sampling
        drawn = order.gather(1, torch.searchsorted(nucleus, threshold, right=True).clamp(max=order.shape[1] - 1))
        return torch.where(temperature[:, 0] > 0, drawn[:, 0], likeliest)


def _uniform(seed: int, count: int) -> Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
