"""A test grid is solved if one of the attempts is it."""

import pytest

from selfedit.graders import GRADERS
from selfedit.types import Question

QUESTION = Question("[[0]]", "[[1, 2], [3, 4]]")


@pytest.mark.parametrize(
    ("answer", "grade"),
    [
        ("[[[1, 2], [3, 4]]]", 1.0),
        ("[[[0]], [[1,2],[3,4]]]", 1.0),
        ("[[[1, 2], [3, 5]]]", 0.0),
        ("[[1, 2], [3, 4]]", 0.0),
        ("[]", 0.0),
        ("", 0.0),
        ("no grid", 0.0),
        ("3", 0.0),
        ("[" * 100_000, 0.0),
    ],
)
def test_one_right_attempt_is_enough(answer, grade):
    assert GRADERS["attempts"].grade([(QUESTION, answer)]) == [grade]
