import json
import re
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit import __version__
from selfedit.errors import InputError, Refused
from selfedit.store import NOUNS, Run, dump, list_runs, parse
from selfedit.types import (
    BASE,
    Continuation,
    DraftedQuestions,
    Drift,
    Example,
    Failure,
    ItemScore,
    Likelihood,
    Observation,
    Question,
    Recipe,
    Score,
    SelfEdit,
    Trial,
    Update,
)

FLOATS = st.floats(allow_nan=False)
FAILURES = st.builds(Failure, st.sampled_from(["policy", "system"]), st.text())
EXAMPLES = st.builds(Example, st.text(), st.text(), FLOATS)
WHOLE, POSITIVE = st.integers(1, 10**6), st.floats(1e-9, 1e9)
RECIPES = st.builds(Recipe, WHOLE, POSITIVE, WHOLE, POSITIVE, WHOLE, st.lists(st.text()).map(tuple))
EDITS = st.builds(SelfEdit, st.text(), st.text(), st.text(), st.lists(EXAMPLES, max_size=3).map(tuple), RECIPES)
UPDATES = st.builds(Update, st.text(), st.none() | st.text(), st.integers(), st.none() | FLOATS)
VALUES = st.lists(FLOATS | FAILURES, max_size=3).map(tuple)
SCORES = st.builds(
    Score,
    st.lists(st.text() | FAILURES, max_size=3).map(tuple),
    VALUES,
    st.dictionaries(st.sampled_from(["likelihood", "control", "retention"]), VALUES),
)
TRIALS = st.builds(
    Trial,
    EDITS,
    st.none() | UPDATES,
    st.none() | SCORES,
    st.none() | SCORES,
    st.none() | FLOATS,
    st.none() | FAILURES,
)
LIKELIHOODS = st.lists(st.builds(Likelihood, FLOATS, WHOLE) | FAILURES, max_size=3).map(tuple)
QUESTIONS = st.lists(st.builds(Question, st.text(), st.text()), max_size=3).map(tuple)
STORED = {
    "Trial": TRIALS,
    "Observation": st.builds(Observation, st.integers(0, 99), st.integers(0, 99), st.text(), SCORES),
    "DraftedQuestions": st.builds(DraftedQuestions, st.text(), QUESTIONS),
    "Continuation": st.builds(Continuation, st.text(), st.text()),
    "Drift": st.builds(Drift, st.integers(0, 99), LIKELIHOODS, LIKELIHOODS),
    "ItemScore": st.builds(ItemScore, st.text(), st.dictionaries(st.text(), VALUES, max_size=3), st.text()),
}
BROKEN = Failure("system", "the judge is down")
CONFIG = {"seed": 1, "inner": {"rank": 32, "targets": ["q_proj"]}, "outer": {"recipe": {"epochs": 2}}}


def trial(task_id="apollo", reward=None, failure=None, tokens=0):
    update = None if failure else Update("u", "base", tokens, 0.5)
    return Trial(SelfEdit(task_id, "prompt", "text"), update, reward=reward, failure=failure)


def never():
    raise AssertionError("computed again")


@pytest.fixture
def run(tmp_path):
    with Run.create(tmp_path / "run", CONFIG) as run:
        yield run


def reopened(run):
    run.close()
    return Run.resume(run.path)


# One row


def test_every_noun_that_is_stored_is_tested_here():
    assert STORED.keys() == NOUNS.keys()


@pytest.mark.parametrize("noun", NOUNS)
@given(data=st.data())
def test_a_noun_survives_the_round_trip(noun, data):
    item = data.draw(STORED[noun])
    found = parse(dump(item), NOUNS[noun])
    assert found == item and type(found) is NOUNS[noun]


@pytest.mark.parametrize("noun", NOUNS)
@given(data=st.data())
def test_a_stored_noun_is_one_line(noun, data):
    assert len(dump(data.draw(STORED[noun])).splitlines()) == 1


