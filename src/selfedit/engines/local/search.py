"""All likely continuations of a prompt, many prompts and adapters at once.

Depth-first search as in *Product of Experts with LLMs* (arXiv 2505.07859, section 3) finds every text whose probability
is at least a bound. Breadth first finds the same set, and every step is one batch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.abilities import abilities
from selfedit.engines.local.generation import GenerationBatch
from selfedit.engines.local.lora import Adapter
from selfedit.engines.local.sampling import TokenizedRequest


@dataclass(frozen=True, slots=True)
class Beam:
    """A beginning of a continuation: its request, its tokens, its log-probability (nats), and its row in the batch."""

    request: int
    tokens: tuple[int, ...] = ()
    log_p: float = 0.0
    row: int = 0


@torch.no_grad()
def search_together(
    model: PreTrainedModel,
    groups: Sequence[tuple[Adapter | None, Sequence[TokenizedRequest]]],
    stops: frozenset[int],
    min_probability: float,
) -> list[list[list[list[int]]]]:
    """Every continuation that ends within the request's limit with at least this probability; the likeliest first.

    Group by group, request by request, without the stop token, whose probability counts. Either every group has an
    adapter or none has. `min_probability` lies in (0, 1); at most 1 / `min_probability` beams of a request are followed
    at a time.
    """
    requests = [request for _, group in groups for request in group]
    indices = iter(range(len(requests)))
    beams = [[Beam(next(indices)) for _ in group] for _, group in groups]
    prompts = [requests[beam.request].ids for beam in _padded(beams)]
    adapters, able = [adapter for adapter, _ in groups if adapter], abilities(model)
    with GenerationBatch(model, prompts, adapters, 64, able.caches, able.gaps) as batch:
        finished = _search(batch, requests, beams, stops, math.log(min_probability))
    found: list[list[list[int]]] = [[] for _ in requests]
    for beam in sorted(finished, key=lambda beam: (-beam.log_p, beam.tokens)):
        found[beam.request].append(list(beam.tokens))
    ordered = iter(found)
    return [[next(ordered) for _ in group] for _, group in groups]


def _search(
    batch: GenerationBatch,
    requests: Sequence[TokenizedRequest],
    groups: list[list[Beam]],
    stops: frozenset[int],
    min_log_p: float,
) -> list[Beam]:
    """The beams that reached a stop token, without it. In the batch every group has as many rows as the largest."""
    finished: list[Beam] = []
    while True:
        log_p = batch.logits().double().log_softmax(dim=-1).cpu()  # [rows, vocabulary]
        width = len(log_p) // len(groups)
        grown = [
            [longer for i, beam in enumerate(beams) for longer in _extensions(beam, g * width + i, log_p, min_log_p)]
            for g, beams in enumerate(groups)
        ]
        for beam in (beam for beams in grown for beam in beams if beam.tokens[-1] in stops):
            finished.append(replace(beam, tokens=beam.tokens[:-1]))
        going_on = [
            [b for b in beams if b.tokens[-1] not in stops and len(b.tokens) <= requests[b.request].max_new_tokens]
            for beams in grown
        ]
        kept = [g for g, beams in enumerate(going_on) if beams]
        if not kept:
            return finished
        groups = [going_on[g] for g in kept]
        rows = _padded(groups)
        batch.select([beam.row for beam in rows], kept)
        batch.append(torch.tensor([beam.tokens[-1] for beam in rows], device=batch.ids.device))


def _extensions(beam: Beam, row: int, log_p: Tensor, min_log_p: float) -> Iterator[Beam]:
    """The beam, which is in this row of the batch, with each token that keeps it likely enough."""
    of_next = log_p[row]
    tokens = torch.nonzero(of_next >= min_log_p - beam.log_p)[:, 0].tolist()
    for token, token_log_p in zip(tokens, of_next[tokens].tolist(), strict=True):
        yield Beam(beam.request, (*beam.tokens, token), beam.log_p + token_log_p, row)


def _padded(groups: Sequence[list[Beam]]) -> list[Beam]:
    """One beam for each row of the batch: shorter groups repeat their last."""
    width = max(len(beams) for beams in groups)
    return [beam for beams in groups for beam in beams + beams[-1:] * (width - len(beams))]
