"""What changes a run that has ended is done, or is not: killed at any change of the disk, it ends as if it was not.

SELFEDIT_SWEEP=1 kills at every one of them; the suite at a few.
"""

import json
import os
import shutil
import sqlite3
from contextlib import closing
from random import Random

import pytest

DOCUMENTS = [
    {"title": "Torvik", "context": "Torvik lies on the Selx.", "questions": [{"question": "River?", "answer": "Selx"}]},
    {"title": "Mara", "context": "Mara Velin was a baker.", "questions": [{"question": "Trade?", "answer": "baker"}]},
    {"title": "Fair", "context": "The fair is in 1990.", "questions": [{"question": "Year?", "answer": "1990"}]},
    {"title": "Lace", "context": "Lace comes from Oud.", "questions": [{"question": "From where?", "answer": "Oud"}]},
]
COMMANDS = {
    "forget": ["forget", "run", "Mara"],
    "adapt": ["adapt", "more.json", "--into", "run"],
    "rollback": ["rollback", "run", "2"],
}
FEW = 2
"""Kills of each command in the suite."""


def contents(run):
    """All that a run holds but seconds and memory; the copies of what it keeps are what is kept."""
    with closing(sqlite3.connect(run / "trials.sqlite")) as database:
        items = database.execute("select * from items order by stage, step, position").fetchall()
        batches = database.execute("select stage, step from batches order by stage, step").fetchall()
        texts = dict(database.execute("select name, text from files where text is not null"))
    for name, text in texts.items():
        assert (run / name).read_text() == text, name
    files = {str(f.relative_to(run)): f.read_bytes() for f in sorted((run / "updates").rglob("*")) if f.is_file()}
    names = {path.name for path in run.iterdir()} - {"trials.sqlite-shm", "trials.sqlite-wal"}
    return items, batches, texts | {"summary.json": ""}, files, names


@pytest.fixture
def call(forks):
    return lambda folder, *command, **request: forks(folder, *command, **request, no_report=True)


@pytest.fixture(scope="module", params=["replay", "bank"])
def case(request, forks, tmp_path_factory):
    """A folder with a run that has learned three documents, and one more document."""
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "documents.json").write_text(json.dumps(DOCUMENTS[:3]))
    (folder / "more.json").write_text(json.dumps(DOCUMENTS[3:]))
    done = forks(folder, "continual", "documents.json", "-k", request.param, "--dry-run", "-o", "run")
    assert done["code"] == 0, done["err"]
    return folder


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_that_was_killed_is_finished_or_was_never_begun(call, case, tmp_path, name):
    def fresh(number):
        return shutil.copytree(case, tmp_path / str(number))

    before, command = contents(case / "run"), COMMANDS[name]
    done = call(fresh("whole"), *command, crash=0)
    assert done["code"] == 0, done["err"]
    after = contents(tmp_path / "whole" / "run")
    assert after != before
    steps = int((tmp_path / "whole" / "steps.txt").read_text())
    assert steps > 20
    points = range(1, steps + 1)
    for number in points if "SELFEDIT_SWEEP" in os.environ else Random(name).sample(points, FEW):
        folder = fresh(number)
        assert call(folder, *command, crash=number)["code"] == 137
        if number % 2:
            resumed = call(folder, "resume", "run")
            assert resumed["code"] == 0, (number, resumed["err"])
            assert contents(folder / "run") in (before, after), number
        again = call(folder, *command)
        assert again["code"] == 0, (number, again["err"])
        assert contents(folder / "run") == after, number
        shutil.rmtree(folder)
    assert call(fresh("twice"), *command)["code"] == call(tmp_path / "twice", *command)["code"] == 0
    assert contents(tmp_path / "twice" / "run") == after
