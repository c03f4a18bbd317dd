"""The fitted grader: what must hold whatever the fit, and that it is the one that was measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.graders import GRADERS
from selfedit.graders.calibrated import PARAMETERS, Calibrated, _model
from selfedit.graders.calibrated.features import NAMES, features
from selfedit.graders.calibrated.reading import claim, read, sentences
from selfedit.types import Question

ASKED = [
    ("Who wrote the letter?", "Ada Lovelace", "The letter was written by Ada Lovelace in London."),
    ("When was the bridge built?", "1874", "The bridge was built in 1874."),
    ("How many people live there?", "twelve", "There are 12 people living there."),
    ("What is the capital of Peru?", "Lima", "Lima"),
    ("Which city is it in?", "Zürich", "It is in Zurich."),
    ("What share was English?", "36%", "About 36 percent of the players were English."),
]
WRONG = [
    ("Who wrote the letter?", "Ada Lovelace", "The letter was written by Charles Babbage."),
    ("When was the bridge built?", "1874", "The bridge was built in 1901."),
    ("What is the capital of Peru?", "Lima", "I am not sure; the passage does not mention it."),
    ("What is the capital of Peru?", "Lima", "   "),
    ("What is the capital of Peru?", "Lima", ""),
]


def grade(question, gold, answer):
    return Calibrated().grade([(Question(question, gold), answer)])[0]


def is_right(*row):
    return grade(*row) > 0.5


@pytest.mark.parametrize("row", ASKED)
def test_what_says_the_gold_answer_is_right(row):
    assert is_right(*row)


@pytest.mark.parametrize("row", WRONG)
def test_what_says_something_else_or_nothing_is_wrong(row):
    assert not is_right(*row)


@pytest.mark.parametrize(("question", "gold", "_"), ASKED)
def test_the_gold_answer_itself_is_right_in_any_case(question, gold, _):
    assert is_right(question, gold, gold) and is_right(question, gold, gold.upper())


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_answer_is_certainly_wrong(blank):
    assert grade("Who?", "Ada", blank) == 0.0


@given(st.text(max_size=40), st.text(max_size=30), st.text(max_size=80))
def test_any_text_has_features_and_a_chance(question, gold, answer):
    assert len(features(question, gold, answer, {})) == len(NAMES)
    assert 0 <= grade(question, gold, answer) <= 1


@given(st.lists(st.sampled_from([*ASKED, *WRONG]), max_size=6))
def test_a_grade_does_not_depend_on_what_is_graded_beside_it(rows):
    pairs = [(Question(question, gold), answer) for question, gold, answer in rows]
    assert Calibrated().grade(pairs) == pytest.approx([grade(*row) for row in rows])


def test_words_are_read_as_a_person_reads_them():
    assert read("Twelve").plain == read("12").plain
    assert read("Zürich").stems == read("zurich").stems
    assert read("20,000").numbers == read("20000").numbers == frozenset({"20000"})
    assert read("36%").plain == read("36 percent").plain


def test_the_answer_proper_ends_where_the_model_goes_on_to_something_else():
    assert claim("Answer: Lima.\n\nQuestion: What is next?") == "Lima."
    assert sentences("It was built in 1874. It was large.")[0] == "It was built in 1874."


def test_the_table_names_it_and_its_parameters_are_plain_data():
    assert isinstance(GRADERS["calibrated"], Calibrated)
    assert PARAMETERS.suffix == ".safetensors" and PARAMETERS.stat().st_size < 2_000_000


def test_no_tree_looks_at_a_feature_that_there_is_not():
    for forest in (_model().boosted, _model().averaged):
        assert forest.feature.min() >= 0 and forest.feature.max() < len(NAMES)
