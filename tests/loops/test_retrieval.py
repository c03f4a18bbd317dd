"""The passage that a question is about, found by its words."""

from selfedit.loops.evaluate import for_as_many_tokens, with_retrieved
from selfedit.types import Recipe, SelfEdit, Trial, Update


def test_each_question_gets_the_passage_that_it_is_about(tasks):
    asked = with_retrieved(tasks, list(reversed(tasks)))
    assert [task.context for task in asked] == [task.context for task in tasks for _ in task.questions]
    assert [task.questions for task in asked] == [(question,) for task in tasks for question in task.questions]


def test_another_edit_is_trained_for_as_many_tokens():
    edit, other = SelfEdit("t", "", recipe=Recipe(epochs=2)), Trial(SelfEdit("t", ""), Update("b", tokens=440))
    assert for_as_many_tokens(edit, other).recipe == Recipe(epochs=2, tokens=440)
    assert for_as_many_tokens(edit, Trial(SelfEdit("t", ""))) == edit
