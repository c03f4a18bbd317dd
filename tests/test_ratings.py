"""Opinions read as numbers: nothing that could not be had or read becomes one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.errors import EndpointDown
from selfedit.ratings import ask
from selfedit.thoughts import STILL_THINKING
from selfedit.types import BASE, Failure


class Scripted:
    """Answers from a table of prompt -> answers, one per time that it is asked."""

    def __init__(self, answers):
        self.answers, self.requests = {prompt: list(texts) for prompt, texts in answers.items()}, []

    def sample(self, requests):
        self.requests += requests
        return [self.answers[request.prompt].pop(0) for request in requests]


def number(text):
    return float(text) if text.isdecimal() else None


def test_numbers_come_in_order_and_equal_prompts_are_asked_once():
    model = Scripted({"a": ["1"], "b": ["2"]})
    assert ask(model, ["a", "b", "a"], number, 9) == [1.0, 2.0, 1.0]
    assert [(r.update, r.prompt, r.seed, r.temperature, r.max_new_tokens) for r in model.requests] == [
        (BASE, "a", 0, 0.0, 9),
        (BASE, "b", 0, 0.0, 9),
    ]


def test_what_cannot_be_read_is_asked_once_more_with_another_seed():
    model = Scripted({"a": ["1"], "b": ["hm", "2"], "c": ["hm", "so" * 99]})
    one, two, three = ask(model, ["a", "b", "c"], number, 9)
    assert (one, two) == (1.0, 2.0)
    assert three == Failure("system", f"a verdict could not be read: {'so' * 40!r}")
    assert [(request.prompt, request.seed) for request in model.requests[3:]] == [("b", 1), ("c", 1)]


def test_thoughts_are_not_read_and_a_thought_that_did_not_end_is_no_answer():
    model = Scripted(
        {
            "a": ["<think>7</think>1"],
            "b": ["<think>7", "<think>8</think>2"],
            "c": [Failure("policy", STILL_THINKING), "<think>7"],
        }
    )
    one, two, three = ask(model, ["a", "b", "c"], number, 9)
    assert (one, two) == (1.0, 2.0)
    assert three == Failure("system", STILL_THINKING)


@pytest.mark.parametrize(
    "answers", [{"a": ["1"], "b": [Failure("system", "no")]}, {"a": ["1"], "b": ["hm", Failure("system", "no")]}]
)
def test_what_cannot_be_had_stops_everything(answers):
    with pytest.raises(EndpointDown, match=r"^1 of [12] verdicts could not be had: no$"):
        ask(Scripted(answers), ["a", "b"], number, 9)


def test_nothing_is_asked_for_nothing():
    assert ask(Scripted({}), [], number, 9) == []


@given(st.lists(st.lists(st.sampled_from(["0", "7", "", "hm"]), min_size=2, max_size=2), max_size=9))
def test_a_number_is_what_was_said_and_all_else_is_a_failure(said):
    model = Scripted({str(index): texts for index, texts in enumerate(said)})
    outcomes = ask(model, [str(index) for index in range(len(said))], number, 9)
    for outcome, texts in zip(outcomes, said, strict=True):
        read = [float(text) for text in texts if text.isdecimal()]
        assert outcome == read[0] if read else isinstance(outcome, Failure)
