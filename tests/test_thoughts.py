"""What a reasoning model says, without its thoughts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.thoughts import answer_in, closing_of, open_thought, without_thoughts

plain = st.text(alphabet="ab <>/\n", max_size=9)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>1969? Yes.</think>\n\nyes", "yes"),
        ("<think>\n\n</think>\n\nIn 1969.", "In 1969."),
        ("Okay, so no.\n</think>\n\nyes", "yes"),
        ("[THINK]no[/THINK]yes", "yes"),
        ("\u25c1think\u25b7no\u25c1/think\u25b7yes", "yes"),
        ("<|START_THINKING|>no<|END_THINKING|>yes", "yes"),
        ("<seed:think>no</seed:think>yes", "yes"),
        ("<think>a<think>b</think>yes", "yes"),
        ("<think>a</think>one <think>b</think>two", "one two"),
        ("<THINK>no</Think>yes", "yes"),
        ("<|channel>thought\nno<channel|>yes", "yes"),
        ("<|channel|>analysis<|message|>no<|end|><|start|>assistant<|channel|>final<|message|>yes", "yes"),
        ("<|channel|>analysis<|message|>Is it? No", None),
        ("<think>", None),
        ("<think>Is it? No", None),
        ("<think>a</think>one<think>b", None),
        ("<think>all of it</think>", ""),
        (" I think that 1 < 2. ", " I think that 1 < 2. "),
        ("", ""),
    ],
)
def test_only_what_is_said_is_kept(text, said):
    assert without_thoughts(text) == said


@given(plain, plain)
def test_a_thought_never_changes_what_is_said_after_it(thought, said):
    assert without_thoughts(f"<think>{thought}</think>{said}") == said.strip()
    assert without_thoughts(said) == said
    assert without_thoughts(f"<think>{thought}") is None


def test_ten_thousand_marks_take_no_time():
    assert without_thoughts("<think>" * 50_000) is None
    assert without_thoughts("</think>" * 50_000) == ""


def test_a_thought_without_end_is_a_blank_answer():
    assert answer_in("<think>1969, or was it") == "" and answer_in("In 1969. ") == "In 1969. "


def test_a_prompt_may_begin_a_thought():
    assert open_thought("<user>Who?<bot><think>\n") == "<think>" and closing_of("<think>") == "</think>"
    assert open_thought("<user>What is <think>?<bot>") == "" == open_thought("<bot><think>\n\n</think>\n\n")
