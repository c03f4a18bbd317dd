import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.errors import EngineError
from selfedit.protocols import FLOOR
from selfedit.rewards.measured import REWARDS, accuracy, binary, gain, likelihood, lost, with_costs
from selfedit.types import Failure, Score, SelfEdit, Trial, Update

GRADES = st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=8)


def score(grades, control=()):
    """A score whose right answers are as likely as they are known."""
    measured = {"likelihood": tuple(grade - 1 for grade in grades), "control": tuple(control)}
    return Score(("answer",) * len(grades), tuple(grades), measured)


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
    with pytest.raises((AssertionError, EngineError), match=r"in full|needs likelihood"):
        reward(Trial(SelfEdit("task", "prompt"), before=score([0, 0]), after=ungraded))


def test_the_likelihood_reward_is_what_the_right_answers_gained_per_token():
    before = Score(("a", "b"), (0.0, 0.0), {"likelihood": (-2.0, -4.0)})
    after = Score(("a", "b"), (0.0, 0.0), {"likelihood": (-1.5, -1.5)})
    assert likelihood(Trial(SelfEdit("task", "prompt"), Update("u"), before, after)) == pytest.approx(1.5)


def test_forgetting_and_trained_tokens_are_charged():
    update = Update("u", "base", tokens=500)
    forgetful = Trial(SelfEdit("task", "prompt"), update, score([0], [-2.0, -3.0]), score([1], [-2.5, -3.5]))
    assert lost(forgetful, "control") == pytest.approx(0.5)
    assert with_costs(gain, 0.4, 0.2)(forgetful) == pytest.approx(1 - 0.4 * 0.5 - 0.2 * 0.5)


def test_a_reward_without_costs_is_the_reward_itself():
    assert with_costs(gain, 0, 0) is gain


def test_a_task_is_solved_when_every_question_is_right():
    for grades, reward in [((1.0, 1.0), 1.0), ((1.0, 0.0), 0.0)]:
        after = Score(("a", "b"), grades)
        assert REWARDS["solved"](Trial(SelfEdit("task", "prompt"), Update("u"), after, after)) == reward
