"""Whatever people and models write is shown on the screen, and never obeyed by the terminal."""

import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.cli import running, screen
from selfedit.errors import InputError, printable
from selfedit.results import TextTable

NASTY = "a\x1b[2J\x1b]0;PWNED\x07\x9b31m\r\u202eb\u2066\u200b\ud800\x7f\x08[bold]c[/bold]"
SHOWN = r"a\x1b[2J\x1b]0;PWNED\x07\x9b31m\r\u202eb\u2066\u200b\ud800\x7f\x08[bold]c[/bold]"


@pytest.fixture
def printed(monkeypatch):
    """Two consoles on a terminal that knows no colours, and what was sent to it as bytes."""
    sent = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="")
    for name in ("out", "err"):
        console = screen.Console(
            file=sent, force_terminal=True, color_system=None, width=200, highlight=False, markup=False, emoji=False
        )
        monkeypatch.setattr(screen, name, console)

    def read():
        sent.flush()
        return sent.buffer.getvalue().decode()

    return read


def test_texts_tables_and_progress_are_shown(printed):
    screen.out.print(NASTY, soft_wrap=True)
    screen.err.print(screen.Text(NASTY), soft_wrap=True)
    screen.print_table(TextTable(NASTY, ("one", NASTY), [(NASTY, "two")], caption=NASTY))
    screen.print_table(TextTable("text", ("one",), [(NASTY,)], is_text=True))
    assert not any(character in printed() for character in "\x1b\x07\x9b\r\u202e\u2066\u200b\ud800\x7f\x08")
    assert printed().count(SHOWN) >= 5


def test_notes_beside_a_bar_are_shown(printed):
    with screen.bars() as progress:
        progress("training", 1, 2, NASTY)
    assert SHOWN in printed() and "PWNED\x07" not in printed() and "\x1b[2J" not in printed()


@given(st.text(st.characters(codec=None), max_size=20))
def test_json_stays_json_and_can_be_printed(text):
    sent = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdout", sent)
        running.print_json({"answer": text, "more": ["\x7f\x9b\u202e\ud800"]})
    assert json.loads(sent.getvalue())["answer"] == text
    assert printable(sent.getvalue(), keep="\n") == sent.getvalue()
    sent.getvalue().encode()


def test_errors_are_shown():
    assert str(InputError(NASTY)) == SHOWN


def test_joined_emoji_and_lines_stay_as_they_are():
    assert screen.shown("👩\u200d🔬\r\n\t\u0627\u200c\u0628 é") == "👩\u200d🔬\n\t\u0627\u200c\u0628 é"
