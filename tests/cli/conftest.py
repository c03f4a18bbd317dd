"""The command line, called in this process, in an empty folder."""

import json
from dataclasses import dataclass

import pytest

from selfedit.cli.main import run

ALMANAC = ["--set", "model.name=almanac"]
"""The embedded model, named: what people bring is not taught to it unasked."""

TINY = [
    *ALMANAC,
    *("--set", "outer.rounds=1", "--set", "outer.tasks_per_round=2", "--set", "outer.edits_per_task=2"),
    *("--set", "data.max_eval_tasks=2", "--set", "outer.sampling.max_new_tokens=40", "--set", "model.processes=1"),
    *("--set", "exam.budgets=[]"),
]
BRIEF = [
    *ALMANAC,
    "--set",
    "outer.edits_per_task=1",
    "--set",
    "outer.sampling.max_new_tokens=8",
    *("--set", "inner.epochs=1", "--set", "inner.tokens=0"),
]
PASSAGES = [
    {
        "title": "Torvik",
        "context": "Torvik lies on the river Selx.",
        "questions": [{"question": "River?", "answer": "Selx"}],
    },
    {"title": "Mara", "context": "Mara Velin was a baker.", "questions": [{"question": "Trade?", "answer": "baker"}]},
]


@dataclass
class Called:
    """What a command ended with and printed. `said` is what people read, whatever the line breaks."""

    code: int
    out: str
    err: str

    @property
    def said(self):
        return " ".join(self.out.split())

    @property
    def json(self):
        def no_constant(name):
            raise AssertionError(f"{name} is no JSON")

        return json.loads(self.out, parse_constant=no_constant)

    @property
    def error(self):
        """The one sentence on stderr, whatever progress stands before it; nothing else was printed."""
        *progress, last = self.err.rstrip("\n").split("\n")
        assert last.startswith("error: ") and "Traceback" not in self.err and self.out == ""
        assert not any(line.startswith("error") for line in progress)
        return last.removeprefix("error: ")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


@pytest.fixture
def cli(capsys):
    """Calls a command: cli("runs", "list")."""

    def call(*arguments):
        code = run([str(argument) for argument in arguments])
        return Called(code, *capsys.readouterr())

    return call


@pytest.fixture
def write(tmp_path):
    """Writes a file into the current folder, JSON unless it is text, and returns its name."""

    def write(name, content):
        path = tmp_path / "here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return name

    return write


@pytest.fixture
def passages(write):
    return write("passages.json", PASSAGES)


@pytest.fixture
def handbook(write):
    return write("handbook.md", "# Handbook\n\nEveryone has 25 days of leave.\n\nAsk Mara [the boss] before you go.\n")


@pytest.fixture
def tiny():
    """The smallest options for an experiment with the embedded model."""
    return TINY


@pytest.fixture
def brief():
    """The smallest options for a lesson; the training is not worth its name."""
    return BRIEF
