"""What people see: tables within 80 columns, text as it is, one line per stage where there is no terminal."""

import io
import re
from dataclasses import replace

import pytest
from rich.console import Console

from selfedit.cli import screen
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.results import Row, Summary, Table, TextTable, answer_table, gain_sentence, score_table
from selfedit.statistics import Interval
from selfedit.types import Failure, Question, Score, Task

ROW = Row("", mean=0.4321, low=0.401, high=0.4632, n=200, blank=0.025, failed=0, tokens=1_234_567)


@pytest.fixture
def drawn(monkeypatch):
    """Draws a table on a terminal of this width, or where there is none."""

    def draw(table, width=80, terminal=False):
        file = io.StringIO()
        console = Console(file=file, width=width, force_terminal=terminal, highlight=False, markup=False, emoji=False)
        monkeypatch.setattr(screen, "out", console)
        screen.print_table(table)
        return file.getvalue()

    return draw


def asked(*questions):
    return Task("t", "T", "C", questions)


def test_a_score_table_has_a_row_of_one_line_per_condition_at_80_columns(drawn):
    names = ["base", "passage_only", "own_edits", "after_rl", "in_context", "my_own"]
    rows = tuple(replace(ROW, key=name) for name in names)
    table = Table(rows, {"rl_gain": Interval(0.1, 0.0, 0.2, 200)}, 3.0)
    lines = [line for line in drawn(score_table(table, Knowledge.words, "Title")).splitlines() if "%" in line]
    assert len(lines) == 1 + len(names)  # a heading, and no row for the gain or the seconds
    labels = [Knowledge.words.conditions.get(name, name) for name in names]
    for label, line in zip(labels, lines[1:], strict=True):
        assert line.strip().startswith(label)
        assert line.split()[-8:] == ["%", "40.1", "to", "46.3", "2.5", "%", "200", "1,234,567"]


def test_answers_are_shown_with_those_that_could_not_be_graded(drawn):
    questions = [Question(f"Question [{n}]?", "gold") for n in range(4)]
    down = Failure("system", "503")
    before = Score(("[bold]no[/]", "", "gold", down), (0.0, 0.0, 1.0, down))
    text = drawn(answer_table(asked(*questions), before, None, "Title"))
    assert [text.count(cell) for cell in ("[bold]no[/]", "(blank)", "not graded", "Question [3]?")] == [1, 1, 1, 1]


def test_right_answers_have_a_tick_and_wrong_ones_a_cross_with_colours_on_a_terminal(drawn):
    table = answer_table(asked(Question("q", "gold")), Score(("no",), (0.0,)), Score(("gold",), (1.0,)), "T")
    text = drawn(table)
    assert "✗ no" in text and "✓ gold" in text and "\x1b" not in text
    text = drawn(table, terminal=True)
    assert "\x1b[31m✗ no" in text and "\x1b[32m✓ gold" in text


def test_remarks_are_broken_at_80_columns_but_for_commands_which_are_copied(monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(screen, "out", Console(file=file, width=80))
    gain = gain_sentence(Interval(-0.083, -1.142, 0.976, 2))
    command = f"Try: selfedit ask runs/{'long-name-' * 9} 'a question'"
    screen.show(Summary(remarks=[gain, command]))
    *lines, last = file.getvalue().splitlines()
    assert len(gain) > 80 and max(map(len, lines)) <= 80
    assert " ".join(" ".join(lines).split()) == gain and last == command


def test_a_verdict_of_a_check_stands_out_on_a_terminal(drawn):
    table = TextTable("T", ("check", ""), [("one", "equal"), ("two", "DIFFERS")])
    text = drawn(table, terminal=True)
    assert re.search(r"\x1b\[32m *equal", text) and re.search(r"\x1b\[1;31m *DIFFERS", text)


def test_what_a_model_writes_is_never_read_as_markup_or_emoji(capsys):
    screen.show(Summary(sections=[("Notes", "[bold]loud[/bold] :warning: [/nothing]")]))
    assert capsys.readouterr().out == "\nNotes:\n[bold]loud[/bold] :warning: [/nothing]\n"


def test_without_a_terminal_each_stage_is_one_line(capsys):
    with screen.bars() as progress:
        for done in range(3):
            progress("round-0", done, 2, "reward +0.5")
            progress("training", 1, 1, "loss 2.0")
    captured = capsys.readouterr()
    lines = [line.split() for line in captured.err.splitlines() if line.strip()]
    assert [line[2:] for line in lines] == [["round-0:", "2", "of", "2", "reward", "+0.5"]]
    assert captured.out == ""


def test_on_a_terminal_stages_stay_and_the_engines_work_comes_and_goes(monkeypatch):
    def names():
        return [task.description.strip() for task in progress.bars.tasks]

    file = io.StringIO()
    monkeypatch.setattr(screen, "err", Console(file=file, width=80, force_terminal=True))
    with screen.bars() as progress:
        for what, done, shown in [
            ("round-0", 0, ["round-0"]),
            ("writing", 1, ["round-0", "writing"]),  # which ends early: every text has ended
            ("training", 1, ["round-0", "training"]),
            ("training", 2, ["round-0"]),
            ("writing", 1, ["round-0", "writing"]),
            ("round-0", 2, ["round-0"]),
            ("writing", 1, ["round-0", "writing"]),
        ]:
            progress(what, done, 2, "")
            assert names() == shown
    assert names() == ["round-0"] and "2/2" in file.getvalue()
