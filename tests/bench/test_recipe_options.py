"""Options of the recipe, and how their runs are told apart."""

import pytest

from selfedit.bench.recipe_options import NOTES, RecipeRun, by_passage, measure, options, table
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders import GRADERS
from selfedit.loops.examine import Examiner
from selfedit.types import Example, Recipe, SelfEdit, Trial


def run(*of_passages, seconds=1.0, tokens=100):
    return RecipeRun([value for value in of_passages for _ in range(NOTES)], seconds, tokens)


def test_every_option_is_another_recipe():
    made = options(Recipe(rank=16, alpha=32.0))
    assert made["default"] == Recipe(rank=16, alpha=32.0)
    assert len(set(made.values())) == len(made)
    assert made["rank 4"].alpha / 4 == 32.0 / 16


def test_a_passage_counts_once_with_its_mean_over_notes_and_repeats():
    uneven = RecipeRun([1.0] + [0.0] * (NOTES - 1) + [1.0] * NOTES, 1.0, 100)
    assert by_passage([uneven]) == [pytest.approx(1 / NOTES), 1.0]
    assert by_passage([run(0.0, 1.0), run(1.0, 1.0)]) == [0.5, 1.0]


def test_options_are_compared_with_the_default_by_passage():
    shown = table({"default": [run(0.2, 0.4)], "pack": [run(0.3, 0.5, seconds=0.5), run(0.3, 0.5, seconds=0.25)]})
    assert shown.rows == [
        ("default", "30.0 %", "", "100", "1.0000", "1.00"),
        ("pack", "40.0 %", "+10.0 (+10.0 to +10.0)", "100", "0.2500", "4.00"),
    ]


def test_every_edit_is_trained_with_the_recipe_and_examined(engine, tasks):
    examiner, documents = Examiner(engine, Knowledge(), GRADERS["contains"]), (Example("", tasks[0].context),) * 2
    trials = [Trial(SelfEdit(tasks[0].id, "", "", documents)), Trial(SelfEdit(tasks[0].id, "", "", documents[:1]))]
    found = measure(examiner, trials, [tasks[0]] * 2, Recipe(rank=4), repeat=0)
    assert found.values == [1.0, 0.0] and found.tokens > 0
    assert [job.recipe.rank for job in engine.jobs] == [4, 4]
