"""The passage that a question is about, found by its words."""

from selfedit.loops.evaluate import as_long_as, with_retrieved
from selfedit.types import Recipe, SelfEdit, Trial, Update


def test_each_question_gets_the_passage_that_it_is_about(tasks):
    asked = with_retrieved(tasks, list(reversed(tasks)))
    assert [task.context for task in asked] == [task.context for task in tasks for _ in task.questions]
    assert [task.questions for task in asked] == [(question,) for task in tasks for question in task.questions]


def test_another_training_is_repeated_until_it_has_taken_as_many_tokens():
    once = Trial(SelfEdit("t", "", recipe=Recipe(epochs=2)), Update("a", tokens=100))
    other = Trial(SelfEdit("t", ""), Update("b", tokens=440))
    assert as_long_as(once, other).recipe.epochs == 9
    assert as_long_as(once, Trial(SelfEdit("t", ""))).recipe.epochs == 2
