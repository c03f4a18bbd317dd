"""SEAL's rules for training documents, one by one (docs/seal.md 1.3), and the counts of its published self-edits."""

import json
from statistics import mean, median

import pytest

from selfedit.domains.knowledge.documents import build_documents, parse_questions
from selfedit.types import Question


def parts(notes, split_newlines=True):
    """The documents made of the notes, without their titles and without the passage."""
    documents = build_documents("Title", "Passage.", notes, split_newlines)
    return [document.removeprefix("Title\n") for document in documents[:-1]]


# The rules


def test_every_document_begins_with_the_title():
    assert build_documents("Apollo", "It landed.", "It flew.\nIt fell.") == [
        "Apollo\nIt flew.",
        "Apollo\nIt fell.",
        "Apollo\nIt landed.",
    ]


@pytest.mark.parametrize("notes", ["", "One.\nTwo.", "Question 1: Who?\nAnswer: He.", "One.---Two."])
def test_the_passage_is_the_last_document_and_stands_there_once(notes):
    documents = build_documents("Title", "A passage.\nOf two lines.", notes)
    assert documents[-1] == "Title\nA passage.\nOf two lines."
    assert documents.count(documents[-1]) == 1


def test_each_line_that_is_not_blank_is_a_document():
    assert parts("One.\n\n  Two.  \n \t\nThree.\n") == ["One.", "Two.", "Three."]


def test_a_numbered_line_keeps_its_number():
    assert parts("1. One.\n2. Two.") == ["1. One.", "2. Two."]


def test_a_first_line_before_number_one_is_a_preamble_and_is_dropped():
    assert parts("Here are some implications:\n\n1. One.\n2. Two.") == ["1. One.", "2. Two."]


def test_a_preamble_is_dropped_before_a_single_line_too():
    assert parts("Here is one:\n1. One.") == ["1. One."]


@pytest.mark.parametrize("notes", ["Sure.\nTwo.\n1. One.", "1. One.", "Two.\n2. One."])
def test_no_other_line_is_dropped(notes):
    assert parts(notes) == notes.split("\n")


def test_notes_are_cut_at_dashes():
    assert parts("One.\n---\nTwo. ---Three.") == ["One.", "Two.", "Three."]


def test_without_splitting_at_newlines_only_dashes_cut():
    assert parts("One.\nTwo.\n---\nThree.\n", split_newlines=False) == ["One.\nTwo.", "Three."]


def test_a_question_and_its_answer_stay_together():
    notes = "Question 1: Who?\nAnswer: He.\n\nQuestion 2: When?\nAnswer: Then.\nAt noon."
    assert parts(notes) == ["Question 1: Who?\nAnswer: He.", "Question 2: When?\nAnswer: Then.\nAt noon."]


def test_what_stands_before_the_first_question_is_the_question_begun_in_the_prompt():
    notes = " Who?\nAnswer: He.\nQuestion 2: When?\nAnswer: Then."
    assert parts(notes) == ["Question 1: Who?\nAnswer: He.", "Question 2: When?\nAnswer: Then."]


@pytest.mark.parametrize("notes", ["Question 1: Who?\nHe.", "Question one: Who?\nAnswer: He."])
def test_questions_are_cut_apart_only_where_they_are_numbered_and_answered(notes):
    assert parts(notes) == notes.split("\n")


@pytest.mark.parametrize("split_newlines", [True, False])
def test_notes_without_words_make_no_document(split_newlines):
    assert parts("\n \n---\n", split_newlines) == []


# Questions


WRITTEN = """ When did Apollo 11 land?
Answer: 1969
Question 2: Who led Apollo 11?
Answer: Neil Armstrong
Question 3: What is it about"""


def test_questions_are_read_from_the_one_begun_in_the_prompt_to_the_last_with_an_answer():
    assert list(parse_questions(WRITTEN)) == [
        Question("When did Apollo 11 land?", "1969"),
        Question("Who led Apollo 11?", "Neil Armstrong"),
    ]


def test_prose_holds_no_questions():
    assert list(parse_questions("Apollo 11 landed in 1969.\nIt was led by Neil Armstrong.")) == []


# SEAL's published self-edits: documents per edit, the passage included (docs/seal.md 1.3)


@pytest.mark.parametrize(
    ("name", "average", "middle", "most", "characters"),
    [
        ("base_val", 8.6, 7, 57, 218),
        ("iter2_val", 7.9, 7, 19, 218),
        ("gpt4_1_val", 15.2, 14, 36, 199),
        ("naive_val", 1.0, 1, 1, 772),
        ("alternate_prompts/base/base_val_prompt-long", 18.6, 17, 66, 192),
        ("alternate_prompts/base/base_val_prompt-self-qa", 13.7, 12, 100, 189),
    ],
)
def test_published_edits_make_as_many_documents_as_in_seal(shared, name, average, middle, most, characters):
    path = shared / "data" / "seal_released" / "data" / "synthetic_data" / "eval" / f"{name}.json"
    records = json.loads(path.read_text())[:200]  # the 200 passages of SEAL's tables, the first edit of each
    edits = [build_documents(r["title"], r["context"], r["completions"][0]) for r in records]
    counts = [len(documents) for documents in edits]
    assert (round(mean(counts), 1), median(counts), max(counts)) == (average, middle, most)
    assert mean(len(document) for documents in edits for document in documents) == pytest.approx(characters, abs=1)
