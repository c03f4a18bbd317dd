"""Means with 95 % intervals, for every number that is compared with another.

The task is the cluster: pass one value per task (its mean grade or reward), never one per question or per repeat, or
the interval comes out too narrow.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from selfedit.errors import EngineError
from selfedit.types import Failure, Trial, Value


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and the 95 % interval around it, in the unit of the values; `n` counts the values.

    Interval(mean=0.42, low=0.38, high=0.46, n=60)
    """

    mean: float
    low: float
    high: float
    n: int

    @property
    def fields(self) -> dict[str, float]:
        """As tables have it, without the count."""
        return {"mean": self.mean, "low": self.low, "high": self.high}


def mean_or_failure(values: Sequence[Value]) -> Value:
    """The mean, or the first Failure among the values: what was not measured is never averaged away.

    Raises ValueError where there is no value.
    """
    failed = [value for value in values if isinstance(value, Failure)]
    return failed[0] if failed else fmean(value for value in values if not isinstance(value, Failure))


def required_mean(values: Sequence[Value], without: str) -> float:
    """The mean of values that nothing goes on without. Raises EngineError that begins with `without` for a Failure, and
    where there is no value.
    """
    mean = mean_or_failure(values) if values else Failure("system", "nothing was measured")
    if isinstance(mean, Failure):
        raise EngineError(f"{without}: {mean.message}")
    return mean


MIN_CLUSTERS = 5
"""With fewer clusters no interval is given: what they say of the spread is next to nothing."""


def mean_interval(values: Sequence[float]) -> Interval:
    """The mean of per-task values and its two-sided 95 % Student t interval, in the unit of the values. Of shares:
    `share_interval`.

    Fewer than MIN_CLUSTERS values, or values that are all equal, give an interval without width: read it as "not
    known", not as "certain". Raises ValueError where there is no value, or one that is not finite: what was not graded
    does not belong here.

    Not covered: very skewed values; several intervals are not corrected for each other.
    """
    mean = _finite_mean(values)
    n = len(values)
    if n < MIN_CLUSTERS or min(values) == max(values):
        return Interval(mean, mean, mean, n)
    half = _t_quantile(n - 1) * math.sqrt(_squares(values) / (n - 1) / n)
    return Interval(mean, mean - half, mean + half, n)


def share_interval(values: Sequence[float]) -> Interval:
    """The mean of per-task shares (each 0 to 1) and its 95 % interval, which stays within 0 to 1: Wilson's, for as many
    independent answers as would vary as much as these tasks do (Franco et al. 2019; Student's t for the normal point).

    Where all tasks are equal each counts as one answer. Fewer than MIN_CLUSTERS tasks give an interval without width:
    read it as "not known". Raises ValueError for no value, and for one that is no share.
    """
    mean = _finite_mean(values)
    n = len(values)
    if not 0 <= min(values) <= max(values) <= 1:
        raise ValueError("a share lies between 0 and 1")
    if n < MIN_CLUSTERS:
        return Interval(mean, mean, mean, n)
    variance = _squares(values) / (n - 1) / n
    effective = mean * (1 - mean) / variance if variance else n
    square = _t_quantile(n - 1) ** 2 / effective
    middle = (mean + square / 2) / (1 + square)
    half = math.sqrt(square * mean * (1 - mean) + square**2 / 4) / (1 + square)
    return Interval(mean, max(0.0, min(mean, middle - half)), min(1.0, max(mean, middle + half)), n)


def _finite_mean(values: Sequence[float]) -> float:
    if not values:
        raise ValueError("an interval needs at least one value")
    if not all(map(math.isfinite, values)):
        raise ValueError("an interval needs finite values")
    return values[0] if min(values) == max(values) else math.fsum(values) / len(values)


def paired_interval(after: Sequence[float], before: Sequence[float]) -> Interval:
    """`mean_interval` of after minus before, task by task; both lists hold the same tasks in the same order.

    Pairing takes the difference in difficulty between tasks out of the interval. That the tasks do match is the
    caller's affair; raises ValueError where the lists differ in length.
    """
    return mean_interval([new - old for new, old in zip(after, before, strict=True)])


