from statistics import stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.rewards.credit import CREDITS, best_by_advantage, group_relative, rest_em, threshold, top

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


IMITATING = ["rest_em", "top2", "threshold"]


@pytest.mark.parametrize("credit", IMITATING)
@given(rewards=REWARDS)
def test_imitation_gives_each_trial_a_weight_from_0_to_1(credit, rewards):
    weights = CREDITS[credit](rewards)
    assert len(weights) == len(rewards)
    assert all(0 <= weight <= 1 for weight in weights)


@given(REWARDS)
def test_group_relative_weights_are_centred_and_scaled_whatever_the_reward_s_unit(rewards):
    weights = group_relative(rewards)
    assert sum(weights) == pytest.approx(0, abs=1e-6)
    if max(rewards) - min(rewards) > 1e-6:
        assert stdev(weights) == pytest.approx(1)
        assert group_relative([10 * reward + 3 for reward in rewards]) == pytest.approx(weights, abs=1e-4)


@pytest.mark.parametrize("credit", [group_relative, best_by_advantage])
def test_a_group_of_equals_teaches_nothing(credit):
    assert credit([0.3, 0.3, 0.3]) == [0.0, 0.0, 0.0]


@given(REWARDS)
def test_the_best_edit_weighs_by_the_square_of_its_advantage_and_no_other_does(rewards):
    weights, mean = best_by_advantage(rewards), sum(rewards) / len(rewards)
    assert sum(weights) == pytest.approx((max(rewards) - mean) ** 2, abs=1e-9)
    assert [weight for weight, best in zip(weights, rest_em(rewards), strict=True) if not best] == [0] * (
        len(rewards) - 1
    )


def test_a_winner_of_little_advantage_weighs_little_whatever_its_reward():
    assert sum(best_by_advantage([0.8, 0.82])) < sum(best_by_advantage([0.1, 0.3])) / 50


def test_the_top_edits_are_imitated_alike():
    assert top([0.2, 0.6, 0.5, 0.6], 2) == [0.0, 1.0, 0.0, 1.0]
