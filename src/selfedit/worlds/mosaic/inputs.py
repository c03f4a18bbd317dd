"""Random grids for generated tasks: integer arrays [rows, columns] of colours 0 to 9, where 0 is the background."""

from __future__ import annotations

from random import Random

import numpy as np

from selfedit.domains.arc.prompts import Grid


def colours(rng: Random, count: int) -> list[int]:
    """Different colours, none the background."""
    return rng.sample(range(1, 10), count)


def noise(rng: Random, rows: int, columns: int, palette: list[int]) -> Grid:
    """Every cell a colour of the palette, and at least two of them where there are two."""
    cells = [rng.choice(palette) for _ in range(rows * columns)]
    if len(palette) > 1 and len(set(cells)) == 1:
        cells[rng.randrange(len(cells))] = next(colour for colour in palette if colour != cells[0])
    return np.array(cells).reshape(rows, columns)


def dots(rng: Random, rows: int, columns: int, palette: list[int], most: int = 0) -> Grid:
    """Single cells on the background: a third of the grid at most, or `most`."""
    grid = np.zeros((rows, columns), dtype=int)
    count = rng.randint(1, most or max(1, rows * columns // 3))
    for place in rng.sample(range(rows * columns), count):
        grid[divmod(place, columns)] = rng.choice(palette)
    return grid


def blocks(rng: Random, rows: int, columns: int, palette: list[int]) -> Grid:
    """One to three filled rectangles on the background, which may cover each other."""
    grid = np.zeros((rows, columns), dtype=int)
    for _ in range(rng.randint(1, 3)):
        height, width = rng.randint(1, max(1, rows // 2 + 1)), rng.randint(1, max(1, columns // 2 + 1))
        top, left = rng.randint(0, rows - height), rng.randint(0, columns - width)
        grid[top : top + height, left : left + width] = rng.choice(palette)
    return grid


def rectangle(rng: Random, rows: int, columns: int, palette: list[int]) -> Grid:
    """One filled rectangle on the background, 3 x 3 at least where the grid holds that."""
    grid = np.zeros((rows, columns), dtype=int)
    height, width = rng.randint(min(3, rows), rows), rng.randint(min(3, columns), columns)
    top, left = rng.randint(0, rows - height), rng.randint(0, columns - width)
    grid[top : top + height, left : left + width] = rng.choice(palette)
    return grid


def divided(rng: Random, rows: int, columns: int, palette: list[int]) -> Grid:
    """Two grids of dots side by side, with a line of the last colour between them: 2 * columns + 1 wide."""
    left, right = (dots(rng, rows, columns, palette[:1], most=max(1, rows * columns * 2 // 3)) for _ in range(2))
    return np.hstack([left, np.full((rows, 1), palette[-1]), right])
