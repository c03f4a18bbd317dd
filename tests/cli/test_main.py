"""The one place where errors end, and help."""

import re
import subprocess
import sys

import pytest
from typer.main import get_command

from selfedit import __version__
from selfedit.cli import main, train

COMMANDS = [
    *(
        "demo",
        "adapt",
        "train",
        "eval",
        "ask",
        "chat",
        "cost",
        "export",
        "fetch",
        "runs list",
        "runs show",
        "resume",
        "reproduce",
        "init",
        "doctor",
        "bench",
        "continual",
        "rollback",
        "forget",
        "keys allow",
        "keys list",
        "keys revoke",
    )
]


def names(command, prefix=""):
    """Every command there is, as a person types it."""
    for name, inner in getattr(command, "commands", {}).items():
        yield from names(inner, f"{prefix}{name} ") if hasattr(inner, "commands") else [prefix + name]


def test_every_command_is_known_to_these_tests():
    assert sorted(names(get_command(main.app))) == sorted(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(cli, name):
    called = cli(*name.split(), "--help")
    assert called.code == 0 and called.err == ""
    example = re.search(rf"Example: (selfedit {name}\b.*)", called.said)
    assert example, called.out


@pytest.mark.parametrize("arguments", [[], ["--help"], ["runs"]])
def test_without_a_command_there_is_help(cli, arguments):
    called = cli(*arguments)
    assert "Usage: selfedit" in called.out
    assert (called.code, called.err) == (0, "")


def test_the_version_is_printed(cli):
    called = cli("--version")
    assert (called.code, called.out) == (0, f"selfedit {__version__}\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["demmo"], "demmo"),
        (["demo", "--colour"], "--colour"),
        (["adapt"], "DOC"),
        (["ask"], "UPDATE"),
        (["cost"], "UPDATE"),
        (["resume"], "RUN"),
    ],
)
def test_a_command_that_is_typed_wrong_is_the_users_input(cli, arguments, said):
    called = cli(*arguments)
    assert called.code == 3 and said.lower() in called.error.lower()


def test_what_we_did_wrong_is_one_sentence_and_code_1(cli, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(train, "read_data", broken)
    called = cli("demo")
    assert called.code == 1
    assert called.error.startswith("this is our fault: ZeroDivisionError: division by zero; run it again with --debug")


def test_debug_shows_where_it_happened(cli, monkeypatch):
    monkeypatch.setattr(train, "read_data", lambda config: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli("demo", "--debug")
    with pytest.raises(main.SelfEditError):
        cli("--debug", "resume", "nowhere")


def test_ctrl_c_outside_a_run_is_130(cli, monkeypatch):
    def interrupted(config):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "read_data", interrupted)
    called = cli("demo")
    assert (called.code, called.out, called.err.split()[-1]) == (130, "", "stopped")


def test_brackets_in_a_message_are_shown_as_they_are(cli):
    assert cli("adapt", "[bold]x[/nothing].md").error == "there is no file [bold]x[/nothing].md"


@pytest.mark.parametrize("command", [["demo"], ["adapt", "note.txt"], ["continual", "note.txt"]])
def test_a_dry_run_ends_well_without_loading_pytorch(tmp_path, command):
    """In a process of its own: in this one other tests have loaded it."""
    (tmp_path / "note.txt").write_text("The gate closes at nine.")
    words = [*command, "--dry-run", "-o", "run", "--set", "data.max_eval_tasks=2", "--set", "outer.rounds=1"]
    code = (
        "import sys; from selfedit.cli.main import run; "
        f"code = run({words!r}); print('torch' in sys.modules, 'transformers' in sys.modules, file=sys.stderr); "
        "sys.exit(code)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.splitlines()[-1] == "False False"
    assert (tmp_path / "run" / "report.html").is_file()


def test_the_program_ends_with_the_code_of_its_command(tmp_path):
    code = "from selfedit.cli.program import main; main()"
    ended = subprocess.run(
        [sys.executable, "-c", code, "resume", "nowhere"], capture_output=True, text=True, cwd=tmp_path
    )
    assert ended.returncode == 3
    assert ended.stderr.startswith("error: nowhere is not a run") and ended.stderr.count("\n") == 1
