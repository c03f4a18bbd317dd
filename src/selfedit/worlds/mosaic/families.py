"""Families of tasks. A family draws a task's rule and the kind of its inputs; the rule makes the outputs.

`TRAINING` is what the embedded model is trained on. It never sees `DEVELOPMENT`, by which settings are chosen, nor
`HELD_OUT`, by which results are reported: most of these do two things at once that training does one at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from random import Random

import numpy as np

from selfedit.domains.arc.prompts import Grid, Pair
from selfedit.worlds.mosaic import rules
from selfedit.worlds.mosaic.inputs import blocks, colours, divided, dots, noise, rectangle

Rule = Callable[[Grid], Grid]
Inputs = Callable[[Random, int, int, list[int]], Grid]
Family = Callable[[Random], tuple[Rule, Inputs, list[int]]]
"""A random generator -> the task's rule, how its inputs are made, and of which colours."""


def _any(rng: Random) -> Inputs:
    return rng.choice([noise, dots, blocks])


def plain(rule: Rule, inputs: Inputs | None = None, most: int = 4) -> Family:
    """A rule without parameters."""
    return lambda rng: (rule, inputs or _any(rng), colours(rng, rng.randint(2, most)))


def with_colour(rule: Callable[[Grid, int], Grid], inputs: Inputs | None = None) -> Family:
    """A rule with a colour of its own, which the inputs do not have."""

    def family(rng: Random) -> tuple[Rule, Inputs, list[int]]:
        colour, *palette = colours(rng, rng.randint(2, 4))
        return partial(_applied, rule, colour), inputs or _any(rng), palette

    return family


def _applied(rule: Callable[[Grid, int], Grid], colour: int, grid: Grid) -> Grid:
    return rule(grid, colour)


def mapped(how: Callable[[Random, list[int]], dict[int, int]], then: Rule = lambda grid: grid) -> Family:
    """A recolouring of the palette, and a rule after it."""

    def family(rng: Random) -> tuple[Rule, Inputs, list[int]]:
        palette = colours(rng, rng.randint(2, 4))
        mapping = how(rng, palette)
        return (lambda grid: then(rules.recoloured(grid, mapping))), _any(rng), palette

    return family


def swap(rng: Random, palette: list[int]) -> dict[int, int]:
    return {palette[0]: palette[1], palette[1]: palette[0]}


def replace(rng: Random, palette: list[int]) -> dict[int, int]:
    return {palette[0]: rng.choice([colour for colour in range(1, 10) if colour not in palette])}


def cycle(rng: Random, palette: list[int]) -> dict[int, int]:
    return dict(zip(palette, palette[1:] + palette[:1], strict=True))


def renew(rng: Random, palette: list[int]) -> dict[int, int]:
    """Every colour becomes another one, none of them in the palette."""
    return dict(zip(palette, rng.sample([c for c in range(1, 10) if c not in palette], len(palette)), strict=True))


def remove(rng: Random, palette: list[int]) -> dict[int, int]:
    return {palette[0]: 0}


def keep(rng: Random, palette: list[int]) -> dict[int, int]:
    return dict.fromkeys(palette[1:], 0)


def one_colour(rng: Random, palette: list[int]) -> dict[int, int]:
    return dict.fromkeys(palette, rng.choice([colour for colour in range(1, 10) if colour not in palette]))


def _half(grid: Grid, axis: int, end: bool) -> Grid:
    size = grid.shape[axis] // 2
    return grid.take(range(grid.shape[axis] - size, grid.shape[axis]) if end else range(size), axis)


def _filled(grid: Grid) -> Grid:
    return np.full_like(grid, rules.commonest(grid))


def _header(grid: Grid) -> Grid:
    """The first row in every row."""
    return np.tile(grid[:1], (grid.shape[0], 1))


def _first_column(grid: Grid) -> Grid:
    return np.tile(grid[:, :1], (1, grid.shape[1]))


flip_rows, flip_columns = np.flipud, np.fliplr
half_turn: Rule = partial(np.rot90, k=2)

