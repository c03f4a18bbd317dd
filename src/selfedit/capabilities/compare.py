"""Two updates on the same items, compared in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from selfedit.changes import Change
from selfedit.statistics import clustered_interval, ratio_interval
from selfedit.types import Failure, ItemScore, Value

Unit = Literal["share", "bits"]


@dataclass(frozen=True, slots=True)
class Measure:
    """What tables call it, and what it counts."""

    label: str
    unit: Unit = "share"


def compare(
    check: str, measures: Mapping[str, Measure], before: Sequence[ItemScore], after: Sequence[ItemScore]
) -> list[Change]:
    """One Change per measure that some item has: means before and after, and the mean difference over the values that
    were measured both times, with the items as clusters. Items with a Failure are left out, and counted.
    """
    changes = []
    for name, measure in measures.items():
        pairs = [
            (_whole(old.values[name]), _whole(new.values[name]))
            for old, new in zip(before, after, strict=True)
            if name in old.values
        ]
        kept = [(old, new) for old, new in pairs if old and new]
        if not kept:
            continue
        differences = [[b - a for a, b in zip(old, new, strict=True)] for old, new in kept]
        was, now = ([sum(values) for values in side] for side in zip(*kept, strict=True))
        count = sum(len(old) for old, _ in kept)
        ratio = ratio_interval(now, was) if measure.unit == "bits" and sum(was) else None
        changes.append(
            Change(
                check,
                name,
                measure.label,
                measure.unit,
                sum(was) / count,
                sum(now) / count,
                clustered_interval(differences),
                ratio,
                len(pairs) - len(kept),
            )
        )
    return changes


def _whole(values: Sequence[Value]) -> list[float]:
    """The values of an item; none where one is a failure."""
    measured = [value for value in values if not isinstance(value, Failure)]
    return measured if len(measured) == len(values) else []


def first_failure(scores: Sequence[ItemScore]) -> Failure | None:
    """Why an item has no value, where there is one."""
    values = (value for score in scores for of_measure in score.values.values() for value in of_measure)
    return next((value for value in values if isinstance(value, Failure)), None)
