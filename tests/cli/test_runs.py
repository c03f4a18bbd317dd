"""`runs list` and `runs show`."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from selfedit import __version__
from selfedit.cli.main import run
from selfedit.domains.knowledge.domain import Knowledge

CONDITIONS = ["base", "passage_only", "own_edits", "after_rl", "in_context"]


@pytest.fixture(scope="module")
def lessons(tmp_path_factory):
    """A folder with a finished lesson and one that was killed before its exam."""
    folder = tmp_path_factory.mktemp("lessons")
    (folder / "note.txt").write_text("The gate closes at nine.")
    for name in ("done", "killed"):
        options = [
            "-m",
            "almanac",
            "--set",
            "outer.edits_per_task=1",
            "--set",
            "inner.tokens=50",
            "--set",
            "max_adapters=1",
        ]
        assert run(["adapt", str(folder / "note.txt"), "-o", str(folder / name), *options]) == 0
    for name in ("report.html", "summary.json"):
        (folder / "killed" / name).unlink()
    return folder


def test_every_run_is_listed_with_how_far_it_got(cli, lessons):
    called = cli("runs", "list", lessons, "--json")
    assert called.code == 0
    rows = called.json
    assert [len(row.pop("date")) for row in rows] == [16, 16]
    assert [row.pop("document") for row in rows] == ["note", "note"]
    assert [row.pop("score") for row in rows] == [None, None]  # nothing was asked
    assert rows == [
        {"run": f"{lessons}/done", "command": "adapt", "model": "almanac", "trials": 1, "state": "finished"},
        {"run": f"{lessons}/killed", "command": "adapt", "model": "almanac", "trials": 1, "state": "can be resumed"},
    ]


def test_the_list_is_a_table_for_people(cli, lessons, monkeypatch):
    monkeypatch.chdir(lessons.parent)
    called = cli("runs", "list", lessons.name)
    assert called.code == 0
    for text in ("lessons0/done", "adapt", "almanac", "finished", "can be", "note"):
        assert text in called.out
    assert max(map(len, called.out.splitlines())) <= 80


def test_a_damaged_run_does_not_hide_the_others(cli, write):
    write("runs/a/config.json", "{")
    write("runs/b/config.json", {"version": __version__, "command": "demo"})
    write("runs/b/trials.sqlite", "nothing" * 999)
    write("runs/c/config.json", {"version": __version__, "command": "train", "model": "x"})
    states = {row["run"]: (row["command"], row["model"], row["state"]) for row in cli("runs", "list", "--json").json}
    assert states == {
        "runs/a": (None, None, "damaged"),
        "runs/b": (None, None, "damaged"),
        "runs/c": (None, None, "damaged"),
    }


@pytest.mark.parametrize("folder", [[], ["nowhere"]])
def test_where_there_is_no_run_the_list_says_how_to_make_one(cli, folder):
    called = cli("runs", "list", *folder)
    assert called.code == 0 and "`selfedit demo` makes one" in called.said
    assert cli("runs", "list", *folder, "--json").json == []


def test_a_finished_run_is_shown_with_its_stages_and_its_report(cli, lessons):
    called = cli("runs", "show", lessons / "done")
    assert called.code == 0 and f"Report: {lessons}/done/report.html" in called.said.replace("/ ", "/")
    assert "notes" in called.out and "exam" in called.out


def test_an_unfinished_run_is_shown_with_how_to_go_on(cli, lessons, monkeypatch):
    monkeypatch.chdir(lessons)
    assert "Not finished. Go on with: selfedit resume killed" in cli("runs", "show", "killed").said


def test_a_run_as_json_has_its_config_its_stages_and_its_summary(cli, lessons):
    shown = cli("runs", "show", lessons / "done", "--json").json
    assert list(shown) == ["config", "stages", "summary"]
    assert shown["config"]["command"] == "adapt"
    stages = {row["stage"]: row["trials"] for row in shown["stages"]}
    assert list(stages) == ["questions", "notes", "exam"] and (stages["notes"], stages["exam"]) == (1, 0)


def test_showing_a_run_changes_nothing_in_it(cli, lessons):
    def state():
        return {path.name: path.read_bytes() for path in (lessons / "done").iterdir() if path.is_file()}

    before = state()
    assert cli("runs", "show", lessons / "done").code == 0
    assert state() == before


def test_what_is_no_run_cannot_be_shown(cli):
    called = cli("runs", "show", "nowhere")
    assert called.code == 3 and called.error.startswith(
        "nowhere is not a run: it has no config.json; `selfedit runs list`"
    )


def test_a_finished_dry_run_is_shown_with_its_score_table(cli, tiny):
    assert cli("demo", "--dry-run", "-o", "run", *tiny).code == 0
    assert 0 <= cli("runs", "list", ".", "--json").json[0]["score"] <= 1
    called = cli("runs", "show", "run")
    assert called.code == 0 and "Questions answered correctly" in called.said
    for name, label in Knowledge.words.conditions.items():
        assert (label in called.out) is (name in CONDITIONS), name
    row = next(line for line in called.out.splitlines() if line.startswith("Passage in the prompt"))
    assert " 0.0 %  2" in row and not row.split("prompt")[1].strip().startswith("0.0 %")  # it reads the prompt


# Runs of version 0.1


@pytest.fixture
def old(write):
    """What version 0.1 left: a config without a version, in its own shape, and trials in a table of its own."""
    config = {"command": "demo", "wave": 64, "documents": {"passage": "once"}, "model": {"name": "almanac"}}
    write("runs/old/config.json", config)
    write("runs/old/tasks.json", {"train": [], "eval": []})
    with closing(sqlite3.connect("runs/old/trials.sqlite")) as database:
        database.execute("create table trials (stage text, wave integer, position integer, trial text)")
    return "runs/old"


@pytest.mark.parametrize("command", [["runs", "show"], ["runs", "show", "--json"], ["resume"]])
def test_a_run_of_version_0_1_is_refused_with_a_sentence_that_names_it(cli, old, command):
    before = {path.name: path.read_bytes() for path in Path(old).iterdir()}
    called = cli(*command, old)
    assert called.code == 3
    assert called.error.startswith(f"{old} is a run of selfedit 0.1, and this is {__version__}: ")
    assert called.err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in Path(old).iterdir()} == before


def test_a_run_of_version_0_1_is_listed_all_the_same(cli, old, tiny):
    assert cli("demo", "--dry-run", "-o", "runs/new", *tiny).code == 0
    states = {row["run"]: row["state"] for row in cli("runs", "list", "--json").json}
    assert states == {"runs/new": "finished", "runs/old": "of another version"}
    assert "runs/old" in cli("runs", "list").out
