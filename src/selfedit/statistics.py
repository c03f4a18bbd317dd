"""Means with 95 % intervals, for every number that is compared with another.

The task is the cluster: pass one value per task (its mean grade or reward), never one per question or per repeat, or
the interval comes out too narrow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the 95 % interval around it, in the unit of the values; `n` counts the values.

    Interval(mean=0.42, low=0.38, high=0.46, n=60)
    """

    mean: float
    low: float
    high: float
    n: int


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of per-task values and its two-sided 95 % Student t interval, in the unit of the values.

    One value, or values that are all equal, give an interval without width: read it as "not known", not as "certain".
    Raises ValueError where there is no value, or one that is not finite: what was not graded does not belong here.

    Not covered: the interval is not cut to the range of the values, so that of a share can reach below 0 or above 1;
    with few tasks or very skewed values it covers less than 95 %; several intervals are not corrected for each other.
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    if not all(map(math.isfinite, values)):
        raise ValueError("an interval needs finite values")
    n = len(values)
    if min(values) == max(values):
        return Interval(values[0], values[0], values[0], n)
    mean = math.fsum(values) / n
    variance = math.fsum((value - mean) ** 2 for value in values) / (n - 1)
    half = _t_quantile(n - 1) * math.sqrt(variance / n)
    return Interval(mean, mean - half, mean + half, n)


def paired_interval(after: Sequence[float], before: Sequence[float]) -> Interval:
    """`mean_interval` of after minus before, task by task; both lists hold the same tasks in the same order.

    Pairing takes the difference in difficulty between tasks out of the interval. That the tasks do match is the
    caller's affair; raises ValueError where the lists differ in length.
    """
    return mean_interval([new - old for new, old in zip(after, before, strict=True)])


def _t_quantile(freedom: int) -> float:
    """The 97.5 % point of Student's t: 5 % are left out, half of them on each side."""
    from scipy.special import stdtrit  # slow to import, and needed only here

    return float(stdtrit(freedom, 0.975))