def clustered_interval(clusters: Sequence[Sequence[float]]) -> Interval:
    """The mean of all values and its 95 % interval where those of one cluster are not independent, by linearization;
    `n` counts the clusters. With one value a cluster it is `mean_interval`.

    Raises ValueError where a cluster is empty, or there is none.
    """
    if not clusters or not all(clusters):
        raise ValueError("an interval needs at least one value in every cluster")
    values = sum(map(len, clusters))
    mean, size = math.fsum(map(math.fsum, clusters)) / values, values / len(clusters)
    around = mean_interval([(math.fsum(cluster) - mean * len(cluster)) / size for cluster in clusters])
    half = (around.high - around.low) / 2
    return Interval(mean, mean - half, mean + half, around.n)


def ratio_interval(above: Sequence[float], below: Sequence[float]) -> Interval:
    """The ratio of two means of shares over the same clusters with its 95 % interval, by linearization (the delta
    method); no end lies below 0. A ratio is read beside both means: 135 % can be 48.9 % against 36.2 %.

    Raises ValueError where the mean below is 0. Not covered: few clusters with a mean below that is near 0.
    """
    mean = math.fsum(below) / max(1, len(below))
    if not mean:
        raise ValueError("a ratio needs something to be a share of")
    ratio = math.fsum(above) / len(above) / mean
    around = mean_interval([(a - ratio * b) / mean for a, b in zip(above, below, strict=True)])
    half = (around.high - around.low) / 2
    return Interval(ratio, max(0.0, ratio - half), ratio + half, around.n)


def _t_quantile(freedom: int) -> float:
    """The 97.5 % point of Student's t: 5 % are left out, half of them on each side."""
    from scipy.special import stdtrit  # slow to import, and needed only here

    return float(stdtrit(freedom, 0.975))


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far a reward tells edits apart: `icc` for one try of an edit, `icc_mean` for the mean of `repeats` tries.

    The intraclass correlation is the variance between the edits of a task over that variance plus the one between
    repeats of the same edit: 1 if repeats agree, 0 (or below, by chance) if the reward of an edit is noise. `needed`
    counts the repeats whose mean would reach `GOOD`, None where no number would. `edits` counts those it rests on.
    """

    icc: float
    icc_mean: float
    repeats: int
    needed: int | None
    edits: int


GOOD = 0.8
"""Reliability that is commonly asked of a measurement before single cases are ranked by it."""


def reliability(tasks: Sequence[Sequence[Sequence[float]]]) -> Reliability | None:
    """ICC(1) of rewards given as tasks -> edits -> repeats, by one-way analysis of variance within tasks.

    Differences between tasks count for neither side: credit is given within a task. Edits with fewer repeats than the
    most frequent number above 1 are left out, of longer ones the first are taken. None where fewer than two edits of a
    task were repeated, or where no reward differs from another. Formula: Shrout and Fleiss 1979, case 1; the needed
    number by Spearman and Brown.
    """
    counts = Counter(len(edit) for task in tasks for edit in task if len(edit) > 1)
    if not counts:
        return None
    repeats = counts.most_common(1)[0][0]
    kept = [[edit[:repeats] for edit in task if len(edit) >= repeats] for task in tasks]
    kept = [task for task in kept if len(task) > 1]
    edits = sum(map(len, kept))
    if not edits:
        return None
    between = sum(_squares([math.fsum(edit) / repeats for edit in task]) for task in kept) * repeats
    within = sum(_squares(edit) for task in kept for edit in task)
    between /= edits - len(kept)
    within /= edits * (repeats - 1)
    if between == within == 0:
        return None
    icc = (between - within) / (between + (repeats - 1) * within)
    needed = max(1, math.ceil(GOOD * (1 - icc) / (icc * (1 - GOOD)))) if icc > 0 else None
    return Reliability(icc, 1 - within / between if between else -math.inf, repeats, needed, edits)


def rewarded(trials: Sequence[Trial]) -> list[list[list[Trial]]]:
    """The trials by task, and within it by edit: tries of the same one together. Those without a reward are left out,
    and those that failed."""
    groups: dict[str, dict[int, list[Trial]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        if trial.reward is not None and trial.failure is None:
            groups[trial.edit.task_id][trial.member].append(trial)
    return [list(of_task.values()) for of_task in groups.values()]


def _squares(values: Sequence[float]) -> float:
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values)


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Rank correlation; equal values share their mean rank. None where one side has no two different values."""
    if len(set(first)) < 2 or len(set(second)) < 2:
        return None
    from scipy.stats import spearmanr

    return float(spearmanr(first, second).statistic)
