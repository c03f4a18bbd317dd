"""Tasks of the grid model's families, without end, as the domain `arc` has them."""

from __future__ import annotations

import re
from itertools import cycle
from random import Random
from typing import Literal

from selfedit.domains.arc.prompts import to_task
from selfedit.types import Task
from selfedit.worlds.mosaic.families import DEVELOPMENT, HELD_OUT, Family, draw_task

Split = Literal["practice", "exam"]
FAMILIES: dict[Split, dict[str, Family]] = {"practice": DEVELOPMENT, "exam": HELD_OUT}
"""Neither was seen in pre-training. Policies practise on the first, and settings are chosen on it."""

SIDE, SHOWN = 3, (4,)
"""The longest side of an input, so that a plan costs seconds on a CPU; and how many demonstrations a task has."""


def tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """`count` tasks with one test grid each, families in turn."""
    rng, made = Random(f"{split}-{seed}"), list[Task]()
    for name, family in cycle(FAMILIES[split].items()):
        if len(made) == count:
            return made
        *shown, asked = draw_task(family, rng, rng.choice(SHOWN) + 1, SIDE)
        made.append(to_task(f"{_slug(name)}-{len(made)}", shown, [asked]))
    raise AssertionError("the families do not end")


def _slug(name: str) -> str:
    return re.sub(r"[^a-z]+", "-", name)
