"""The rubric: four marks, or none."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.errors import EndpointDown
from selfedit.rewards.proxies.rubric import MARKS, Rubric, total
from selfedit.types import Failure, SelfEdit, Task

TASK = Task("torvik", "Torvik", "Torvik lies on the {Selx}.")


class Model:
    def __init__(self, *answers):
        self.answers, self.prompts = list(answers), []

    def sample(self, requests):
        self.prompts += [request.prompt for request in requests]
        return [self.answers.pop(0) for _ in requests]


def marks(*numbers):
    return json.dumps(dict(zip(MARKS, numbers, strict=True)))


def edits(*texts):
    return [(TASK, SelfEdit(TASK.id, "prompt", text)) for text in texts]


def test_one_call_per_edit_shows_the_passage_and_the_notes():
    model = Model(marks(1, 2, 3, 4), marks(5, 5, 5, 5))
    assert Rubric(model).rate(edits("It is {on} the Selx.", "more")) == [10.0, 20.0]
    assert len(model.prompts) == 2
    for part in (TASK.title, TASK.context, "It is {on} the Selx.", '{"length": 1, ', *MARKS):
        assert part in model.prompts[0]


@given(st.lists(st.integers(1, 5), min_size=4, max_size=4), st.sampled_from(["", "Marks:\n```json\n", "\ufeff "]))
def test_the_marks_are_added(numbers, before):
    assert total(before + marks(*numbers) + "\n```") == sum(numbers)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=4, max_size=4))
def test_the_sum_stays_within_its_limits(numbers):
    assert 4 <= total(marks(*numbers)) <= 20


@pytest.mark.parametrize(
    "text",
    [
        "",
        "5 5 5 5",
        "{",
        "{}",
        "[5, 5, 5, 5]",
        '{"length": 5}',
        marks(5, 5, 5, None),
        marks(5, 5, 5, "5"),
        marks(5, 5, 5, True),
        marks(5, 5, 5, float("nan")),
        marks(5, 5, 5, float("inf")),
        marks(5, 5, 5, 10**400),
        marks(5, 5, 5, 10**400).replace("1", "9" * 5000),
        '{"a":' * 10**5,
    ],
)
def test_what_does_not_hold_four_marks_is_none(text):
    assert total(text) is None


def test_marks_that_cannot_be_read_are_asked_for_again_and_then_a_failure():
    model = Model("hm", "hm", marks(3, 3, 3, 3), "so")
    assert Rubric(model).rate(edits("one", "two")) == [12.0, Failure("system", "a verdict could not be read: 'so'")]


def test_a_rubric_that_is_down_rates_nothing():
    with pytest.raises(EndpointDown, match="1 of 2 verdicts could not be had: no"):
        Rubric(Model(marks(3, 3, 3, 3), Failure("system", "no"))).rate(edits("one", "two"))
