import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.reward import FLOOR, REWARDS, accuracy, binary, gain
from selfedit.types import Failure, Score, SelfEdit, Trial, Update

GRADES = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=8)


def score(grades):
    return Score(("answer",) * len(grades), tuple(grades))


def trial(before, after):
    return Trial(SelfEdit("task", "prompt"), Update("u", "base"), score(before), score(after))


def test_gain_is_accuracy_after_less_accuracy_before():
    assert gain(trial([1, 0, 0, 0], [1, 1, 1, 0])) == 0.5


def test_an_update_that_harms_has_a_negative_gain():
    assert gain(trial([1, 1], [1, 0])) == -0.5


def test_accuracy_is_what_the_update_reached_wherever_it_began():
    assert accuracy(trial([0, 0], [1, 0])) == accuracy(trial([1, 1], [1, 0])) == 0.5


@pytest.mark.parametrize(("after", "expected"), [([1, 1], 1.0), ([1, 0], 0.0), ([0, 0], 0.0)])
def test_binary_is_one_only_if_the_update_helped(after, expected):
    assert binary(trial([1, 0], after)) == expected


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
@given(before=GRADES, after=GRADES)
def test_no_reward_is_below_the_floor(reward, before, after):
    assert reward(trial(before, after)) >= FLOOR


@given(GRADES, st.lists(GRADES, min_size=2, max_size=5))
def test_within_a_task_accuracy_ranks_edits_as_gain_does(before, outcomes):
    trials = [trial(before, after) for after in outcomes]
    assert max(trials, key=accuracy) == max(trials, key=gain)


@pytest.mark.parametrize("reward", REWARDS.values(), ids=REWARDS)
def test_a_trial_that_was_not_graded_in_full_is_never_rewarded(reward):
    ungraded = Score(("a", "b"), (1.0, Failure("system", "the judge did not answer")))
    with pytest.raises(AssertionError, match="graded in full"):
        reward(Trial(SelfEdit("task", "prompt"), before=score([0, 0]), after=ungraded))
