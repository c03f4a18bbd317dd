"""General ability by multiple choice: the option that is likeliest as a continuation is the answer.

Texts are read as plain text, without a chat template, as is the custom for such scores (lm-evaluation-harness). Options
are continuations, not letters to choose from: small models hardly read letters.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfedit.capabilities.compare import Measure
from selfedit.capabilities.records import read_records, text_of
from selfedit.errors import InputError
from selfedit.loops.examine import batched
from selfedit.protocols import Engine
from selfedit.types import Failure, ItemScore, Likelihood, LikelihoodRequest, Update, Value

MEASURES = {
    "accuracy": Measure("right"),
    "accuracy_normalised": Measure("right, per byte"),
    "surprisal": Measure("surprisal, bits", "bits"),
}
"""The first two have only items with several options: the likeliest is right, as a whole or by its likelihood per byte.
The last one is how little the right option was expected: it tells more of an item than right or wrong.
"""


@dataclass(frozen=True, slots=True)
class ChoiceItem:
    """A text, its possible continuations, and which is right.

    ChoiceItem("Question: What is hot?\\nAnswer:", (" fire", " ice"), 0)
    """

    context: str
    options: tuple[str, ...]
    answer: int

    @property
    def texts(self) -> list[str]:
        """The context alone, then with each option."""
        return [self.context, *(self.context + option for option in self.options)]


def read_multiple_choice(path: Path) -> list[ChoiceItem]:
    """Records with choices and the place of the right one, from 0, after a question (as in MMLU and ARC) or a context
    (HellaSwag); or with a context and a target, its only continuation (LAMBADA). Raises InputError.
    """
    return [_item(where, record) for where, record in read_records(path)]


def _item(where: str, record: dict[str, Any]) -> ChoiceItem:
    if "target" in record:
        return ChoiceItem(text_of(where, record, "context").rstrip(), (f" {text_of(where, record, 'target')}",), 0)
    choices, answer = record.get("choices"), record.get("answer")
    if not isinstance(choices, list) or len(choices) < 2 or not all(isinstance(c, str) and c.strip() for c in choices):
        raise InputError(f"{where} needs 'choices', a list of two texts or more; or 'context' and 'target'")
    if not isinstance(answer, int) or isinstance(answer, bool) or not 0 <= answer < len(choices):
        raise InputError(f"{where} needs 'answer', the place of the right choice: 0 to {len(choices) - 1}")
    if "question" in record:
        context = f"Question: {text_of(where, record, 'question').strip()}\nAnswer:"
    else:
        context = text_of(where, record, "context").rstrip()
    return ChoiceItem(context, tuple(f" {choice.strip()}" for choice in choices), answer)


def score_choices(items: Sequence[ChoiceItem], engine: Engine, updates: Sequence[Update]) -> list[list[ItemScore]]:
    """The scores of every item under every update, read in one batch. An item that the model cannot read whole has a
    Failure.
    """
    fits = batched([item.texts for item in items], engine.fits)
    refused = [next((failure for failure in of_item if failure), None) for of_item in fits]
    read = [item for item, failure in zip(items, refused, strict=True) if failure is None]
    requests = [[LikelihoodRequest(update, "", text) for text in item.texts] for update in updates for item in read]
    found = iter(batched(requests, engine.likelihood))
    return [
        [
            ItemScore(item.context, _values(item, [failure] if failure else next(found)))
            for item, failure in zip(items, refused, strict=True)
        ]
        for _ in updates
    ]


def _values(item: ChoiceItem, found: Sequence[Likelihood | Failure]) -> dict[str, tuple[Value, ...]]:
    """`found` is of the item's texts. What they have in common with the context drops out."""
    names = list(MEASURES) if len(item.options) > 1 else ["surprisal"]
    if failed := [one for one in found if isinstance(one, Failure)]:
        return dict.fromkeys(names, (failed[0],))
    context, *of_options = [one.nats for one in found if not isinstance(one, Failure)]
    nats = [of_option - context for of_option in of_options]
    per_byte = [of_option / len(option.encode()) for of_option, option in zip(nats, item.options, strict=True)]
    values = {
        "accuracy": float(nats.index(max(nats)) == item.answer),
        "accuracy_normalised": float(per_byte.index(max(per_byte)) == item.answer),
        "surprisal": -nats[item.answer] / math.log(2),
    }
    return {name: (values[name],) for name in names}
