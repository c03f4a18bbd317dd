"""Pictures for runs of the domain `arc`: grids in ARC's usual colours, and plans, as inline SVG."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from markupsafe import Markup

from selfedit.domains.arc.prompts import GROUPS, switch

PALETTE = (
    *("#000000", "#0074d9", "#ff4136", "#2ecc40", "#ffdc00"),
    *("#aaaaaa", "#f012be", "#ff851b", "#7fdbff", "#870c25"),
)
"""Colours 0 to 9 as on the ARC site."""

CELL, LARGEST = 12, 150
"""Pixels per cell, and of the longer side of a picture at most."""


def picture(text: str) -> str | Markup:
    """The text drawn, where it is JSON of a grid, of attempts, of demonstrations or of a plan; otherwise as it is."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return text
    for is_one, draw in ((_is_grid, draw_grid), (_is_attempts, _attempts), (_is_pairs, _pairs), (_is_plan, _plan)):
        if is_one(value):
            return draw(value)
    return text


def draw_grid(grid: Sequence[Sequence[int]]) -> Markup:
    """One SVG; cells of one colour in a row are one rectangle, a thin line divides all cells."""
    rows, columns = len(grid), len(grid[0])
    cell = min(CELL, LARGEST / max(rows, columns))
    bars = Markup("").join(bar for y, row in enumerate(grid) for bar in _bars(row, y))
    lines = "".join([f"M{x} 0V{rows}" for x in range(columns + 1)] + [f"M0 {y}H{columns}" for y in range(rows + 1)])
    return Markup(
        '<svg class="grid" role="img" aria-label="{label}" style="width:{width:.0f}px" viewBox="0 0 {columns} {rows}">'
        '{bars}<path d="{lines}" stroke="#555" stroke-width=".06" fill="none"/></svg>'
    ).format(label=_spoken(grid), width=cell * columns, columns=columns, rows=rows, bars=bars, lines=lines)


def _bars(row: Sequence[int], y: int) -> list[Markup]:
    bars, x = [], 0
    for colour, cells in groupby(row):
        width = len(list(cells))
        bar = Markup('<rect x="{}" y="{}" width="{}" height="1" fill="{}"/>')
        bars.append(bar.format(x, y, width, PALETTE[colour]))
        x += width
    return bars


def _spoken(grid: Sequence[Sequence[int]]) -> str:
    return " / ".join("".join(map(str, row)) for row in grid)


def _attempts(grids: Sequence[Any]) -> Markup:
    return _beside([draw_grid(grid) for grid in grids])


def _pairs(pairs: Sequence[Mapping[str, Any]]) -> Markup:
    arrow = Markup("<span>→</span>")
    return _beside([_beside([draw_grid(pair["input"]), arrow, draw_grid(pair["output"])]) for pair in pairs])


def _plan(plan: Mapping[str, Any]) -> Markup:
    """A box per group of augmentations, green if it is chosen, and the other choices beside them."""
    data = plan["data_generation"]
    boxes = [
        Markup('<rect x="{}" y="1" width="46" height="18" fill="{}"/><text x="{}" y="14" {}>{}</text>').format(
            50 * place + 1,
            PALETTE[3 if data.get(switch(name)) is True else 5],
            50 * place + 24,
            Markup('font-size="11" text-anchor="middle"'),
            name,
        )
        for place, name in enumerate(GROUPS)
    ]
    picture = Markup('<svg class="grid" role="img" aria-label="plan" style="width:200px" viewBox="0 0 200 20">{}</svg>')
    chosen = {**{key: data[key] for key in data if not key.startswith("use_")}, **plan["training"]}
    chosen |= plan.get("evaluation", {})
    words = Markup("<span>{}</span>").format(", ".join(f"{key} {value}" for key, value in chosen.items()))
    return _beside([picture.format(Markup("").join(boxes)), words])


def _beside(parts: Sequence[Markup]) -> Markup:
    return Markup('<span class="grids">{}</span>').format(Markup("").join(parts))


# What a JSON value is


def _is_grid(value: Any) -> bool:
    rows = isinstance(value, list) and value and all(isinstance(row, list) and row for row in value)
    return bool(rows) and all(len(row) == len(value[0]) and all(map(_is_colour, row)) for row in value)


def _is_colour(value: Any) -> bool:
    return type(value) is int and 0 <= value < len(PALETTE)


def _is_attempts(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_grid, value))


def _is_pairs(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_pair, value))


def _is_pair(value: Any) -> bool:
    return isinstance(value, dict) and _is_grid(value.get("input")) and _is_grid(value.get("output"))


def _is_plan(value: Any) -> bool:
    tables = [value.get(key, {}) for key in ("data_generation", "training", "evaluation")] if _has(value) else [None]
    return all(isinstance(table, dict) for table in tables)


def _has(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() >= {"data_generation", "training"}
