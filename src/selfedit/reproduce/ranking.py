"""How two measures rank the same edits, passage by passage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from selfedit.statistics import mean_interval, spearman


def rank_correlation(pairs: Iterable[tuple[Sequence[float], Sequence[float]]]) -> dict[str, Any]:
    """The mean rank correlation over passages, each a pair of lists, one value per edit; 95 % interval.

    Passages where one side cannot tell the edits apart have none: they are left out, and counted.
    """
    both = [spearman(first, second) for first, second in pairs]
    found = [value for value in both if value is not None]
    left_out = len(both) - len(found)
    if not found:
        return {"spearman": None, "passages": 0, "left_out": left_out}
    interval = mean_interval(found)
    return {
        "spearman": interval.mean,
        "low": interval.low,
        "high": interval.high,
        "passages": interval.n,
        "left_out": left_out,
    }
