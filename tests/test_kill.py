"""Real runs, really killed: whatever the moment, what is resumed ends as what was never stopped."""

import json
import random
import signal
import sqlite3
from contextlib import closing

import pytest

SMALL = [
    *("--set", "max_adapters=4", "--set", "outer.rounds=2", "--set", "outer.tasks_per_round=4"),
    *(
        "--set",
        "outer.edits_per_task=2",
        "--set",
        "outer.repeat_check=0",
        "--set",
        "outer.sampling.max_new_tokens=40",
        "--set",
        "data.max_eval_tasks=6",
    ),
]
DEMO = ["demo", "--output", "run", "--set", "exam.budgets=[]", *SMALL]


def contents(run):
    """Everything a run ends with but the seconds that it took: trials, adapters, summary."""
    with closing(sqlite3.connect(run / "trials.sqlite")) as database:
        trials = database.execute("select * from items order by stage, step, position").fetchall()
        batches = database.execute("select stage, step from batches order by stage, step").fetchall()
    adapters = {str(f.relative_to(run)): f.read_bytes() for f in sorted((run / "updates").rglob("*")) if f.is_file()}
    summary = json.loads((run / "summary.json").read_text())
    scores = {key: {**row, "seconds": None} for key, row in summary.items() if isinstance(row, dict)}
    return trials, batches, adapters, scores


@pytest.fixture(scope="module")
def whole(forks, tmp_path_factory):
    """A run that was left alone, and how long it took."""
    folder = tmp_path_factory.mktemp("whole")
    done = forks(folder, *DEMO)
    assert done["code"] == 0, done["err"]
    return folder / "run", done["seconds"]


def test_the_run_is_worth_killing(whole):
    trials, batches, adapters, _ = contents(whole[0])
    assert len(batches) == 2 * 2 + 5 * 2 and len(trials) == 2 * 8 + 5 * 6
    assert {name.split("/")[1] for name in adapters} == {"round-0", "round-1"}


def test_two_runs_with_one_config_are_identical(forks, whole, tmp_path):
    assert forks(tmp_path, *DEMO)["code"] == 0
    assert contents(tmp_path / "run") == contents(whole[0])


def test_a_run_killed_ten_times_in_a_row_ends_as_one_that_was_not(forks, whole, tmp_path):
    path, seconds = whole
    moments, kills = random.Random(0), 0
    while kills < 10:  # on a machine that is suddenly faster, one may come too late and find a run that has ended
        killed = forks(tmp_path, *DEMO, signal=signal.SIGKILL, after=moments.uniform(0, seconds / 4))
        assert killed["code"] in (-signal.SIGKILL, 0), killed["err"]
        kills += killed["code"] != 0
    done = forks(tmp_path, "resume", "run")
    assert done["code"] == 0, done["err"]
    assert contents(tmp_path / "run") == contents(path)


@pytest.mark.parametrize("moment", ["config.json", "summary.json"])
def test_a_run_killed_at_a_turning_point_ends_as_one_that_was_not(forks, whole, tmp_path, moment):
    killed = forks(tmp_path, *DEMO, signal=signal.SIGKILL, once=str(tmp_path / "run" / moment))
    assert killed["code"] == -signal.SIGKILL
    done = forks(tmp_path, *DEMO)
    assert done["code"] == 0, done["err"]
    assert contents(tmp_path / "run") == contents(whole[0])


def test_batches_that_were_stored_before_the_kill_are_not_tried_again(forks, whole, tmp_path):
    def seconds():
        with closing(sqlite3.connect(tmp_path / "run" / "trials.sqlite")) as database:
            return database.execute("select seconds from batches where stage = 'round-0' order by step").fetchall()

    killed = forks(tmp_path, *DEMO, signal=signal.SIGKILL, once=str(tmp_path / "run" / "updates" / "round-0"))
    assert killed["code"] == -signal.SIGKILL
    stored = seconds()
    assert len(stored) == 2
    assert forks(tmp_path, "resume", "run")["code"] == 0
    assert seconds() == stored  # which no second try would take to the microsecond


def test_a_run_in_two_processes_that_was_killed_ends_as_one_that_was_not(forks, tmp_path):
    demo = [*DEMO, *("--set", "model.processes=2", "--set", "outer.rounds=1", "--set", "data.max_eval_tasks=2")]
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = forks(tmp_path / "whole", *demo)
    assert whole["code"] == 0, whole["err"]
    killed = forks(tmp_path / "killed", *demo, signal=signal.SIGKILL, after=0.7 * whole["seconds"])
    assert killed["code"] in (-signal.SIGKILL, 0), killed["err"]
    done = forks(tmp_path / "killed", *demo)
    assert done["code"] == 0, done["err"]
    assert contents(tmp_path / "killed" / "run") == contents(tmp_path / "whole" / "run")


STREAM = [
    *(
        "continual",
        "-k",
        "replay,gate",
        "--output",
        "run",
        "--set",
        "continual.streams=2",
        "--set",
        "continual.tasks=3",
    ),
    *("--set", "continual.control=2", "--set", "continual.neutral_texts=2", "--set", "model.processes=1"),
    *("--set", "outer.sampling.max_new_tokens=40", "--set", "inner.epochs=1"),
]


def matrix_of(run):
    """Everything a run of streams ends with but seconds and memory."""
    with closing(sqlite3.connect(run / "trials.sqlite")) as database:
        trials = database.execute("select * from items order by stage, step, position").fetchall()
    adapters = {str(f.relative_to(run)): f.read_bytes() for f in sorted((run / "updates").rglob("*")) if f.is_file()}
    summary = json.loads((run / "summary.json").read_text())
    scores = {
        key: summary[key] for key in ("just_edited", "after", "retention", "control", "bits", "remarks", "tokens")
    }
    return (run / "matrix.json").read_text(), trials, adapters, scores


def test_streams_killed_five_times_in_a_row_end_as_those_that_were_not(forks, tmp_path):
    (tmp_path / "whole").mkdir()
    (tmp_path / "killed").mkdir()
    whole = forks(tmp_path / "whole", *STREAM)
    assert whole["code"] == 0, whole["err"]
    moments, kills = random.Random(1), 0
    while kills < 5:
        after = moments.uniform(0, whole["seconds"] / 2)
        killed = forks(tmp_path / "killed", *STREAM, signal=signal.SIGKILL, after=after)
        assert killed["code"] in (-signal.SIGKILL, 0), killed["err"]
        if killed["code"] == 0:  # it had ended before
            break
        kills += 1
    done = forks(tmp_path / "killed", "resume", "run")
    assert done["code"] == 0, done["err"]
    assert matrix_of(tmp_path / "killed" / "run") == matrix_of(tmp_path / "whole" / "run")
