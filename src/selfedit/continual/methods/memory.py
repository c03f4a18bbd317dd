"""What keepers remember of earlier edits: their documents, drawn from within a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from selfedit.types import Example, PendingStep, StreamStep

_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(example: Example) -> int:
    """Words and punctuation marks: a measure that no tokenizer is needed for."""
    return len(_TOKEN.findall(example.prompt)) + len(_TOKEN.findall(example.target))


def documents(step: StreamStep) -> tuple[Example, ...]:
    """What a step taught; nothing where its edit could not be read."""
    return step.trial.edit.examples


def current(past: Sequence[StreamStep]) -> list[StreamStep]:
    """The steps that still hold: of several about one title the last (a later document corrects an earlier one)."""
    return list({step.task.title: step for step in past}.values())


def rehearsed(past: Sequence[StreamStep], title: str, budget: int) -> list[StreamStep]:
    """The earlier steps to go over again beside a new one called `title`: at most `budget` tokens of documents.

    Those that were gone over longest ago come first, so that each comes up equally often; what was chosen before
    follows from the past alone.
    """
    seen: dict[str, int] = {}
    chosen: list[StreamStep] = []
    titles = [*(step.task.title for step in past), title]
    for now, new in enumerate(titles):
        chosen = _within(budget, [step for step in current(past[:now]) if step.task.title != new], seen)
        seen |= dict.fromkeys((new, *(step.task.title for step in chosen)), now)
    return chosen


def _within(budget: int, steps: Sequence[StreamStep], seen: Mapping[str, int]) -> list[StreamStep]:
    """The first of these that fit, those that were seen longest ago first."""
    chosen: list[StreamStep] = []
    for step in sorted(steps, key=lambda step: seen[step.task.title]):
        budget -= sum(map(tokens, documents(step)))
        if budget < 0:
            break
        chosen.append(step)
    return chosen


def with_more(turn: PendingStep, more: Iterable[Example]) -> PendingStep:
    """The turn with more examples in its job, equal ones once."""
    return replace(turn, job=replace(turn.job, examples=tuple(dict.fromkeys((*turn.job.examples, *more)))))
