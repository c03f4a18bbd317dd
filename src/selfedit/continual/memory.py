"""What keepers remember of earlier edits: their documents, drawn from within a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from selfedit.types import Example, Step, Turn

_TOKEN = re.compile(r"\w+|[^\w\s]")


def tokens(example: Example) -> int:
    """Words and punctuation marks: a measure that no tokenizer is needed for."""
    return len(_TOKEN.findall(example.prompt)) + len(_TOKEN.findall(example.target))


def documents(step: Step) -> tuple[Example, ...]:
    """What a step taught; nothing where its edit could not be read."""
    return step.trial.edit.examples


def current(past: Sequence[Step]) -> list[Step]:
    """The steps that still hold: of several about one title the last (a later document corrects an earlier one)."""
    return list({step.task.title: step for step in past}.values())


def rehearsed(past: Sequence[Step], title: str, budget: int) -> list[Step]:
    """The earlier steps to go over again beside a new one called `title`: at most `budget` tokens of documents.

    Those that were gone over longest ago come first, so that each comes up equally often; what was chosen before
    follows from the past alone.
    """
    seen: dict[str, int] = {}
    chosen: list[Step] = []
    titles = [*(step.task.title for step in past), title]
    for now, new in enumerate(titles):
        chosen = _within(budget, [step for step in current(past[:now]) if step.task.title != new], seen)
        seen |= dict.fromkeys((new, *(step.task.title for step in chosen)), now)
    return chosen


def _within(budget: int, steps: Sequence[Step], seen: Mapping[str, int]) -> list[Step]:
    """The first of these that fit, those that were seen longest ago first."""
    chosen: list[Step] = []
    for step in sorted(steps, key=lambda step: seen[step.task.title]):
        budget -= sum(map(tokens, documents(step)))
        if budget < 0:
            break
        chosen.append(step)
    return chosen


def with_more(turn: Turn, more: Iterable[Example]) -> Turn:
    """The turn with more examples in its job, equal ones once."""
    return replace(turn, job=replace(turn.job, examples=tuple(dict.fromkeys((*turn.job.examples, *more)))))
