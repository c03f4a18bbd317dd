"""What became of abilities that were not taught: before and after, on the same items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from selfedit.statistics import Interval


@dataclass(frozen=True, slots=True)
class Change:
    """What one measure of a check was before and after teaching, on the same items, and the mean difference.

    `unit` says what the numbers are: shares of 1, or bits, which have a `ratio` of after to before as well. `left_out`
    counts the items that could not be measured on both sides; the interval's `n` counts the others.
    """

    check: str
    measure: str
    label: str
    unit: Literal["share", "bits"]
    before: float
    after: float
    difference: Interval
    ratio: Interval | None = None
    left_out: int = 0

    @property
    def name(self) -> str:
        """What it is for people: its label, and what the check is of where there are several of a kind."""
        _, _, of = self.check.partition("/")
        return f"{of.replace('_', ' ')}: {self.label}" if of else self.label

    def to_json(self) -> dict[str, Any]:
        json = {"before": self.before, "after": self.after, "difference": self.difference.fields}
        ratio = {"ratio": self.ratio.fields} if self.ratio else {}
        return {**json, **ratio, "n": self.difference.n, "left_out": self.left_out}


def changes_json(changes: Sequence[Change]) -> dict[str, Any]:
    """By check and measure: {"instructions": {"prompts_strict": {"before": …, "after": …, "difference": …}}}."""
    json: dict[str, Any] = {}
    for change in changes:
        json.setdefault(change.check, {})[change.measure] = change.to_json()
    return json
