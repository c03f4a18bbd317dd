"""What methods and routers look back at: a stream's earlier steps, and their documents within a budget of tokens."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from selfedit.loops.inner import with_more
from selfedit.types import Example, PendingStep, StreamStep, Update

_TOKEN = re.compile(r"\w+|[^\w\s]")


def count_tokens(example: Example) -> int:
    """Words and punctuation marks: a measure that no tokenizer is needed for."""
    return len(_TOKEN.findall(str(example.prompt))) + len(_TOKEN.findall(example.target))


def current(past: Sequence[StreamStep]) -> list[StreamStep]:
    """The steps that still hold: of several about one title the last (a later document corrects an earlier one)."""
    return list({step.task.title: step for step in past}.values())


def rehearsed(past: Sequence[StreamStep], title: str, budget: int) -> list[StreamStep]:
    """The earlier steps to go over again beside a new one called `title`: at most `budget` tokens of documents.

    Those that were gone over longest ago come first, so that each comes up equally often; what was chosen before
    follows from the past alone.
    """
    last_seen: dict[str, int] = {}
    chosen: list[StreamStep] = []
    titles = [*(step.task.title for step in past), title]
    for now, new in enumerate(titles):
        earlier = [step for step in current(past[:now]) if step.task.title != new]
        chosen = _within(budget, earlier, last_seen)
        last_seen |= dict.fromkeys((new, *(step.task.title for step in chosen)), now)
    return chosen


def _within(budget: int, steps: Sequence[StreamStep], last_seen: Mapping[str, int]) -> list[StreamStep]:
    """The first of these that fit, those that were seen longest ago first."""
    chosen: list[StreamStep] = []
    for step in sorted(steps, key=lambda step: last_seen[step.task.title]):
        budget -= sum(map(count_tokens, step.trial.edit.examples))
        if budget < 0:
            break
        chosen.append(step)
    return chosen


def consolidated(start: Update, past: Sequence[StreamStep], every: int) -> tuple[Update, Sequence[StreamStep]]:
    """The last update that holds everything before it, where each `every`-th does, and the steps since then.

    A consolidation that failed leaves things as they were.
    """
    whole = range(len(past) // every * every, 0, -every)
    count = next((count for count in whole if past[count - 1].trial.update), 0)
    return (past[count - 1].trial.update if count else None) or start, past[count:]


def with_examples(pending: PendingStep, more: Iterable[Example]) -> PendingStep:
    """The step with more examples in its job, equal ones once."""
    new = [example for example in dict.fromkeys(more) if example not in pending.job.examples]
    return replace(pending, job=with_more(pending.job, new))
