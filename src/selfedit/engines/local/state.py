"""A training job on its way: its steps, where it stands, and which of the waiting jobs share the next step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.engines.local.lora import Adapter
from selfedit.engines.local.text import TokenRow
from selfedit.types import Recipe

NEAR = 8
"""Tokens by which rows of one step may always differ: for the shortest, a step of their own would cost more."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What memory allows: adapters trained side by side, and tokens (padding included) in one step."""

    adapters: int
    tokens: int

    def halved(self) -> Limits:
        return Limits(max(1, self.adapters // 2), max(1, self.tokens // 2))


class TrainingState:
    """One job's way through its rows: every epoch from the longest to the shortest, `batch_size` rows a step.

    The order is the job's own, so what a job learns does not depend on who trains beside it. `below` is the parent,
    where it is not merged into the weights; with `recipe.ewc` it is the adapter that goes on being trained.
    """

    def __init__(self, rows: Sequence[TokenRow], recipe: Recipe, seed: int, below: Adapter | None = None) -> None:
        size = len(rows) if recipe.pack else recipe.batch_size
        ordered = sorted(rows, key=lambda row: -len(row.ids))
        starts = range(0, len(ordered), size)
        dealt = [ordered[start :: len(starts)] for start in range(len(starts))]
        self.batches = dealt if recipe.mixed else [ordered[start : start + size] for start in starts]
        self.rows, self.recipe, self.seed, self.below = rows, recipe, seed, below
        self.steps = recipe.epochs * len(self.batches)
        self.done = self.tokens = 0
        self.loss = math.nan
        """Mean loss of the last whole epoch."""
        self.failed = False
        self._epoch: list[float] = []

    def afresh(self) -> TrainingState:
        """The same course from its beginning."""
        return TrainingState(self.rows, self.recipe, self.seed, self.below)

    @property
    def goes_on(self) -> bool:
        """Whether it trains the adapter below it instead of a new one on top."""
        return bool(self.recipe.ewc) and self.below is not None

    @property
    def left(self) -> int:
        return self.steps - self.done

    @property
    def epoch(self) -> int:
        """How many whole epochs are done."""
        return self.done // len(self.batches)

    @property
    def next(self) -> list[TokenRow]:
        return self.batches[self.done % len(self.batches)]

    @property
    def length(self) -> int:
        """Tokens of the next step."""
        return sum(len(row.ids) for row in self.next)

    @property
    def rate(self) -> float:
        """The learning rate of the next step, as transformers' schedules have it."""
        recipe, rising = self.recipe, math.ceil(self.recipe.warmup * self.steps)
        if self.done < rising:
            return recipe.learning_rate * self.done / rising
        progress = (self.done - rising) / (self.steps - rising)
        falling = {"constant": 1.0, "linear": 1.0 - progress, "cosine": (1.0 + math.cos(math.pi * progress)) / 2}
        return recipe.learning_rate * falling[recipe.schedule]

    def advance(self, loss: float, is_sound: bool) -> None:
        """Count the step just taken. A job ends here if its loss or gradient is not finite."""
        self.tokens += self.length
        self.done += 1
        self._epoch.append(loss)
        if not is_sound:
            self.failed, self.done = True, self.steps
        elif self.done % len(self.batches) == 0:
            self.loss = sum(self._epoch) / len(self._epoch)
            self._epoch = []
            if self.recipe.early_stop and self.loss < self.recipe.early_stop:
                self.done = self.steps


def choose(courses: Sequence[TrainingState], tokens: int) -> list[int]:
    """Which courses share the next step: at most `tokens` in all, padding included, but always one course.

    The longest next step of those that are furthest behind sets the length; others join if theirs is not much shorter
    or longer. As a course goes from its longest row to its shortest, jobs in the same epoch meet again and again, and
    padding costs about a sixth of the tokens (LOG.md).
    """
    first = min(courses, key=lambda course: (course.epoch, -course.length))
    apart = {
        index: abs(course.length - first.length)
        for index, course in enumerate(courses)
        if abs(course.length - first.length) <= max(NEAR, first.length // 2)
    }
    chosen: list[int] = []
    longest = 0
    for index in sorted(apart, key=lambda index: (apart[index], courses[index].epoch)):
        longest = max(longest, courses[index].length)
        if chosen and (len(chosen) + 1) * longest > tokens:
            break
        chosen.append(index)
    return sorted(chosen)