@pytest.mark.parametrize(
    "item",
    [
        Trial(SelfEdit("t", "p"), failure=Failure("policy", "the notes are empty")),
        Observation(1, 2, "t", Score(("a", BROKEN), (1.0, BROKEN), {"retention": (0.5, BROKEN)})),
        Drift(1, (Likelihood(-3.5, 2), BROKEN), (BROKEN,)),
    ],
)
def test_a_failure_is_still_one_when_it_is_read_again(item):
    assert parse(dump(item), type(item)) == item


# Opening


def test_a_run_goes_on_under_the_config_that_started_it(run):
    run.remember("round-0", 0, lambda: [trial()], Trial)
    run.close()
    with Run.create(run.path, CONFIG) as again:
        assert again.remember("round-0", 0, never, Trial) == [trial()]


def test_another_config_is_refused_and_the_keys_that_differ_are_named(run):
    other = {**CONFIG, "seed": 2, "outer": {"recipe": {"epochs": 3}}, "max_adapters": 8}
    with pytest.raises(Refused, match=r"it differs in max_adapters, outer\.recipe\.epochs, seed;"):
        Run.create(run.path, other)


def test_a_config_is_compared_as_it_is_stored(tmp_path):
    config = {"inner": {"targets": ("q_proj", "v_proj")}}
    Run.create(tmp_path / "run", config).close()
    Run.create(tmp_path / "run", config).close()


def test_the_config_on_disk_is_the_one_given(run):
    assert json.loads((run.path / "config.json").read_text()) == {"version": __version__, **CONFIG}
    with Run.open(run.path) as opened:
        assert opened.config == {"version": __version__, **CONFIG}


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(Refused, match="is not empty and holds no run"):
        Run.create(tmp_path, CONFIG)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_empty_folder_becomes_a_run(tmp_path):
    Run.create(tmp_path, CONFIG).close()
    assert (tmp_path / "config.json").is_file()


def test_a_folder_that_is_no_run_is_not_opened(tmp_path):
    with pytest.raises(InputError, match="is not a run"):
        Run.open(tmp_path)


@pytest.mark.parametrize("name", ["file", "file/run"])
def test_a_file_in_the_way_is_an_error_in_one_sentence(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        InputError, match=f"cannot write to .*{name}.*; free some space or choose another folder"
    ) as error:
        Run.create(tmp_path / name, CONFIG)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("begin", [lambda path: Run.create(path, CONFIG), Run.resume])
def test_only_one_process_at_a_time_goes_on_with_a_run(run, begin):
    with pytest.raises(Refused, match=f"another process is working on {run.path}") as error:
        begin(run.path)
    assert "\n" not in str(error.value)
    run.close()
    begin(run.path).close()


def test_a_run_that_another_process_works_on_can_be_looked_at(run):
    run.remember("round-0", 0, lambda: [trial()], Trial)
    with Run.open(run.path) as looking:
        assert [batch.trials for batch in looking.batches()] == [[trial()]]


def test_the_lock_of_a_killed_process_is_gone_with_it(tmp_path):
    code = "import os, pathlib, selfedit.store as s; run = s.Run.create(pathlib.Path('.'), {}); os.kill(os.getpid(), 9)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path).returncode == -9
    Run.resume(tmp_path).close()


@pytest.mark.parametrize("left", ["config.json.partial", "lock"])
def test_a_run_that_was_killed_as_it_began_can_be_begun_again(tmp_path, left):
    (tmp_path / left).write_text('{"se')
    Run.create(tmp_path, CONFIG).close()
    with Run.open(tmp_path) as opened:
        assert opened.config == {"version": __version__, **CONFIG}


# Kind and version


BEGIN = [lambda path: Run.create(path, CONFIG), Run.open, Run.resume]


@pytest.mark.parametrize("version", ["0.1.3", "0.3.0", "1.2.0", None])
@pytest.mark.parametrize("begin", BEGIN)
def test_a_run_of_another_version_is_refused_and_the_version_named(run, version, begin):
    run.close()
    made_by = {} if version is None else {"version": version}
    (run.path / "config.json").write_text(json.dumps({**CONFIG, **made_by}))
    sentence = f"is a run of selfedit {version or '0.1'}, and this is {__version__}: open it with that version"
    with pytest.raises(InputError, match=re.escape(sentence)) as error:
        begin(run.path)
    assert "\n" not in str(error.value)
    assert [row["state"] for row in list_runs(run.path.parent)] == ["of another version"]