TRAINING: dict[str, Family] = {
    "swap colours": mapped(swap),
    "replace a colour": mapped(replace),
    "flip columns": plain(flip_columns),
    "flip rows": plain(flip_rows),
    "cycle colours": mapped(cycle),
    "renew colours": mapped(renew),
    "half turn": plain(half_turn),
    "quarter turn": plain(partial(np.rot90, k=1)),
    "three quarter turn": plain(partial(np.rot90, k=3)),
    "transpose": plain(np.transpose),
    "anti-transpose": plain(lambda grid: np.rot90(grid, 2).T),
    "remove a colour": mapped(remove),
    "keep a colour": mapped(keep),
    "one colour": mapped(one_colour),
    "roll right": plain(partial(np.roll, shift=1, axis=1)),
    "roll left": plain(partial(np.roll, shift=-1, axis=1)),
    "roll down": plain(partial(np.roll, shift=1, axis=0)),
    "shift right": plain(partial(rules.shifted, down=0, right=1)),
    "shift left": plain(partial(rules.shifted, down=0, right=-1)),
    "shift down": plain(partial(rules.shifted, down=1, right=0)),
    "shift up": plain(partial(rules.shifted, down=-1, right=0)),
    "mirror to the right": plain(lambda grid: np.hstack([grid, np.fliplr(grid)])),
    "mirror below": plain(lambda grid: np.vstack([grid, np.flipud(grid)])),
    "repeat to the right": plain(lambda grid: np.hstack([grid, grid])),
    "repeat below": plain(lambda grid: np.vstack([grid, grid])),
    "double columns": plain(lambda grid: grid.repeat(2, axis=1)),
    "double rows": plain(lambda grid: grid.repeat(2, axis=0)),
    "left half": plain(partial(_half, axis=1, end=False)),
    "top half": plain(partial(_half, axis=0, end=False)),
    "bottom half": plain(partial(_half, axis=0, end=True)),
    "frame": with_colour(rules.framed),
    "pad": with_colour(rules.padded),
    "fall down": plain(partial(rules.fallen, turns=0), dots),
    "fall left": plain(partial(rules.fallen, turns=1), dots),
    "fall right": plain(partial(rules.fallen, turns=3), dots),
    "rays to the right": plain(partial(rules.rays, directions="r"), partial(dots, most=3)),
    "rays down": plain(partial(rules.rays, directions="d"), partial(dots, most=3)),
    "rows": plain(partial(rules.rays, directions="lr"), partial(dots, most=2)),
    "columns": plain(partial(rules.rays, directions="ud"), partial(dots, most=2)),
    "diagonals": plain(partial(rules.diagonals, step=1), partial(dots, most=2)),
    "neighbours": with_colour(partial(rules.around, corners=False), partial(dots, most=2)),
    "inside": with_colour(rules.inside, rectangle),
    "crop": plain(rules.cropped, blocks),
    "commonest colour": plain(_filled, noise),
    "first row": plain(_header, noise),
    "both halves": with_colour(partial(rules.combined, how="and"), divided),
    "either half": with_colour(partial(rules.combined, how="or"), divided),
    "neither half": with_colour(partial(rules.combined, how="nor"), divided),
    "connect": plain(rules.connected, dots, most=2),
    "symmetric columns": plain(partial(rules.symmetric, axis=1), dots),
    "checks": with_colour(partial(rules.checked, odd=0), blocks),
}

DEVELOPMENT: dict[str, Family] = {
    "flip columns, swap colours": mapped(swap, flip_columns),
    "transpose, replace a colour": mapped(replace, np.transpose),
    "shift right by two": plain(partial(rules.shifted, down=0, right=2)),
    "fall up": plain(partial(rules.fallen, turns=2), dots),
    "rays to the left": plain(partial(rules.rays, directions="l"), partial(dots, most=3)),
    "first column": plain(_first_column, noise),
}

HELD_OUT: dict[str, Family] = {
    "flip rows, swap colours": mapped(swap, flip_rows),
    "half turn, cycle colours": mapped(cycle, half_turn),
    "quarter turn, replace a colour": mapped(replace, partial(np.rot90, k=1)),
    "remove a colour, flip columns": mapped(remove, flip_columns),
    "roll up": plain(partial(np.roll, shift=-1, axis=0)),
    "shift down and right": plain(partial(rules.shifted, down=1, right=1)),
    "right half": plain(partial(_half, axis=1, end=True)),
    "rays up": plain(partial(rules.rays, directions="u"), partial(dots, most=3)),
    "falling diagonals": plain(partial(rules.diagonals, step=-1), partial(dots, most=2)),
    "symmetric rows": plain(partial(rules.symmetric, axis=0), dots),
    "just one half": with_colour(partial(rules.combined, how="xor"), divided),
    "neighbours with corners": with_colour(partial(rules.around, corners=True), partial(dots, most=1)),
}

SIDE = 12
"""The largest side of a grid that the model's canvas holds."""


def draw_task(family: Family, rng: Random, pairs: int, side: int) -> list[Pair]:
    """`pairs` different examples of one rule, inputs with sides of 2 to `side` (3 at least), outputs up to SIDE.

    Half of the tasks have grids of one size. A rule that no pair shows, because inputs and outputs are equal, is drawn
    again, and so is one whose outputs are too large. Where small grids have too few different inputs they grow.
    """
    for tries in count():
        rule, inputs, palette = family(rng)
        sizes = _sizes(rng, pairs, min(side + tries // 20, SIDE))
        drawn = [inputs(rng, rows, columns, palette) for rows, columns in sizes]
        made = [(grid, np.asarray(rule(grid))) for grid in drawn]
        if _is_a_task(made):
            return made
    raise AssertionError("count() does not end")


def _sizes(rng: Random, pairs: int, side: int) -> list[tuple[int, int]]:
    low = min(3, side)
    if rng.random() < 0.5:
        return [(rng.randint(low, side), rng.randint(low, side))] * pairs
    return [(rng.randint(low, side), rng.randint(low, side)) for _ in range(pairs)]


def _is_a_task(pairs: list[Pair]) -> bool:
    fits = all(0 < size <= SIDE for pair in pairs for grid in pair for size in grid.shape)
    shows = sum(grid.shape != out.shape or (grid != out).any() for grid, out in pairs)
    different = len({(grid.shape, grid.tobytes()) for grid, _ in pairs}) == len(pairs)
    return fits and different and shows >= len(pairs) - 1
