"""Which beginnings prompts share: each is read once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

LEAST = 64
"""Tokens that sharing must save at least: less is not worth one more run of the model."""


class PrefillStage(NamedTuple):
    """What is read next: the row before from which each row goes on (of none in the first stage), and its tokens."""

    rows: list[int]
    texts: list[list[int]]

    @property
    def width(self) -> int:
        return max(map(len, self.texts))


def stages(prompts: Sequence[list[int]], groups: int, only_equal: bool) -> list[PrefillStage]:
    """How to read prompts so that beginnings they share are read once for all rows of a group that have them.

    Rows are laid out group by group, as many of each, in every stage. With `only_equal` no row has padding between what
    it shares and the rest: prompts of a group share only if they are equal, up to the last token.
    """
    size, whole = len(prompts) // groups, PrefillStage([], list(prompts))
    of_groups = [prompts[g * size : (g + 1) * size] for g in range(groups)]
    lengths = [length for own in of_groups for length in shared_lengths(own, only_equal)]
    cut = [tuple(ids[:length]) for ids, length in zip(prompts, lengths, strict=True)]
    distinct = [list(dict.fromkeys(cut[g * size : (g + 1) * size])) for g in range(groups)]
    width = max(map(len, distinct))
    beginnings = [list(ids) for own in distinct for ids in own + own[-1:] * (width - len(own))]
    rows = [index // size * width + distinct[index // size].index(ids) for index, ids in enumerate(cut)]
    rest = PrefillStage(rows, [ids[length:] for ids, length in zip(prompts, lengths, strict=True)])
    saved = len(prompts) * (whole.width - rest.width) - len(beginnings) * max(map(len, beginnings))
    if saved < LEAST or not all(beginnings):
        return [whole]
    return [*stages(beginnings, groups, only_equal), rest]


class _Set(NamedTuple):
    """Prompts, by their indices, and how many tokens all of them begin with."""

    indices: list[int]
    length: int


def shared_lengths(prompts: Sequence[list[int]], only_equal: bool) -> list[int]:
    """How many tokens of each prompt are to be read once for all prompts that begin with them; its last is not among
    them. Prompts that are cut to the same beginning share it. With `only_equal` they must be equal as a whole.

    Every prompt begins as a set of its own; the two neighbours, in the order of their tokens, whose union saves the
    most are united, until none does.
    """
    order = sorted(range(len(prompts)), key=prompts.__getitem__)
    sets = [_Set([index], len(prompts[index]) - 1) for index in order]
    common = [_common(prompts[a], prompts[b]) for a, b in pairwise(order)]  # of sets that touch

    def saved(at: int) -> int:
        """Tokens that the union of two neighbours saves: a beginning less to read, but a shorter one."""
        first, second = sets[at : at + 2]
        length = min(first.length, second.length, common[at])
        lost = [len(of.indices) * (of.length - length) for of in (first, second)]
        return -1 if only_equal and any(lost) else first.length + second.length - length - sum(lost)

    while common and saved(best := max(range(len(common)), key=saved)) > 0:
        first, second = sets[best : best + 2]
        length = min(first.length, second.length, common.pop(best))
        sets[best : best + 2] = [_Set(first.indices + second.indices, length)]
    lengths = {index: of.length for of in sets for index in of.indices}
    return [lengths[index] for index in range(len(prompts))]


def _common(first: list[int], second: list[int]) -> int:
    """With how many equal tokens they begin."""
    pairs = enumerate(zip(first, second, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(first), len(second)))
