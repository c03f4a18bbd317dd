"""SEAL's voting (docs/seal.md 3.5): the answers to several views of one test grid become at most two attempts."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import TypeVar

import numpy as np

from selfedit.domains.arc.prompts import Grid

ATTEMPTS = 2
FINALISTS = 3
"""Candidates that a bucket sends into the second vote."""

IDENTITY = "identity"

Item = TypeVar("Item", bound=Hashable)
Key = tuple[tuple[int, ...], bytes]


def vote(buckets: Mapping[str, Sequence[Grid]]) -> list[Grid]:
    """The most voted for, ATTEMPTS at most and none twice; nothing where there are no answers.

    `buckets`: view -> the answers that were given in it, turned back. First each bucket, and all answers together,
    choose their FINALISTS; then these are counted. Of equals the identity bucket's better one wins, then the earlier.
    """
    every = [grid for answers in buckets.values() for grid in answers]
    pool = [grid for answers in (*buckets.values(), every) for grid in finalists(answers)]
    preferred = [_key(grid) for grid in finalists(buckets.get(IDENTITY, ()))]
    grids = {_key(grid): grid for grid in pool}
    votes = _counted([_key(grid) for grid in pool])
    ranked = sorted(votes, key=lambda key: (-votes[key], _place(key, preferred)))  # stable: then the earlier
    return [grids[key] for key in ranked[:ATTEMPTS]]


def finalists(answers: Sequence[Grid]) -> list[Grid]:
    """The commonest answers; where there are fewer than FINALISTS, the majority by rows and by columns fill up."""
    grids = {_key(grid): grid for grid in reversed(answers)}
    votes = _counted([_key(grid) for grid in answers])
    found = [grids[key] for key in sorted(votes, key=lambda key: -votes[key])[:FINALISTS]]
    for filler in (majority(answers, by_rows) for by_rows in (True, False) if answers):
        if len(found) < FINALISTS and _key(filler) not in {_key(grid) for grid in found}:
            found.append(filler)
    return found


def majority(answers: Sequence[Grid], by_rows: bool) -> Grid:
    """Of the answers of the commonest size, the commonest first row (or column), second row and so on, as one grid."""
    size = _commonest([grid.shape for grid in answers])
    lines = [grid if by_rows else grid.T for grid in answers if grid.shape == size]
    chosen = [_commonest([tuple(grid[place].tolist()) for grid in lines]) for place in range(len(lines[0]))]
    whole = np.array(chosen, dtype=np.int_)
    return whole if by_rows else whole.T


def _counted(items: Sequence[Item]) -> dict[Item, int]:
    """How often each stands there, in the order in which they first came."""
    counts = dict.fromkeys(items, 0)
    for item in items:
        counts[item] += 1
    return counts


def _commonest(items: Sequence[Item]) -> Item:
    counts = _counted(items)
    return max(counts, key=lambda item: counts[item])  # of equals the first


def _key(grid: Grid) -> Key:
    return grid.shape, grid.tobytes()


def _place(key: Key, preferred: Sequence[Key]) -> int:
    return preferred.index(key) if key in preferred else len(preferred)
