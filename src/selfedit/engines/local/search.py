"""All likely continuations of a prompt, many prompts and adapters at once.

Depth-first search as in *Product of Experts with LLMs* (arXiv 2505.07859, section 3) finds every text whose probability
is at least a bound. Breadth first finds the same set, and every step is one batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.lora import Adapter, head_only_at
from selfedit.engines.local.position_ids import PositionIds
from selfedit.engines.local.sampling import AttachedAdapters, TokenizedRequest, left_pad, make_cache

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True)
class Beam:
    """A beginning of a continuation: whose it is, its tokens, and its log-probability (nats)."""

    ask: int
    tokens: tuple[int, ...]
    log_p: float


@torch.no_grad()
def search_together(
    model: PreTrainedModel,
    groups: Sequence[tuple[Adapter | None, Sequence[TokenizedRequest]]],
    stops: frozenset[int],
    least: float,
) -> list[list[list[list[int]]]]:
    """Every continuation that ends within the ask's limit with at least this probability; the likeliest first.

    Group by group, ask by ask, without the stop token, whose probability counts. Either every group has an adapter or
    none has. `least` lies in (0, 1); at most 1 / `least` beginnings of an ask are followed at a time.
    """
    asks = [ask for _, group in groups for ask in group]
    places, beams = iter(range(len(asks))), list[list[Beam]]()
    for _, group in groups:
        beams.append([Beam(next(places), (), 0.0) for _ in group])
    with AttachedAdapters(model, [adapter for adapter, _ in groups if adapter]) as worn:
        ended = _grow(_Batch(model, asks, beams, worn), stops, math.log(least))
    found: list[list[Beam]] = [[] for _ in asks]
    for beam in sorted(ended, key=lambda beam: (-beam.log_p, beam.tokens)):
        found[beam.ask].append(beam)
    ordered = iter(found)
    return [[[list(beam.tokens) for beam in next(ordered)] for _ in group] for _, group in groups]


def _grow(batch: _Batch, stops: frozenset[int], least: float) -> list[Beam]:
    """The beams that reached a stop."""
    ended: list[Beam] = []
    while batch.groups:
        log_p, grown = batch.step(), list[list[tuple[int, Beam]]]()
        for number, beams in enumerate(batch.groups):
            longer = list[tuple[int, Beam]]()
            for row, beam in enumerate(beams, start=number * batch.width):
                for token, of_token in _likely(log_p[row], least - beam.log_p):
                    if token in stops:
                        ended.append(replace(beam, log_p=beam.log_p + of_token))
                    elif len(beam.tokens) < batch.asks[beam.ask].max_new_tokens:
                        longer.append((row, Beam(beam.ask, (*beam.tokens, token), beam.log_p + of_token)))
            grown.append(longer)
        batch.follow(grown)
    return ended


def _likely(log_p: Tensor, least: float) -> list[tuple[int, float]]:
    tokens = torch.nonzero(log_p >= least)[:, 0].tolist()
    return list(zip(tokens, log_p[tokens].tolist(), strict=True))


class _Batch:
    """The beams of every group, side by side: `width` rows for each group, of which the last may repeat."""

    def __init__(
        self, model: PreTrainedModel, asks: Sequence[TokenizedRequest], groups: list[list[Beam]], worn: AttachedAdapters
    ) -> None:
        self.model, self.asks, self.groups, self.worn = model, asks, groups, worn
        self.width = max(len(beams) for beams in groups)
        laid = [asks[beam.ask] for beams in groups for beam in _filled(beams, self.width)]
        self.ids, self.mask = left_pad(laid, model.device)
        self.canvas, self.cache = PositionIds(model), make_cache(model, self.ids.shape[1] + 64)
        self.places = self.canvas.of(self.ids, self.mask)

    def step(self) -> Tensor:
        """The log-probabilities [rows, vocabulary] of what can come next, on the CPU."""
        with head_only_at(self.model, None):
            logits: Tensor = self.model(
                input_ids=self.ids,
                attention_mask=self.mask,
                position_ids=self.places,
                past_key_values=self.cache,
                use_cache=True,
            ).logits
        return logits.double().log_softmax(dim=-1).cpu()

    def follow(self, grown: list[list[tuple[int, Beam]]]) -> None:
        """Go on with these beams, each from the row that it grew from; groups without any leave the batch."""
        kept = [number for number, longer in enumerate(grown) if longer]
        alive = [grown[number] for number in kept]
        self.width = max((len(longer) for longer in alive), default=0)
        laid = [pair for longer in alive for pair in _filled(longer, self.width)]
        if laid:
            rows = torch.tensor([row for row, _ in laid], device=self.ids.device)
            self.cache.batch_select_indices(rows)
            if len(kept) < len(self.groups):
                self.worn.keep(kept)
            self.ids = torch.tensor([[beam.tokens[-1]] for _, beam in laid], device=self.ids.device)
            self.mask = torch.cat([self.mask[rows], self.mask.new_ones(len(laid), 1)], dim=1)
            self.places = self.canvas.after(self.places[rows, -1:], self.ids)
        self.groups = [[beam for _, beam in longer] for longer in alive]


def _filled(items: list[ItemT], width: int) -> list[ItemT]:
    return items + items[-1:] * (width - len(items))
