import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from selfedit.graders import GRADERS
from selfedit.graders.exact import F1, Contains, Exact, normalise
from selfedit.types import Question


def grade(grader, answer, gold):
    return grader.grade([(Question("?", gold), answer)]) == [1.0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Cat's  hat.", "cats hat"),
        ("an apple a day", "apple day"),
        ("A. The An", ""),
        ("Athens, the theatre", "athens theatre"),
        ("  Neil\n\tArmstrong ", "neil armstrong"),
        ("U.S. $1,000", "us 1000"),
        ("1958-1969", "19581969"),
        ("Łódź", "łódź"),
    ],
)
def test_text_is_normalised_as_squad_does(text, expected):
    assert normalise(text) == expected


@given(st.text())
def test_normalised_text_has_single_spaces_and_no_capitals(text):
    assert normalise(text) == " ".join(normalise(text).split())
    assert not set(normalise(text)) & set("ABCDEFGHIJKLMNOPQRSTUVWXYZ.,!?")


@pytest.mark.parametrize("answer", ["1969", "1969.", " The 1969 "])
def test_exact_takes_the_gold_answer_however_it_is_dressed(answer):
    assert grade(Exact(), answer, "1969")


@pytest.mark.parametrize("answer", ["in 1969", "19690", "", "1970"])
def test_exact_takes_nothing_else(answer):
    assert not grade(Exact(), answer, "1969")


@pytest.mark.parametrize("answer", ["It landed in 1969.", "1969", "the year 1969, in July"])
def test_contains_takes_a_sentence_around_the_gold_answer(answer):
    assert grade(Contains(), answer, "1969")


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("It was launched in 1843.", "18"),
        ("It is famous for lacework.", "lace"),
        ("Neil A. and J. Armstrong", "Neil Armstrong"),
        ("Armstrong Neil", "Neil Armstrong"),
        ("", "1969"),
        ("Nobody knows.", "1969"),
    ],
)
def test_contains_respects_words_and_their_order(answer, gold):
    assert not grade(Contains(), answer, gold)


@given(before=st.text(), gold=st.text(), after=st.text())
def test_an_answer_with_the_gold_as_whole_words_always_scores(before, gold, after):
    assume(normalise(gold))
    assert grade(Contains(), f"{before} {gold} {after}", gold)


@given(answer=st.text(), gold=st.text())
def test_what_is_exact_is_contained(answer, gold):
    assert grade(Contains(), answer, gold) >= grade(Exact(), answer, gold)


@pytest.mark.parametrize(("answer", "expected"), [("...", 1.0), ("anything", 0.0)])
def test_a_gold_answer_without_words_matches_only_a_blank(answer, expected):
    assert Contains().grade([(Question("?", "!"), answer)]) == [expected]


@pytest.mark.parametrize("name", GRADERS)
def test_grades_come_in_the_order_of_the_answers(name):
    grader, question = GRADERS[name], Question("?", "[[1, 9]]" if name == "attempts" else "1969")
    right, wrong = ("[[[1, 9]]]", "[[[7, 0]]]") if name == "attempts" else ("1969", "1970")
    grades = grader.grade([(question, right), (question, wrong), (question, right)])
    assert [grade > 0.5 for grade in grades] == [True, False, True]
    assert grader.grade([]) == []


def test_f1_is_the_share_of_words_in_common():
    assert F1().grade([(Question("?", "Neil Armstrong"), "It was Armstrong")]) == [2 * 1 / (3 + 2)]
    assert F1().grade([(Question("?", "1969"), "in 1970"), (Question("?", "lace"), "Lace.")]) == [0.0, 1.0]
