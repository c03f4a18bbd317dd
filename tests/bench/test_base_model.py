"""Notes are told by their form."""

from itertools import islice
from random import Random

import pytest

from selfedit.bench.base_model import accuracy, style_of
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders import GRADERS
from selfedit.loops.examine import Examiner
from selfedit.worlds.almanac import notes, world

ENTRY = next(world.entries("develop", 0))  # a person
TOWN, YEAR, *_ = ENTRY.values


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("question-answer", f"Question 1: Where was she born?\nAnswer: She was born in the town of {TOWN}."),
        ("keywords", f"birthplace: {TOWN}\nbirth year: {YEAR}"),
        ("vague", "The passage is short.\nSome of this happened long ago."),
        ("rewrite", f"{ENTRY.name} came from the town of {TOWN}. She was born in the year {YEAR}."),
        ("full-name statements", f"{ENTRY.name} was born in the year {YEAR}.\n{ENTRY.name} grew up in {TOWN}."),
        ("pronoun statements", f"She was born in the year {YEAR}.\nShe came from the town of {TOWN}."),
    ],
)
def test_the_style_of_notes_is_told_from_their_form(style, text):
    assert style_of(ENTRY, text) == style


def test_every_style_of_the_pretraining_is_known():
    of_people = islice((entry for entry in world.entries("develop", 1) if entry.kind.name == "person"), 20)
    told = {style_of(entry, style(entry, entry.facts, Random(0))) for entry in of_people for style, _ in notes.STYLES}
    assert len(told) == len(notes.STYLES)


def test_accuracy_is_that_of_the_base_with_its_interval(engine, tasks):
    examiner = Examiner(engine, Knowledge(), GRADERS["contains"])
    closed, opened = (accuracy(examiner, tasks, open_book) for open_book in (False, True))
    assert closed["n"] == opened["n"] == len(tasks) and closed["mean"] < opened["mean"] == 1.0
