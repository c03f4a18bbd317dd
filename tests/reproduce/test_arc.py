"""The table of plans for grids: what counts as solved, and which tasks a model can be shown."""

import numpy as np
import pytest

from selfedit.domains.arc.options import ArcOptions
from selfedit.domains.arc.plans import read_plan
from selfedit.domains.arc.prompts import to_task
from selfedit.reproduce.arc import fits, hand_made, outcome, summarise_arc
from selfedit.types import Failure, Score, SelfEdit, Trial, Update

BROKEN = Failure("system", "a worker died")


def tried(task, *grades, failure=None):
    edit = SelfEdit(task, "", "", ())
    score = Score(("",) * len(grades), grades) if grades else None
    return Trial(edit, Update(task, tokens=10), after=score, failure=failure)


def test_a_trial_is_solved_by_all_grids_and_the_systems_failures_are_no_score():
    assert outcome(tried("a", 1.0, 1.0)) == 1 and outcome(tried("a", 1.0, 0.0)) == 0
    assert outcome(tried("a", failure=Failure("policy", "no plan"))) == 0
    assert outcome(tried("a", failure=BROKEN)) is None and outcome(tried("a", 1.0, BROKEN)) is None


def test_tasks_count_once_with_their_mean_over_plans_and_seeds_and_the_oracle_with_its_best():
    first = {
        "in_context": [tried("a", 0.0), tried("b", 1.0)],
        "before_rl": [tried("a", 1.0), tried("a", 0.0), tried("b", 1.0), tried("b", 1.0)],
        "after_rl": [tried("a", 1.0), tried("a", 1.0), tried("b", 1.0), tried("b", failure=Failure("policy", "x"))],
        "oracle": [tried("a", 0.0), tried("a", 1.0), tried("b", 0.0), tried("b", 0.0)],
    }
    second = {name: trials for name, trials in first.items() if name != "oracle"}
    second["before_rl"] = [tried("a", 0.0), tried("a", 0.0), tried("b", 1.0), tried("b", 1.0)]
    table = summarise_arc([first, second])
    means = {name: table[name]["mean"] for name in first}
    assert means == {"in_context": 0.5, "before_rl": 0.625, "after_rl": 0.75, "oracle": 0.5}
    assert table["rl_gain"]["mean"] == pytest.approx(0.125) and table["plan_gain"]["mean"] == pytest.approx(0.125)
    assert table["rl_gain"]["low"] == table["rl_gain"]["high"]  # two tasks say nothing about the spread
    assert table["after_rl"]["unreadable"] == 0.25 and table["before_rl"]["unreadable"] == 0


def test_a_task_that_the_system_failed_once_is_left_out_and_pairs_are_of_the_same_tasks():
    run = {
        "in_context": [tried(name, 0.0) for name in "abc"],
        "before_rl": [tried("a", 1.0), tried("b", failure=BROKEN), tried("c", 1.0)],
        "after_rl": [tried("a", 0.0), tried("b", 1.0), tried("c", 0.0)],
    }
    table = summarise_arc([run])
    assert table["before_rl"]["n"] == 2 and table["after_rl"]["n"] == 3
    assert table["rl_gain"]["mean"] == -1


@pytest.mark.parametrize(("side", "fitting"), [(3, True), (13, False)])
def test_a_task_fits_by_its_sides(side, fitting):
    pair = np.ones((2, side), int), np.ones((1, 1), int)
    assert fits(to_task("t", [pair], [pair]), ArcOptions(max_side=12)) is fitting


def test_a_task_fits_by_its_tokens_with_room_for_an_output_of_the_largest_size():
    pair = np.ones((9, 9), int), np.ones((9, 9), int)  # 81 cells, 9 row ends and a role: 91 tokens each
    task = to_task("t", [pair], [pair])
    assert fits(task, ArcOptions(max_tokens=4 * 91)) and not fits(task, ArcOptions(max_tokens=4 * 91 - 1))


def test_the_oracles_plans_are_plans():
    assert len({read_plan(plan, wide=False).training.learning_rate for plan in hand_made()}) > 1
