"""Grids, and the training tasks that are made of a few of them: pure functions on integer arrays [rows, columns].

A pair is an input and its output. A row is pairs of one task, of which the last is asked and the others are shown.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import combinations
from typing import TypeVar

import numpy as np

from selfedit.domains.arc.prompts import Grid, Pair

Row = tuple[Pair, ...]
Map = Callable[[Grid], Grid]
Key = tuple[tuple[tuple[int, ...], bytes], ...]
Item = TypeVar("Item")
Rng = np.random.RandomState
"""numpy's first generator, because its stream is promised never to change."""

COLOURS, SIDE = 10, 30
"""Colours are 0 to 9, of which 0 is the background; no side is longer than 30 (ARC-AGI)."""


def to_grid(value: object) -> Grid:
    """Lists of lists of colours -> an array. Raises ValueError with what is wrong.

    to_grid([[0, 1], [2, 3]]) -> array([[0, 1], [2, 3]])
    """
    if not isinstance(value, list) or not value or not all(isinstance(row, list) for row in value):
        raise ValueError("a grid is a list of rows, each a list of colours")
    if len({len(row) for row in value}) > 1:
        raise ValueError(f"the grid is ragged: its rows have {reprlib.repr(sorted({len(row) for row in value}))} cells")
    if not 1 <= len(value[0]) <= SIDE or len(value) > SIDE:
        raise ValueError(f"a grid has 1 to {SIDE} rows and columns; this one has {len(value)} x {len(value[0])}")
    for cell in (cell for row in value for cell in row):
        if type(cell) is not int or not 0 <= cell < COLOURS:
            raise ValueError(f"a cell is a whole number from 0 to 9; one here is {reprlib.repr(cell)}")
    return np.array(value, dtype=np.int_)


# Maps from grid to grid


def mirrored(grid: Grid, axis: int, first: bool = False) -> Grid:
    """The grid and its mirror image, joined along the axis; the image `first` or second."""
    image = np.flip(grid, axis)
    return np.concatenate([image, grid] if first else [grid, image], axis)


def enlarged(grid: Grid, rows: int = 2, columns: int = 2) -> Grid:
    """Every cell as a block of this size."""
    return grid.repeat(rows, axis=0).repeat(columns, axis=1)


def then_enlarged(first: Map, grid: Grid) -> Grid:
    return enlarged(first(grid))


transposed: Map = np.transpose
turned: Callable[..., Grid] = np.rot90
"""By `k` quarter turns against the clock."""

_TURNS: dict[str, Map] = {
    "rotate 90": partial(turned, k=1),
    "rotate 270": partial(turned, k=3),
    "rotate 180": partial(turned, k=2),
    "flip 0": partial(np.flip, axis=0),
    "flip 1": partial(np.flip, axis=1),
    "transpose": transposed,
}

Augmentation = Callable[[Row, Rng], Row]
"""A row of pairs -> the same task in another shape: whatever is done to an input is done to its output."""


def mapped(how: Map) -> Augmentation:
    """Every grid of the row by the same map."""
    return lambda row, rng: tuple((how(grid), how(output)) for grid, output in row)


def translated(row: Row, rng: Rng) -> Row:
    """Every pair rolled by a random shift of its own, the same for input and output, and never none at all.

    SEAL shifts input and output differently and draws the same shifts each time (docs/seal.md 6.3, defect 21).
    """
    shifts = [divmod(_draw(grid.size, rng), grid.shape[1]) for grid, _ in row]
    return tuple(
        (np.roll(grid, shift, (0, 1)), np.roll(output, shift, (0, 1)))
        for shift, (grid, output) in zip(shifts, row, strict=True)
    )


def _draw(cells: int, rng: Rng) -> int:
    return int(rng.randint(1, cells)) if cells > 1 else 0