@pytest.mark.parametrize("begin", BEGIN)
def test_a_run_of_a_version_with_other_corrections_goes_on(run, begin, monkeypatch):
    run.remember("round-0", 0, lambda: [trial()], Trial)
    run.close()
    monkeypatch.setattr("selfedit.store.run.__version__", f"{__version__.rpartition('.')[0]}.99")
    with begin(run.path) as again:
        assert [batch.trials for batch in again.batches()] == [[trial()]]


# Damage


@pytest.mark.parametrize("content", [b'{"seed": 1', b"[1]", b"\xff\xfe", b""])
@pytest.mark.parametrize("begin", BEGIN)
def test_a_damaged_config_is_an_error_that_names_the_file(run, content, begin):
    run.close()
    (run.path / "config.json").write_bytes(content)
    with pytest.raises(InputError, match=r"config\.json is damaged: ") as error:
        begin(run.path)
    assert "\n" not in str(error.value)


def test_a_damaged_database_is_an_error_that_names_the_file(run):
    run.close()
    (run.path / "trials.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match=r"trials\.sqlite is damaged: file is not a database") as error:
        Run.open(run.path)
    assert "\n" not in str(error.value)


def test_damage_within_the_database_is_an_error_too(run):
    run.remember("round-0", 0, lambda: [trial("x" * 100_000)], Trial)
    run.close()
    database = run.path / "trials.sqlite"
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    with pytest.raises(InputError, match="is damaged"), Run.open(run.path) as opened:
        opened.batches()


# Batches


def test_a_batch_is_computed_once(run):
    calls = []
    for _ in range(3):
        run.remember("round-0", 0, lambda: calls.append(1) or [trial(reward=0.5)], Trial)
    assert calls == [1]


def test_a_batch_is_remembered_by_the_next_process_in_its_order(run):
    trials = [trial(name, reward=number / 7) for number, name in enumerate(["b", "a", "c"])]
    assert run.remember("round-0", 0, lambda: trials, Trial) == trials
    with reopened(run) as again:
        assert again.remember("round-0", 0, never, Trial) == trials


def test_a_batch_without_trials_is_remembered_too(run):
    run.remember("round-0", 0, lambda: [], Trial)
    assert run.remember("round-0", 0, never, Trial) == []


def test_batches_and_stages_are_kept_apart(run):
    for stage in ("round-0", "round-1"):
        for step in range(2):
            run.remember(stage, step, lambda stage=stage, step=step: [trial(f"{stage}/{step}")], Trial)
    found = [(batch.stage, batch.step, [t.edit.task_id for t in batch.trials]) for batch in run.batches()]
    assert found == [(f"round-{r}", s, [f"round-{r}/{s}"]) for r in range(2) for s in range(2)]


def test_a_batch_that_was_not_finished_leaves_nothing(run):
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run.remember("round-0", 0, interrupted, Trial)
    with reopened(run) as again:
        assert again.batches() == []
        assert again.remember("round-0", 0, lambda: [trial()], Trial) == [trial()]


def test_a_batch_whose_second_row_cannot_be_stored_leaves_nothing(run):
    with pytest.raises(sqlite3.Error):
        run.remember("round-0", 0, lambda: [trial(), trial(reward=["no number"])], Trial)
    with reopened(run) as again:
        assert again.batches() == []
        assert again.remember("round-0", 0, lambda: [trial()], Trial) == [trial()]


def test_a_full_disk_is_an_error_in_one_sentence_and_what_was_stored_stays(run):
    run.remember("round-0", 0, lambda: [trial()], Trial)
    (pages,) = run._database._connection.execute("pragma page_count").fetchone()
    run._database._connection.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(InputError, match="disk is full; free some space") as error:
        run.remember("round-0", 1, lambda: [trial("x" * 100_000)], Trial)
    assert "\n" not in str(error.value)
    with reopened(run) as again:
        assert [batch.step for batch in again.batches()] == [0]


def test_a_batch_knows_how_long_it_took(run, monkeypatch):
    clock = iter([100.0, 102.5])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    run.remember("round-0", 0, lambda: [trial()], Trial)
    assert [batch.seconds for batch in run.batches()] == [2.5]


def test_others_can_read_while_a_run_writes(run):
    with closing(sqlite3.connect(run.path / "trials.sqlite")) as other:
        assert other.execute("pragma journal_mode").fetchone() == ("wal",)


def test_a_run_is_closed_at_the_end_of_its_with(tmp_path):
    with Run.create(tmp_path / "run", CONFIG) as run:
        run.remember("round-0", 0, lambda: [trial()], Trial)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        run.batches()


ITEMS = [
    Observation(1, 2, "apollo", Score(("1969", BROKEN), (1.0, BROKEN), {"retention": (0.5,)})),
    DraftedQuestions("torvik", (Question("Which river?", "Selx"),)),
    Drift(1, (Likelihood(-3.5, 2), BROKEN), (Likelihood(-0.25, 1),)),
]


@pytest.mark.parametrize("item", ITEMS, ids=lambda item: type(item).__name__)
def test_other_nouns_are_remembered_as_what_they_are(run, item):
    run.remember("stage", 3, lambda: [item, item], type(item))
    run.remember("round-0", 0, lambda: [trial()], Trial)
    with reopened(run) as again:
        assert again.remember("stage", 3, never, type(item)) == [item, item]
        assert again.by_stage() == {"stage": {3: [item, item]}, "round-0": {0: [trial()]}}
        assert [batch.trials for batch in again.batches()] == [[], [trial()]]


def test_the_database_says_what_an_item_is_and_which_task_it_is_about(run):
    for step, item in enumerate(ITEMS):
        run.remember("stage", step, lambda item=item: [item], type(item))
    run.remember("stage", 3, lambda: [trial(reward=0.5, failure=BROKEN)], Trial)
    with closing(sqlite3.connect(run.path / "trials.sqlite")) as other:
        rows = other.execute("select step, position, noun, task_id, reward, failure from items order by step")
        assert rows.fetchall() == [
            (0, 0, "Observation", "apollo", None, None),
            (1, 0, "DraftedQuestions", "torvik", None, None),
            (2, 0, "Drift", None, None, None),
            (3, 0, "Trial", "apollo", 0.5, "the judge is down"),
        ]


def test_steps_that_are_cut_are_gone_and_later_ones_move_up(run):
    for stage in ("learn", "seen"):
        for step in range(4):
            run.remember(stage, step, lambda name=f"{stage}/{step}": [trial(name)], Trial)
    run.cut(["learn"], 1, 1)
    run.cut(["seen"], 2)
    ids = {stage: {n: [t.edit.task_id for t in ts] for n, ts in of.items()} for stage, of in run.by_stage().items()}
    assert ids == {
        "learn": {0: ["learn/0"], 1: ["learn/2"], 2: ["learn/3"]},
        "seen": {0: ["seen/0"], 1: ["seen/1"]},
    }


# Files beside the trials


def test_metrics_have_one_line_per_stage(run):
    policy, system = Failure("policy", "the notes are empty"), Failure("system", "the judge is down")
    run.remember("round-0", 0, lambda: [trial(reward=0.5, tokens=10), trial(reward=-1.0, failure=policy)], Trial)
    run.remember("round-0", 1, lambda: [trial(reward=0.2, tokens=5), trial(failure=system)], Trial)
    run.remember("round-1", 0, lambda: [trial(failure=system)], Trial)
    run.write_metrics()
    first, second = map(json.loads, (run.path / "metrics.jsonl").read_text().splitlines())
    assert first.pop("mean_reward") == pytest.approx(-0.1)
    assert first.pop("seconds") >= 0 and second.pop("seconds") >= 0
    assert first == {
        "stage": "round-0", "items": 4, "trials": 4, "policy_failures": 1, "system_failures": 1, "trained_tokens": 15,
        "reliability": None,
    }  # fmt: skip
    assert second == {
        "stage": "round-1", "items": 1, "trials": 1, "mean_reward": None, "policy_failures": 0, "system_failures": 1,
        "trained_tokens": 0, "reliability": None,
    }  # fmt: skip


def test_the_metrics_of_an_empty_run_are_empty(run):
    run.write_metrics()
    assert (run.path / "metrics.jsonl").read_text() == ""


def test_a_file_is_replaced_whole_and_nothing_partial_is_left(run):
    run.keep_json("summary.json", {"accuracy": 0.25})
    run.keep_json("summary.json", {"accuracy": 0.5})
    assert json.loads((run.path / "summary.json").read_text()) == {"accuracy": 0.5}
    assert not list(run.path.glob("*.partial"))


def test_a_write_that_fails_leaves_the_file_as_it_was(run, monkeypatch):
    run.write_text("summary.json", "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        run.write_text("summary.json", "new")
    assert (run.path / "summary.json").read_text() == "old"


def test_the_base_update_round_trips_to_itself():
    assert parse(dump(Trial(SelfEdit("t", "p"), update=BASE)), Trial).update == BASE


# Looking, and what happens to the folder


def entries(folder):
    return {str(path.relative_to(folder)): path.stat().st_mtime_ns for path in [folder, *folder.rglob("*")]}


def test_to_look_at_a_run_writes_nothing_beside_it(run):
    run.remember("round-0", 0, lambda: [trial()], Trial)
    run.close()
    before, opened = entries(run.path), []
    sys.addaudithook(lambda event, arguments: opened.append(arguments[0]) if event == "sqlite3.connect" else None)
    with Run.open(run.path) as looking:
        assert looking.metrics() and not looking.is_finished
    assert list_runs(run.path.parent)[0]["state"] == "can be resumed"
    assert entries(run.path) == before
    assert all("mode=ro&immutable=1" in str(address) for address in opened if str(run.path) in str(address))


@pytest.mark.parametrize("begin", [Run.open, Run.resume])
def test_the_folder_of_a_model_is_no_run_and_stays_as_it_is(tmp_path, begin):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text('{"model_type": "llama"}')
    before = entries(tmp_path)
    with pytest.raises(InputError, match=r"is not a run: its config\.json is another program's"):
        begin(tmp_path / "model")
    assert list_runs(tmp_path) == [] and entries(tmp_path) == before


@pytest.mark.parametrize("write", [lambda run: run.write_metrics(), lambda run: run.keep_text("summary.json", "{}")])
@pytest.mark.parametrize("replace", [False, True])
def test_a_run_whose_folder_was_removed_while_it_went_on_says_so(run, write, replace):
    shutil.rmtree(run.path)
    if replace:
        Run.create(run.path, CONFIG).close()
    with pytest.raises(InputError, match="was removed, or its lock was, while the run went on"):
        write(run)


def test_what_is_stored_in_one_transaction_is_there_whole_or_not_at_all(run):
    run.keep_text("tasks.json", "old")
    with pytest.raises(KeyboardInterrupt), run.transaction():
        run.keep_text("tasks.json", "new")
        run.keep_text("stream.json", "new")
        raise KeyboardInterrupt
    with reopened(run) as again:
        assert (again.read_text("tasks.json"), again.read_text("stream.json")) == ("old", None)
        assert (again.path / "tasks.json").read_text() == "old" and not (again.path / "stream.json").exists()


def test_a_copy_that_was_changed_is_written_anew_by_whoever_goes_on(run):
    run.keep_text("tasks.json", "kept")
    (run.path / "tasks.json").write_text("changed")
    with reopened(run) as again:
        assert again.read_text("tasks.json") == "kept" == (again.path / "tasks.json").read_text()


def test_another_number_of_cores_is_no_other_config(tmp_path):
    Run.create(tmp_path / "run", CONFIG, {"cores": 8, "threads": 8}).close()
    with Run.create(tmp_path / "run", CONFIG, {"cores": 2, "threads": 2}) as again:
        assert again.config["machine"] == {"cores": 8, "threads": 8}


def test_what_is_forgotten_is_not_left_in_the_pages_of_the_database(run):
    run.keep_text("tasks.json", "Mara Velin was a baker. " * 999)
    run.keep_text("tasks.json", None)
    run.close()
    assert b"Mara Velin" not in (run.path / "trials.sqlite").read_bytes()
