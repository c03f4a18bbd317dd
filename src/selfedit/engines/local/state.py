"""A training job in progress: its steps, how far it is, and which of the waiting jobs share the next step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from selfedit.engines.local.lora import Adapter
from selfedit.engines.local.text import TokenRow
from selfedit.types import Recipe

LENGTH_SLACK = 8
"""Tokens by which rows of one step may always differ: for the shortest, a step of their own would cost more."""


@dataclass(frozen=True, slots=True)
class MemoryLimits:
    """What memory allows: adapters in training at once, and tokens (padding included) in one step."""

    adapters: int
    tokens: int

    def halved(self) -> MemoryLimits:
        return MemoryLimits(max(1, self.adapters // 2), max(1, self.tokens // 2))


@dataclass(eq=False)
class TrainingState:
    """One job's way through its rows: every epoch from the longest to the shortest, `batch_size` rows a step.

    The order is the job's own, so what a job learns does not depend on what trains in the same batch. `parent` is the
    parent's adapter, where that is attached and not merged into the weights; with `ewc` it goes on being trained.
    """

    rows: Sequence[TokenRow]
    recipe: Recipe
    seed: int
    parent: Adapter | None = None
    orthogonal: bool = False
    ewc: float = 0.0

    def __post_init__(self) -> None:
        rows, recipe = self.rows, self.recipe
        size = len(rows) if recipe.pack else recipe.batch_size
        ordered = sorted(rows, key=lambda row: -len(row.ids))
        starts = range(0, len(ordered), size)
        dealt = [ordered[start :: len(starts)] for start in range(len(starts))]
        self.batches = dealt if recipe.shuffle_lengths else [ordered[start : start + size] for start in starts]
        self.steps = max(recipe.epochs, math.ceil(recipe.min_steps / len(self.batches))) * len(self.batches)
        self.last_batch: list[TokenRow] | None = None
        if recipe.tokens:
            self.steps, self.last_batch = within_budget(self.batches, recipe.tokens)
        self.done = self.tokens = 0
        self.loss = math.nan
        """Mean loss of the last whole epoch, or of all steps where there are fewer."""
        self.failed = False
        self._epoch_losses: list[float] = []

    def restarted(self) -> TrainingState:
        """The same job from its beginning."""
        return replace(self)

    @property
    def continues_parent(self) -> bool:
        """Whether it trains its parent's adapter instead of a new one on top."""
        return bool(self.ewc) and self.parent is not None

    @property
    def frozen_parent(self) -> Adapter | None:
        """The attached parent, where that is not what is trained."""
        return None if self.continues_parent else self.parent

    @property
    def steps_left(self) -> int:
        return self.steps - self.done

    @property
    def epoch(self) -> int:
        """How many whole epochs are done."""
        return self.done // len(self.batches)

    @property
    def next_rows(self) -> list[TokenRow]:
        if self.last_batch and self.done == self.steps - 1:
            return self.last_batch
        return self.batches[self.done % len(self.batches)]

    @property
    def next_tokens(self) -> int:
        return sum(len(row.ids) for row in self.next_rows)

    @property
    def learning_rate(self) -> float:
        """That of the next step, as transformers' schedules have it."""
        recipe, warmup_steps = self.recipe, math.ceil(self.recipe.warmup * self.steps)
        if self.done < warmup_steps:
            return recipe.learning_rate * self.done / warmup_steps
        progress = (self.done - warmup_steps) / (self.steps - warmup_steps)
        decay = {"constant": 1.0, "linear": 1.0 - progress, "cosine": (1.0 + math.cos(math.pi * progress)) / 2}
        return recipe.learning_rate * decay[recipe.schedule]

    def advance(self, loss: float, is_finite: bool) -> None:
        """Count the step just taken. A job ends here if its loss or gradient is not finite."""
        self.tokens += self.next_tokens
        self.done += 1
        self._epoch_losses.append(loss)
        if not is_finite:
            self.failed, self.done = True, self.steps
        elif self.done % len(self.batches) == 0:
            self.loss = sum(self._epoch_losses) / len(self._epoch_losses)
            self._epoch_losses = []
            if self.recipe.early_stop and self.loss < self.recipe.early_stop:
                self.done = self.steps
        elif self.done == self.steps and math.isnan(self.loss):
            self.loss = sum(self._epoch_losses) / len(self._epoch_losses)


def within_budget(batches: Sequence[Sequence[TokenRow]], tokens: int) -> tuple[int, list[TokenRow] | None]:
    """(how many steps take so many tokens, the rows of the last of them, where those had to be cut).

    The batches come in turn, as often as it takes. Of a row that was cut down to where nothing would be learned nothing
    is left; but there always is a step, for one token at least.
    """
    sizes = [sum(row.length for row in batch) for batch in batches]
    passes, left = divmod(tokens, sum(sizes))
    steps = passes * len(batches)
    for batch, size in zip(batches, sizes, strict=True):
        if size <= left:
            steps, left = steps + 1, left - size
            continue
        cut = list[TokenRow]()
        for row in batch:
            least = 0 if steps or cut else max(row.start, 1) + 1
            part = row.cut(min(row.length, max(left, least)))
            if part.scored:
                cut.append(part)
                left = max(0, left - part.length)
        return (steps + 1, cut) if cut else (steps, None)
    return steps, None


def choose(states: Sequence[TrainingState], max_tokens: int) -> list[int]:
    """Which jobs share the next step: at most `max_tokens` in all, padding included, but always one job.

    The longest next step of those that are furthest behind sets the length; others join if theirs is not much shorter
    or longer. As a job goes from its longest row to its shortest, jobs in the same epoch meet again and again, and
    padding costs about a sixth of the tokens (LOG.md).
    """
    first = min(states, key=lambda state: (state.epoch, -state.next_tokens))
    differences = {index: abs(state.next_tokens - first.next_tokens) for index, state in enumerate(states)}
    slack = max(LENGTH_SLACK, first.next_tokens // 2)
    alike = [index for index, difference in differences.items() if difference <= slack]
    chosen: list[int] = []
    longest = 0
    for index in sorted(alike, key=lambda index: (differences[index], states[index].epoch)):
        longest = max(longest, states[index].next_tokens)
        if chosen and (len(chosen) + 1) * longest > max_tokens:
            break
        chosen.append(index)
    return sorted(chosen)
