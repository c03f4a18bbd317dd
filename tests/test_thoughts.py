"""What a reasoning model says, without its thoughts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.thoughts import without_thoughts

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
