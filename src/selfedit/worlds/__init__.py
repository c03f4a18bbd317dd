"""Worlds that the project generates: tasks without end, by the name that data.train and data.eval have for them.

Each ships with a small language model that was trained on other tasks of it, by the recipe in its folder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from selfedit.types import Task
from selfedit.worlds.almanac import world as almanac
from selfedit.worlds.mosaic import world as mosaic


class World(NamedTuple):
    """Where tasks of a domain come from: `tasks(split, count, seed)`, split being practice, develop or exam."""

    domain: str
    tasks: Callable[[Any, int, int], list[Task]]


WORLDS: dict[str, World] = {
    "almanac": World("knowledge", almanac.tasks),
    "mosaic": World("arc", mosaic.tasks),
}
