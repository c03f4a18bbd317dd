import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.credit import CREDITS, rest_em, threshold

REWARDS = st.lists(st.floats(-1, 1), min_size=1)


@given(REWARDS)
def test_rest_em_imitates_one_edit_and_none_is_better(rewards):
    weights = rest_em(rewards)
    assert sorted(weights) == [0.0] * (len(rewards) - 1) + [1.0]
    assert rewards[weights.index(1.0)] == max(rewards)


def test_rest_em_takes_the_first_of_several_best():
    assert rest_em([0.2, 0.6, 0.6]) == [0.0, 1.0, 0.0]


def test_rest_em_imitates_the_best_even_where_none_helped():
    assert rest_em([-0.4, -0.2, -0.2]) == [0.0, 1.0, 0.0]


@given(REWARDS)
def test_threshold_imitates_every_edit_that_helped_and_no_other(rewards):
    assert threshold(rewards) == [1.0 if reward > 0 else 0.0 for reward in rewards]


@pytest.mark.parametrize("credit", CREDITS.values(), ids=CREDITS)
@given(rewards=REWARDS)
def test_every_credit_gives_each_trial_a_weight_from_0_to_1(credit, rewards):
    weights = credit(rewards)
    assert len(weights) == len(rewards)
    assert all(0 <= weight <= 1 for weight in weights)
