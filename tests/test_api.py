"""`import selfedit as se`: what the README's example needs."""

import pytest

import selfedit as se
from selfedit.errors import InputError

DRY = ["model.engine=fake", "outer.edits_per_task=2"]


def test_a_model_learns_a_document_answers_and_forgets_it_again(tmp_path):
    text = "Apollo 11 landed in 1969. Its commander was Neil Armstrong."
    with se.load(settings=DRY) as model:
        before = model.update
        assert len(model.internalize(text, title="Apollo 11")) <= 2
        assert model.update != before and isinstance(model.ask("When did it land?", topic="Apollo 11"), str)
        assert model.save(tmp_path / "adapter").is_dir()
        model.reset()
        assert model.update == before


def test_a_document_can_be_a_file(tmp_path):
    (tmp_path / "handbook.md").write_text("# Handbook\n\nEveryone has 25 days of leave.\n")
    with se.load(settings=DRY) as model:
        model.internalize(tmp_path / "handbook.md")
        with pytest.raises(InputError, match="there is no file"):
            model.internalize(tmp_path / "handbok.md")
        with pytest.raises(InputError, match="a title goes with a text"):
            model.internalize(tmp_path / "handbook.md", title="Handbook")


def test_training_ends_with_a_table_and_a_run_that_goes_on(tmp_path):
    settings = [*DRY, "data.max_eval_tasks=3", "outer.tasks_per_round=2", "outer.rounds=1"]
    first = se.train(evaluation="almanac", output=tmp_path / "run", settings=settings)
    assert {"base", "own_edits", "after_rl"} <= {row.key for row in first.scores}
    again = se.train(evaluation="almanac", output=tmp_path / "run", settings=settings)
    assert again.scores.rows == first.scores.rows


def test_names_that_are_not_there_are_told():
    with pytest.raises(AttributeError, match="it has Config, Model"):
        se.lode  # noqa: B018
