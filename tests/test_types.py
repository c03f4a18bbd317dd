import ast
import pickle
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from selfedit import types
from selfedit.types import BASE, Cut, Example, Failure, Job, Question, Recipe, Request, Score, SelfEdit, Task, Trial

DOWN = Failure("system", "the judge did not answer")


def test_the_value_of_a_score_is_the_mean_grade():
    assert Score(("yes", "no", "no", "no"), (1.0, 0.0, 0.0, 0.0)).value == 0.25


@pytest.mark.parametrize("grades", [(1.0, DOWN), (DOWN, DOWN), ()])
def test_a_score_has_no_value_unless_every_question_was_graded(grades):
    assert Score(("yes",) * len(grades), grades).value is None


def test_wrong_answers_have_a_value():
    assert Score(("no", "no"), (0.0, 0.0)).value == 0.0


def test_blank_answers_are_counted_and_failed_ones_are_not():
    assert Score(("yes", " \n", "", DOWN), (1.0, 0.0, 0.0, DOWN)).blank == 0.5


@pytest.mark.parametrize(
    ("score", "complete"),
    [
        (Score(("yes",), (0.0,)), True),
        (Score(("yes",), (1.0,), {"likelihood": (-1.0,), "control": (-2.0, -3.0)}), True),
        (Score(("yes",), (1.0,), {"likelihood": (-1.0,), "control": (-2.0, DOWN)}), False),
        (Score(("yes",), (1.0,), {"retention": (DOWN,)}), False),
        (Score(("yes", "no"), (1.0, DOWN), {"likelihood": (-1.0, -1.0)}), False),
        (Score((), (), {"likelihood": (-1.0,)}), False),
    ],
)
def test_a_score_is_complete_once_all_that_was_asked_for_was_measured(score, complete):
    assert score.is_complete is complete


def test_a_score_without_answers_has_no_blanks():
    assert Score((), ()).blank == 0.0


NOUNS = [
    DOWN,
    Question("When?", "1969"),
    Task("id", "title", "context"),
    Example("", "text"),
    Recipe(),
    SelfEdit("id", "prompt"),
    BASE,
    Score((), ()),
    Score(("yes",), (1.0,), {"likelihood": (-1.0,)}),
    Trial(SelfEdit("id", "prompt")),
    Request(BASE, "prompt"),
    Job(BASE, (), Recipe(), 0),
]


@pytest.mark.parametrize("value", NOUNS, ids=lambda value: type(value).__name__)
def test_nouns_are_frozen_and_can_be_keys(value):
    assert {value: 1}[value] == 1
    for field in fields(value):
        with pytest.raises(FrozenInstanceError):
            setattr(value, field.name, "other")


def test_only_the_standard_library_and_the_names_of_limits_are_imported():
    tree = ast.parse(Path(types.__file__).read_text())
    modules = {node.module.partition(".")[0] for node in tree.body if isinstance(node, ast.ImportFrom)}
    assert modules <= sys.stdlib_module_names | {"annotated_types"}
    assert not [node for node in tree.body if isinstance(node, ast.Import)]


def test_a_text_that_was_cut_is_a_text_and_stays_cut_between_processes():
    cut = Cut("and then")
    assert cut == "and then" and hash(cut) == hash("and then") and repr(cut) == repr("and then")
    assert isinstance(pickle.loads(pickle.dumps(cut)), Cut)