AUGMENTATIONS: dict[str, dict[str, Augmentation]] = {
    "basic": {
        **{name: mapped(turn) for name, turn in _TURNS.items()},
        "mirror 0": mapped(partial(mirrored, axis=0)),
        "mirror 1": mapped(partial(mirrored, axis=1)),
        "mirror 0, image first": mapped(partial(mirrored, axis=0, first=True)),
        "mirror 1, image first": mapped(partial(mirrored, axis=1, first=True)),
        "translate": translated,
    },
    "size": {
        "twice as large": mapped(enlarged),
        "twice as high": mapped(partial(enlarged, columns=1)),
        "twice as wide": mapped(partial(enlarged, rows=1)),
    },
    "chain": {f"{name}, twice as large": mapped(partial(then_enlarged, turn)) for name, turn in _TURNS.items()},
    "repeat": {
        "repeat 0": mapped(partial(np.tile, reps=(2, 1))),
        "repeat 1": mapped(partial(np.tile, reps=(1, 2))),
        "repeat both": mapped(partial(np.tile, reps=(2, 2))),
    },
}
"""SEAL's 23 augmentations in their four groups (docs/seal.md 3.3)."""

VIEWS: dict[str, tuple[Map, Map]] = {
    "identity": (np.asarray, np.asarray),
    "transpose": (transposed, transposed),
    "flip 0": (_TURNS["flip 0"], _TURNS["flip 0"]),
    "flip 1": (_TURNS["flip 1"], _TURNS["flip 1"]),
    "rotate 90": (_TURNS["rotate 90"], _TURNS["rotate 270"]),
    "rotate 180": (_TURNS["rotate 180"], _TURNS["rotate 180"]),
}
"""How a test grid is shown, and how what is answered is shown back (docs/seal.md 3.5)."""


def recoloured(row: Row, rng: Rng) -> Row:
    """The colours 1 to 9 permuted, for the whole row alike; the background stays."""
    colours = np.concatenate([[0], 1 + rng.permutation(COLOURS - 1)])
    return tuple((colours[grid], colours[output]) for grid, output in row)


def reordered(row: Row, rng: Rng) -> Row:
    """What is shown in another order, which may be the same; what is asked stays last."""
    return (*(row[place] for place in rng.permutation(len(row) - 1)), row[-1])


# Training tasks


def leave_out(pairs: Sequence[Pair], count: int) -> list[Row]:
    """Each pair in turn as what is asked, after the others but for `count` - 1 of them, in their order.

    Of N pairs that makes N rows for 1 and N (N - 1) for 2.
    """
    rows = []
    for asked, pair in enumerate(pairs):
        others = [other for place, other in enumerate(pairs) if place != asked]
        rows += [(*shown, pair) for shown in _without(others, count - 1)]
    return rows


def _without(pairs: Sequence[Pair], count: int) -> Iterable[Sequence[Pair]]:
    for dropped in combinations(range(len(pairs)), count):
        yield [pair for place, pair in enumerate(pairs) if place not in dropped]


def unique(rows: Iterable[Row]) -> list[Row]:
    """Each row once, in the order in which they came."""
    first: dict[Key, Row] = {}
    for row in rows:
        first.setdefault(key(row), row)
    return list(first.values())


def key(row: Row) -> Key:
    return tuple((grid.shape, grid.tobytes()) for pair in row for grid in pair)


def training_rows(
    pairs: Sequence[Pair],
    groups: Sequence[str],
    seed: int,
    leave_two: bool = True,
    copies: int = 1,
    max_side: int = SIDE,
) -> list[Row]:
    """What a plan trains on (docs/seal.md 3.3, steps 1 to 3): rows with one pair left out, then those with two.

    `groups` are keys of AUGMENTATIONS. Every row comes again in `copies` other orders, with other colours if there are
    any groups. A single pair makes no row: there is nothing to show before it.
    """
    augmentations = [how for group in groups for how in AUGMENTATIONS[group].values()]
    rows: list[Row] = []
    for count in range(1, 2 + leave_two) if len(pairs) > 1 else []:
        rng = Rng(seed)
        plain = leave_out(pairs, count)
        plain += [how(row, rng) for how in augmentations for row in plain]
        plain = unique(row for row in plain if _fits(row, max_side))
        again = [row for _ in range(copies) for row in plain]
        rows += unique([*plain, *(reordered(recoloured(row, rng) if groups else row, rng) for row in again)])
    return rows


def _fits(row: Row, max_side: int) -> bool:
    return all(max(grid.shape) <= max_side for pair in row for grid in pair)


def capped(items: Sequence[Item], limit: int, seed: int) -> list[Item]:
    """`limit` of the items, drawn by chance, where there are more."""
    if len(items) <= limit:
        return list(items)
    return [items[place] for place in Rng(seed).permutation(len(items))[:limit]]
