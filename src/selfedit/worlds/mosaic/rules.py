"""What generated tasks ask for: pure functions from grid to grid, most with a parameter that the task fixes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from selfedit.domains.arc.prompts import Grid


def recoloured(grid: Grid, mapping: Mapping[int, int]) -> Grid:
    """Every cell by the mapping; colours that it does not name stay."""
    table = np.arange(10)
    for old, new in mapping.items():
        table[old] = new
    return table[grid]


def shifted(grid: Grid, down: int, right: int) -> Grid:
    """Moved without coming back on the other side; what is left free is background."""
    out = np.zeros_like(grid)
    rows, columns = grid.shape
    out[max(down, 0) : rows + min(down, 0), max(right, 0) : columns + min(right, 0)] = grid[
        max(-down, 0) : rows + min(-down, 0), max(-right, 0) : columns + min(-right, 0)
    ]
    return out


def framed(grid: Grid, colour: int) -> Grid:
    """The outermost cells in one colour."""
    out = grid.copy()
    out[[0, -1], :] = colour
    out[:, [0, -1]] = colour
    return out


def padded(grid: Grid, colour: int) -> Grid:
    """A frame around the grid: two rows and columns more."""
    return np.pad(grid, 1, constant_values=colour)


def fallen(grid: Grid, turns: int) -> Grid:
    """Coloured cells fall to the bottom after `turns` quarter turns, and are turned back: 0 falls down, 1 left."""
    turned = np.rot90(grid, turns)
    out = np.zeros_like(turned)
    for column in range(turned.shape[1]):
        cells = turned[:, column][turned[:, column] != 0]
        out[turned.shape[0] - len(cells) :, column] = cells
    return np.rot90(out, -turns)


def rays(grid: Grid, directions: str) -> Grid:
    """Every coloured cell sends its colour in these directions (u, d, l, r) over the background."""
    out = grid.copy()
    for row, column in np.argwhere(grid):
        lines = {"u": (slice(0, row), column), "d": (slice(row, None), column)}
        lines |= {"l": (row, slice(0, column)), "r": (row, slice(column, None))}
        for direction in directions:
            line = out[lines[direction]]
            line[line == 0] = grid[row, column]
    return out


def diagonals(grid: Grid, step: int) -> Grid:
    """Every coloured cell spreads along one diagonal: `step` 1 falls to the right, -1 to the left."""
    out = grid.copy()
    rows, columns = grid.shape
    for row, column in np.argwhere(grid):
        for other in range(rows):
            along = column + step * (other - row)
            if 0 <= along < columns and not out[other, along]:
                out[other, along] = grid[row, column]
    return out


def around(grid: Grid, colour: int, corners: bool) -> Grid:
    """The free neighbours of coloured cells get one colour; with `corners` diagonal ones too."""
    out = grid.copy()
    steps = [(1, 0), (-1, 0), (0, 1), (0, -1)] + corners * [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    for down, right in steps:
        near = shifted(grid, down, right)
        out[(near != 0) & (out == 0)] = colour
    return out


def inside(grid: Grid, colour: int) -> Grid:
    """Cells whose four neighbours all have a colour get this one."""
    filled = grid != 0
    deep = filled.copy()
    for down, right in [(1, 0), (-1, 0), (0, 1), (0, -1)]:
        deep &= shifted(filled.astype(int), down, right).astype(bool)
    return np.where(deep, colour, grid)


def cropped(grid: Grid) -> Grid:
    """The smallest rectangle that holds every coloured cell; the grid has one."""
    rows, columns = np.flatnonzero(grid.any(axis=1)), np.flatnonzero(grid.any(axis=0))
    return grid[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def commonest(grid: Grid) -> int:
    """The colour with most cells; of several the smallest."""
    return int(np.bincount(grid.ravel()).argmax())


def combined(grid: Grid, colour: int, how: str) -> Grid:
    """Of two halves with a line between them: where both are coloured, one is, just one is, or none is."""
    half = grid.shape[1] // 2
    left, right = grid[:, :half] != 0, grid[:, half + 1 :] != 0
    chosen = {"and": left & right, "or": left | right, "xor": left ^ right, "nor": ~(left | right)}[how]
    return np.where(chosen, colour, 0)


def connected(grid: Grid) -> Grid:
    """Background between two cells of one colour in a row gets that colour."""
    out = grid.copy()
    for row in range(grid.shape[0]):
        places = np.flatnonzero(grid[row])
        for left, right in pairwise(places):
            if grid[row, left] == grid[row, right]:
                out[row, left:right] = grid[row, left]
    return out


def symmetric(grid: Grid, axis: int) -> Grid:
    """What is on one side is on the other too."""
    return np.where(grid != 0, grid, np.flip(grid, axis))


def checked(grid: Grid, colour: int, odd: int) -> Grid:
    """Every other background cell gets a colour."""
    rows, columns = np.indices(grid.shape)
    return np.where((grid == 0) & ((rows + columns) % 2 == odd), colour, grid)
