"""The knowledge domain: notes become examples, and questions are asked with and without the passage."""

import pytest

from selfedit.domains.knowledge.documents import build_documents
from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions
from selfedit.errors import BadEdit
from selfedit.types import Example, Question, Recipe


@pytest.mark.parametrize("text", ["", " \n\t"])
def test_empty_notes_cannot_be_read(tasks, text):
    with pytest.raises(BadEdit, match="empty"):
        Knowledge().parse(tasks[0], text)


@pytest.mark.parametrize("split_newlines", [True, False])
def test_an_edit_holds_its_documents_as_examples_without_a_prompt(tasks, split_newlines):
    edit = Knowledge(KnowledgeOptions(split_newlines=split_newlines)).parse(tasks[0], "One.\nTwo.")
    documents = build_documents(tasks[0].title, tasks[0].context, "One.\nTwo.", split_newlines)
    assert edit.examples == tuple(Example("", document) for document in documents)


def test_an_edit_remembers_its_task_what_was_shown_and_what_was_written(tasks):
    edit = Knowledge().parse(tasks[0], " One.\n")
    assert (edit.task_id, edit.prompt, edit.text) == ("apollo", Knowledge().prompts(tasks[0])[0], " One.\n")


def test_without_an_edit_only_the_passage_is_trained_on(tasks):
    edit = Knowledge().without_edit(tasks[0])
    assert [example.target for example in edit.examples] == [f"{tasks[0].title}\n{tasks[0].context}"]


def test_the_policy_sees_the_passage_and_none_of_the_questions(tasks):
    prompt = Knowledge().prompts(tasks[0])[0]
    assert tasks[0].title in prompt and tasks[0].context in prompt
    assert not [question for question in tasks[0].questions if question.text in prompt]


def test_a_closed_book_question_names_the_title_and_hides_passage_and_answer(tasks):
    question = tasks[0].questions[0]
    (prompt,) = Knowledge().exam(tasks[0], question)
    assert tasks[0].title in prompt and question.text in prompt
    assert tasks[0].context not in prompt and question.target not in prompt


def test_an_open_book_question_is_the_closed_one_after_the_passage(tasks):
    domain, question = Knowledge(), tasks[0].questions[0]
    (closed,), (open_book,) = domain.exam(tasks[0], question), domain.open_book(tasks[0], question)
    assert open_book.endswith(closed) and tasks[0].context in open_book


def test_the_answer_is_what_came_back_and_every_model_has_its_own_way_to_say_it(tasks):
    domain, question = Knowledge(), tasks[0].questions[0]
    assert domain.answer(tasks[0], question, [[" It is 1969.\n"]]) == " It is 1969.\n"
    assert domain.targets(tasks[0], question) == []


def test_the_recipe_of_the_domain_rides_on_every_edit(tasks):
    domain = Knowledge(recipe=Recipe(rank=3))
    assert domain.parse(tasks[0], "One.").recipe == domain.without_edit(tasks[0]).recipe == Recipe(rank=3)


def test_thoughts_are_no_training_documents(tasks):
    edit = Knowledge().parse(tasks[0], "<think>\nIn 1968?\nNo.\n</think>\n\nIt landed in 1969.")
    assert [example.target for example in edit.examples] == [
        f"{tasks[0].title}\nIt landed in 1969.",
        f"{tasks[0].title}\n{tasks[0].context}",
    ]
    assert edit.text == "It landed in 1969."
    with pytest.raises(BadEdit):
        Knowledge().parse(tasks[0], "<think>\nIn 1968, or was it")
    assert Knowledge().parse_questions(
        "<think>Question 1: Who?\nAnswer: X</think>Question 1: When?\nAnswer:\n1969"
    ) == [Question("When?", "1969")]
