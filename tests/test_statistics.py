"""Intervals: the known values, and what must hold for any values."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from selfedit.statistics import (
    MIN_CLUSTERS,
    Interval,
    clustered_interval,
    mean_interval,
    paired_interval,
    reliability,
    share_interval,
    spearman,
)

VALUES = st.lists(st.floats(-1, 1), min_size=1, max_size=40)


def test_agrees_with_scipy() -> None:
    values = [0.0, 1 / 6, 0.5, 0.5, 5 / 6, 1.0, 1.0]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=stats.sem(values))
    assert mean_interval(values) == Interval(
        pytest.approx(sum(values) / len(values)), pytest.approx(low), pytest.approx(high), 7
    )


@given(VALUES)
def test_clusters_of_one_value_are_no_clusters(values: list[float]) -> None:
    whole, clustered = mean_interval(values), clustered_interval([[value] for value in values])
    assert clustered.n == whole.n
    assert (clustered.mean, clustered.low, clustered.high) == pytest.approx((whole.mean, whole.low, whole.high))


def test_values_that_repeat_within_a_cluster_tell_no_more_than_one() -> None:
    values = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
    once, thrice = (clustered_interval([[value] * count for value in values]) for count in (1, 3))
    assert thrice.fields == pytest.approx(once.fields)


def test_larger_clusters_weigh_more() -> None:
    assert clustered_interval([[1.0, 1.0, 1.0], [0.0]]).mean == 0.75
    with pytest.raises(ValueError, match="every cluster"):
        clustered_interval([[1.0], []])


def test_known_value() -> None:
    assert mean_interval([0.0, 0.0, 0.0, 0.0, 1.0]).high == pytest.approx(0.2 + 2.776445 * 0.2, abs=1e-4)


@pytest.mark.parametrize("values", [[0.3], [0.0, 1.0], [0.0, 0.5, 0.5, 1.0], [0.1] * 3, [0.0] * 9])
def test_without_clusters_or_variance_the_interval_has_no_width(values: list[float]) -> None:
    mean = pytest.approx(sum(values) / len(values))
    assert mean_interval(values) == Interval(mean, mean, mean, len(values))


# Shares

SHARES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.5, 1.0]), min_size=1, max_size=40)


@given(SHARES)
def test_the_interval_of_a_share_holds_it_and_stays_within_0_and_1(values: list[float]) -> None:
    found = share_interval(values)
    assert 0 <= found.low <= found.mean <= found.high <= 1
    assert found.mean == pytest.approx(sum(values) / len(values))
    assert (found.low < found.high) == (len(values) >= MIN_CLUSTERS)


@given(st.lists(st.sampled_from([0.0, 0.25, 0.5, 1.0]), min_size=5, max_size=12), st.integers(2, 6))
def test_more_of_the_same_tasks_make_it_narrower(values: list[float], times: int) -> None:
    one, more = share_interval(values), share_interval(values * times)
    assert more.high - more.low < one.high - one.low


@given(st.lists(st.integers(0, 8).map(lambda eighths: eighths / 8), min_size=1, max_size=40))
def test_wrong_for_right_turns_the_interval_round(values: list[float]) -> None:
    found, turned = share_interval(values), share_interval([1 - value for value in values])
    assert (turned.low, turned.high) == (pytest.approx(1 - found.high), pytest.approx(1 - found.low))


def test_of_answers_that_are_one_task_each_it_is_nearly_wilsons() -> None:
    values = [1.0] * 30 + [0.0] * 170
    wilson = stats.binomtest(30, 200).proportion_ci(method="wilson")
    found = share_interval(values)
    assert (found.low, found.high) == (pytest.approx(wilson.low, abs=2e-3), pytest.approx(wilson.high, abs=2e-3))


def test_of_nothing_right_it_says_how_much_could_be() -> None:
    assert share_interval([0.0] * 20).high == pytest.approx(0.18, abs=0.01)
    assert share_interval([1.0] * 20).low == pytest.approx(0.82, abs=0.01)


@pytest.mark.parametrize("values", [[0.5, 1.1], [-0.1] * 9])
def test_what_is_no_share_is_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match="a share lies between 0 and 1"):
        share_interval(values)


SAMPLES = int(os.environ.get("SELFEDIT_SAMPLES", "300"))


@pytest.mark.parametrize("tasks", [5, 12, 60])
@pytest.mark.parametrize("share", [0.0, 0.05, 0.3, 0.5, 0.95, 1.0])
@pytest.mark.parametrize("questions", [1, 4])
def test_it_covers_the_true_share_about_as_often_as_it_says(tasks: int, share: float, questions: int) -> None:
    """Tasks differ in difficulty (beta, as wide as a third of the largest), and have so many questions each."""
    chance, covered = random.Random(f"{tasks} {share} {questions}"), 0
    for _ in range(SAMPLES):
        levels = [chance.betavariate(2 * share, 2 * (1 - share)) if 0 < share < 1 else share for _ in range(tasks)]
        values = [sum(chance.random() < level for _ in range(questions)) / questions for level in levels]
        found = share_interval(values)
        covered += found.low <= share <= found.high
    assert covered / SAMPLES >= 0.88
    if not 0 < share < 1:
        assert covered == SAMPLES


@pytest.mark.parametrize("values", [[], [0.5, math.nan], [math.inf]])
def test_refuses_what_has_no_mean(values: list[float]) -> None:
    with pytest.raises(ValueError, match="an interval needs"):
        mean_interval(values)


@given(VALUES, st.floats(-10, 10))
def test_shifting_the_values_shifts_the_interval(values: list[float], shift: float) -> None:
    plain, moved = mean_interval(values), mean_interval([value + shift for value in values])
    assert moved.mean == pytest.approx(plain.mean + shift, abs=1e-9)
    assert moved.low == pytest.approx(plain.low + shift, abs=1e-9)
    assert moved.high == pytest.approx(plain.high + shift, abs=1e-9)


@given(VALUES)
def test_the_mean_lies_in_the_interval(values: list[float]) -> None:
    interval = mean_interval(values)
    assert interval.low <= interval.mean <= interval.high


@given(VALUES)
def test_equal_lists_differ_by_exactly_nothing(values: list[float]) -> None:
    assert paired_interval(values, values) == Interval(0.0, 0.0, 0.0, len(values))


def test_pairs_are_subtracted_task_by_task() -> None:
    after, before = [0.5, 1.0, 0.75, 1.0, 0.0], [0.0, 0.75, 0.5, 0.0, 0.0]
    assert paired_interval(after, before) == mean_interval([0.5, 0.25, 0.25, 1.0, 0.0])


def test_pairing_refuses_lists_of_other_lengths() -> None:
    with pytest.raises(ValueError):
        paired_interval([0.5, 1.0], [0.5])


def test_importing_it_does_not_import_scipy() -> None:
    code = "import sys, selfedit.statistics; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# Reliability


def test_repeats_that_agree_are_wholly_reliable():
    found = reliability([[[0.1, 0.1], [0.9, 0.9]], [[0.5, 0.5], [0.2, 0.2]]])
    assert (found.icc, found.icc_mean, found.repeats, found.needed, found.edits) == (1.0, 1.0, 2, 1, 4)


def test_noise_is_not_reliable_and_no_number_of_repeats_would_help():
    found = reliability([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 1.0], [1.0, 0.0]]])
    assert found.icc <= 0 and found.needed is None


def test_differences_between_tasks_count_for_nothing():
    edits = [[0.1, 0.3], [0.2, 0.6], [0.9, 0.7]]
    higher = [[reward + 5 for reward in edit] for edit in edits]
    alone, both = reliability([edits, edits]), reliability([edits, higher])
    assert both.icc == pytest.approx(alone.icc)


def test_reliability_is_that_of_the_simulated_rewards():
    rng = random.Random(0)
    spread, noise = 0.3, 0.4
    tasks = [
        [[edit + rng.gauss(0, noise) for _ in range(3)] for edit in (rng.gauss(0, spread) for _ in range(5))]
        for _ in range(2000)
    ]
    found = reliability(tasks)
    truth = spread**2 / (spread**2 + noise**2)
    assert found.icc == pytest.approx(truth, abs=0.02)
    assert found.icc_mean == pytest.approx(spread**2 / (spread**2 + noise**2 / 3), abs=0.02)
    assert found.needed == math.ceil(0.8 * (1 - found.icc) / (found.icc * 0.2))


@pytest.mark.parametrize("tasks", [[], [[[0.1], [0.2]]], [[[0.1, 0.2]]], [[[0.5, 0.5], [0.5, 0.5]]]])
def test_without_repeats_or_differences_reliability_is_not_known(tasks):
    assert reliability(tasks) is None


def test_spearman_sees_ranks_only():
    assert spearman([1, 2, 3], [10, 11, 500]) == pytest.approx(1.0)
    assert spearman([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    assert spearman([1, 1, 1], [1, 2, 3]) is None
