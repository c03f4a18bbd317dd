"""Tables of results that are no experiments of ours fit a terminal and say what differs."""

import io

import pytest
from rich.console import Console

from selfedit.cli import screen
from selfedit.reproduce.released import tables

EQUAL = {"name": "iter2: correct after, %", "expected": 47.0, "found": 47.0, "equal": True}
DIFFERS = {
    "name": "alternate_prompts_base_val_prompt-self-qa: documents per edit",
    "expected": [13.7, 12.0, 100],
    "found": [13.6, 12.0, 100],
    "equal": False,
}


@pytest.fixture
def lines(monkeypatch):
    file = io.StringIO()
    summary = {"checks": [EQUAL, DIFFERS], "all_equal": False}
    monkeypatch.setattr(screen, "out", Console(file=file, width=80, markup=False))
    for table in tables(summary):
        screen.print_table(table)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_check_is_a_row_with_both_numbers_and_the_verdict(lines):
    (row,) = [line for line in lines if line.startswith("iter2")]
    assert row.split()[-3:] == ["47.0", "47.0", "equal"]


def test_a_check_that_differs_is_counted_and_said_to(lines):
    assert "SEAL's released data: 1 of 2 checks agree" in lines
    (row,) = [line for line in lines if line.endswith("DIFFERS")]
    assert "13.7 / 12.0 / 100" in row and "13.6 / 12.0 / 100" in row


def test_the_table_fits_80_columns_and_nothing_is_cut(lines):
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
