"""Results as values: to JSON and back, and as tables of text."""

import pytest

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.results import Row, Table, TextTable, gain_sentence, markdown, notes_text, score_table
from selfedit.statistics import Interval
from selfedit.types import Example, SelfEdit

ROW = {"mean": 0.4, "low": 0.3, "high": 0.5, "n": 200, "blank": 0.025, "failed": 0, "tokens": 12345, "seconds": 3.2}


@pytest.mark.parametrize("gain", [{"mean": -0.0001, "low": -0.123, "high": 0.1}, Interval(-0.0001, -0.123, 0.1, 5)])
def test_a_gain_is_in_points_and_never_minus_zero(gain):
    said = "Gain of reinforcement: +0.0 points (95 % interval -12.3 to +10.0, paired by passage)"
    assert gain_sentence(gain) == said


def test_a_table_is_the_same_after_a_way_through_json():
    json = {"base": ROW, "own_edits": {**ROW, "seeds": [0.3, 0.5]}, "rl_gain": {"mean": 0.1, "low": 0.0, "high": 0.2}}
    json["seconds"] = 75.0
    table = Table.from_json(json)
    assert table.to_json() == json and Table.from_json(table.to_json()) == table
    assert [row.key for row in table] == ["base", "own_edits"] and list(table.gains) == ["rl_gain"]


def test_what_is_not_known_of_a_row_is_left_out_and_what_is_zero_is_not():
    row = Row("base", 0.0, 0.0, 0.0, 1, failed=0, tokens=0)
    assert row.to_json() == {"mean": 0.0, "low": 0.0, "high": 0.0, "n": 1, "failed": 0, "tokens": 0}


def test_rows_stand_in_the_domains_order_and_unknown_ones_last():
    table = Table.from_json(dict.fromkeys(("my_own", "in_context", "base", "own_edits"), ROW))
    labels = [cells[0] for cells in score_table(table, Knowledge.words, "T").rows]
    known = Knowledge.words.conditions
    assert labels == [known["base"], known["own_edits"], known["in_context"], "my_own"]


def test_one_task_has_no_interval():
    (cells,) = score_table(Table((Row("base", 0.5, 0.5, 0.5, 1),)), Knowledge.words, "T").rows
    assert cells[1:5] == ("50.0 %", "-", "", "1")


def test_a_table_in_markdown():
    table = TextTable("T", ("row", "interval\n(95 %)"), [("one", "1 to 2")])
    assert markdown(table).splitlines() == [
        "**T**",
        "",
        "| row | interval (95 %) |",
        "| --- | --: |",
        "| one | 1 to 2 |",
    ]


def test_notes_are_shown_as_they_were_learned_with_what_was_not():
    checked = SelfEdit(
        "t", "", "One.\nTwo.", (Example("", "T\nOne."), Example("", "T\nAll.")), dropped=(("Two.", "says nothing"),)
    )
    assert notes_text(checked) == "T\nOne.\n\nNot learned:\nTwo.  (says nothing)"
    assert notes_text(SelfEdit("t", "", "One.\nTwo.", (Example("", "T\nAll."),))) == "One.\nTwo."
