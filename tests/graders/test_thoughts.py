"""What a reasoning model thinks is not its answer, whichever grader looks."""

import pytest

from selfedit.graders import GRADERS
from selfedit.types import Question

QUESTION = Question("How many days of leave?", "30")


@pytest.mark.parametrize("name", sorted(GRADERS.keys() - {"attempts"}))
def test_thoughts_are_not_graded(name):
    def grade(answer):
        return GRADERS[name].grade([(QUESTION, answer)])

    assert grade("<think>\nIs it 30? No.\n</think>\n\n25") == grade("25")
    assert grade("<think>\nIs it 25? No.\n</think>\n\n30") == grade("30")
    assert grade("<think>\nOkay, leave could be 20, 25 or 30 days") == grade("") == [0.0]
