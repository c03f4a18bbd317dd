import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.graders import GRADERS
from selfedit.graders.calibrated import PARAMETERS
from selfedit.graders.calibrated.features import NAMES, features
from selfedit.graders.calibrated.reading import amounts, claim, periods, read
from selfedit.types import Question

CALIBRATED = GRADERS["calibrated"]
GOLD = [
    ("Who led Apollo 11?", "Neil Armstrong"),
    ("When did Apollo 11 land?", "1969"),
    ("What is Torvik famous for?", "lace"),
    ("How many children did she have?", "three"),
    ("Which river does the town lie on?", "the Rhine"),
]


def is_right(question, gold, answer):
    return CALIBRATED.grade([(Question(question, gold), answer)])[0] > 0.5


@pytest.mark.parametrize(("question", "gold"), GOLD)
@pytest.mark.parametrize("form", ["{}", "{}.", "The answer is: {}.", " {}\n"])
def test_the_gold_answer_is_right(question, gold, form):
    assert is_right(question, gold, form.format(gold))


@pytest.mark.parametrize(("question", "gold"), GOLD)
@pytest.mark.parametrize("answer", ["", " \n\t", "I do not know."])
def test_saying_nothing_is_wrong(question, gold, answer):
    assert not is_right(question, gold, answer)


@pytest.mark.parametrize(
    ("question", "gold", "answer"),
    [
        ("Who led Apollo 11?", "Neil Armstrong", "Buzz Aldrin"),
        ("When did Apollo 11 land?", "1969", "It landed in 1972."),
        ("How many children did she have?", "three", "She had 4 children."),
        ("Which river does the town lie on?", "the Rhine", "The town lies on a river."),
    ],
)
def test_another_answer_of_the_same_kind_is_wrong(question, gold, answer):
    assert not is_right(question, gold, answer)


@given(st.sampled_from(GOLD), st.text(), st.text())
def test_grades_are_chances_and_never_fail(pair, gold, answer):
    question = Question(pair[0], gold)
    assert 0.0 <= CALIBRATED.grade([(question, answer)])[0] <= 1.0
    assert len(features(question.text, gold, answer, {})) == len(NAMES)


@given(st.lists(st.sampled_from([*(gold for _, gold in GOLD), "", "no"]), max_size=8))
def test_a_grade_does_not_depend_on_its_neighbours(answers):
    pairs = [(Question(*GOLD[0]), answer) for answer in answers]
    assert CALIBRATED.grade(pairs) == pytest.approx([CALIBRATED.grade([pair])[0] for pair in pairs])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Łódź café", "łódz cafe"),
        ("twenty-five percent", "25%"),
        ("the nineteenth century", "the 19 century"),
        ("three", "3"),
        ("the United States of America", "the USA"),
        ("World War II", "the Second World War"),
        ("baptisms", "baptism"),
        ("uniform", "constant"),
    ],
)
def test_the_same_is_read_in_other_words(one, other):
    same = [set(read(text).content) for text in (one, other)]
    assert same[0] == same[1]


def test_opposites_are_not_read_as_the_same():
    pairs = [("north", "south"), ("increase", "decrease"), ("before", "after"), ("hot", "cold"), ("first", "second")]
    assert [pair for pair in pairs if read(pair[0]).stems == read(pair[1]).stems] == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.4 million", {1.4e6}),
        ("1,400,000 people", {1.4e6}),
        ("a hundred", {100}),
        ("twenty-one", {21}),
        ("half", {50}),
        ("none", set()),
    ],
)
def test_amounts(text, expected):
    assert amounts(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("in 1642", {(1642, 1642)}),
        ("the 1640s", {(1640, 1649)}),
        ("the 17th century", {(1601, 1700)}),
        ("the seventeenth century", {(1601, 1700)}),
        ("from 1918 to 1938", {(1918, 1918), (1938, 1938)}),
        ("yesterday", set()),
    ],
)
def test_periods(text, expected):
    assert periods(read(text)) == expected


def test_what_follows_the_answer_is_not_read():
    assert claim("Answer: lace.\nQuestion: Who led Apollo 11?\nAnswer: Armstrong") == "lace."


def test_features_say_whether_the_gold_answer_is_denied():
    values = {answer: dict(zip(NAMES, features("Is it safe?", "safe", answer, {}), strict=True)) for answer in
              ("It is safe.", "It is not safe.")}  # fmt: skip
    assert values["It is not safe."]["all negations"] == values["It is safe."]["all negations"] + 1


@pytest.mark.parametrize("blank", ["", "  ", "\n"])
def test_a_blank_answer_is_certainly_wrong(blank):
    assert CALIBRATED.grade([(Question("Who?", "Ada"), blank)]) == [0.0]


def test_importing_reads_no_parameters():
    code = "import sys, selfedit.graders; print([m for m in ('numpy', 'sklearn', 'safetensors') if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_parameters_are_small_and_are_not_pickled():
    assert PARAMETERS.suffix == ".safetensors"
    assert PARAMETERS.stat().st_size < 2_000_000
