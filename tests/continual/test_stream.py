"""Streams of edits: the matrix, killed and resumed, taken back, forgotten, and what is said about odd ones."""

import json
import sqlite3
from contextlib import closing
from dataclasses import replace

import pytest

from selfedit.continual.methods import METHODS
from selfedit.engines.fake import FakeEngine
from selfedit.errors import InputError
from selfedit.formats.results import ContinualSummary
from selfedit.store import Run
from selfedit.types import Question, Task, Trial
from selfedit.workflows.data import tasks_text
from selfedit.workflows.history import add_documents, documents_of, forget, kind_of
from selfedit.workflows.stream import run_continual, stream


def contents(path):
    """All that a run ends with, but seconds and memory."""
    with Run.open(path) as run:
        trials = run.by_stage()
    matrix = json.loads((path / "matrix.json").read_text())
    updates = {f.relative_to(path): f.read_bytes() for f in sorted((path / "updates").rglob("*")) if f.is_file()}
    return trials, matrix, updates


@pytest.mark.parametrize("method", METHODS)
def test_every_method_learns_a_stream_from_end_to_end(learn, method):
    summary = learn(method, consolidate_every=2)
    assert summary.just_edited.mean == summary.after.mean == 1 and summary.before.mean == 0
    assert summary.retention[3].mean == 1 and summary.control["control"].mean == 0
    assert summary.bits.mean == 1 and summary.kl.mean == 0
    assert len(summary.costs.by_step["tokens"]) == 3 and summary.costs.bytes > 0 and summary.remarks == ()
    assert summary.methods == (method,) and bool(summary.routing) == (method in ("bank", "consolidate"))
    assert json.loads((learn.path / "summary.json").read_text()) == json.loads(json.dumps(summary.to_json()))


def test_the_database_names_the_recipe_that_a_step_was_trained_by(learn, settings, forgetful):
    """What the method made of the config's recipe; the edit was written with that."""
    engine, trained = forgetful(), []
    real = engine.train
    engine.train = lambda jobs: trained.extend(jobs) or real(jobs)
    learn("olora", olora_rank=2, engine=engine)
    own = settings("olora").inner
    with closing(sqlite3.connect(learn.path / "trials.sqlite")) as database:
        rows = database.execute("select stage, item from items where stage in ('write', 'learn')").fetchall()
    recipes = {stage: [json.loads(item)["edit"]["recipe"] for of, item in rows if of == stage] for stage, _ in rows}
    assert len(recipes["learn"]) == len(recipes["write"]) == len(trained) == 6
    assert {(r["rank"], r["alpha"]) for r in recipes["learn"]} == {(2, 2 * own.alpha / own.rank)}
    assert {(r["rank"], r["alpha"]) for r in recipes["write"]} == {(own.rank, own.alpha)} != {(2, 4.0)}
    with Run.open(learn.path) as run:
        learned = [trial for trials in run.by_stage()["learn"].values() for trial in trials]
    assert [trial.edit.recipe for trial in learned] == [job.recipe for job in trained]


def test_the_matrix_is_seals_format_and_lower_triangular(learn, forgetful):
    learn("sequential", engine=forgetful(forgets=True))
    matrix = ContinualSummary.model_validate_json((learn.path / "matrix.json").read_text()).mean_over_sequences
    assert [[bool(cell) for cell in row] for row in matrix] == [
        [False, False, False],
        [True, False, False],
        [False, True, False],
        [False, False, True],
    ]


def test_replay_keeps_what_sequential_forgets(learn, forgetful):
    """Where every edit costs all earlier ones, unless they are gone over again."""
    kept = {
        method: learn(method, engine=forgetful(forgets=True), folder=method)
        for method in ("sequential", "replay", "bank")
    }
    after = {method: summary.after.mean for method, summary in kept.items()}
    assert after["sequential"] < after["replay"] == after["bank"] == 1
    assert kept["sequential"].retention[3].mean == pytest.approx(after["sequential"])


@pytest.mark.parametrize("keep", ["all", "last"])
@pytest.mark.parametrize("methods", [("replay",), ("bank",), ("replay", "gate"), ("consolidate", "self_distill")])
def test_a_run_stopped_anywhere_ends_as_one_that_was_not(
    learn, settings, groups, tasks, tmp_path, forgetful, methods, keep
):
    learn(*methods, folder="whole", consolidate_every=2, keep=keep)
    config = settings(*methods, consolidate_every=2, keep=keep)

    class Killed(Exception):
        pass

    for calls in range(1, 200):
        engine, left = forgetful(), calls

        def count(name, engine=engine):
            real = getattr(engine, name)

            def call(*arguments, **more):
                nonlocal left
                left -= 1
                if left < 0:
                    raise Killed
                return real(*arguments, **more)

            setattr(engine, name, call)

        for name in ("sample", "train", "likelihood", "save", "load"):
            count(name)
        try:
            with Run.create(tmp_path / "run", config.model_dump(mode="json")) as run:
                run_continual(run, config, groups, engine)
            break
        except Killed:
            pass
    assert calls > 3
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")


@pytest.mark.parametrize("keep", ["all", "last"])
def test_a_finished_run_that_is_resumed_needs_no_model_and_stays_as_it_is(learn, settings, groups, tmp_path, keep):
    learn("replay", keep=keep)
    finished, config = contents(learn.path), settings("replay", keep=keep)
    with Run.create(learn.path, config.model_dump(mode="json")) as run:
        run_continual(run, config, groups, engine=None)
    assert contents(learn.path) == finished


@pytest.mark.parametrize("method", METHODS)
def test_a_document_that_is_taken_out_leaves_what_a_run_without_it_has(
    learn, settings, groups, tasks, tmp_path, forgetful, method
):
    one = {"stream-00": [*tasks]}
    without = {"stream-00": [tasks[0], *tasks[2:]]}
    learn(method, groups=one, consolidate_every=2, folder="run")
    learn(method, groups=without, consolidate_every=2, folder="without")
    config = settings(method, consolidate_every=2)
    with Run.create(tmp_path / "run", config.model_dump(mode="json")) as run:
        run.keep_text("tasks.json", tasks_text(one))
        forget(run, "Torvik")
        stream(run, config, forgetful())
    trials, matrix, updates = contents(tmp_path / "run")
    assert all(seen.score.value == 0 for seen in trials.pop("control/forgotten")[2])
    assert trials.pop("before/forgotten")
    assert (trials, matrix, updates) == contents(tmp_path / "without")


def test_a_bank_forgets_without_training_anything(learn, settings, tasks, tmp_path, forgetful):
    learn("bank", groups={"stream-00": [*tasks]})
    config, engine = settings("bank"), forgetful()
    engine.train = None
    with Run.create(tmp_path / "run", config.model_dump(mode="json")) as run:
        run.keep_text("tasks.json", tasks_text({"stream-00": tasks}))
        forget(run, "Torvik")
        assert stream(run, config, engine).stream.after.mean == 1
    assert len(list((tmp_path / "run" / "updates").iterdir())) == 3


def test_a_run_that_is_rolled_back_is_what_it_was_to_the_bit(learn, settings, tasks, tmp_path, forgetful):
    learn("replay", groups={"stream-00": tasks[:2]}, folder="two")
    learn("replay", groups={"stream-00": [*tasks]}, folder="run")
    config = settings("replay")
    with Run.create(tmp_path / "run", config.model_dump(mode="json")) as run:
        run_continual(run, config, {"stream-00": tasks[:2]}, forgetful())
    assert contents(tmp_path / "run") == contents(tmp_path / "two")


def test_a_changed_list_of_documents_is_learned_anew_from_the_first_that_differs(learn, tasks, forgetful):
    learn("sequential", groups={"stream-00": [*tasks]})
    engine = forgetful()
    trained = []
    real = engine.train
    engine.train = lambda jobs: trained.extend(jobs) or real(jobs)
    learn("sequential", groups={"stream-00": [tasks[0], tasks[1], tasks[3]]}, engine=engine)
    assert len(trained) == 1


def test_an_empty_stream_is_refused(learn):
    with pytest.raises(InputError, match="stream is empty"):
        learn("sequential", groups={"stream-00": []})
    with pytest.raises(InputError, match="stream is empty"):
        learn("sequential", groups={}, folder="other")


def test_methods_that_exclude_each_other_are_refused(learn):
    with pytest.raises(InputError, match="bank and gate cannot be combined"):
        learn("bank", "gate")


def test_a_document_that_comes_twice_is_remarked_on(learn, tasks):
    summary = learn("replay", groups={"stream-00": [tasks[0], tasks[1], replace(tasks[0], id="again")]})
    assert summary.remarks[0] == "Step 3, 'Apollo 11', is the same as step 1; the later one stands."
    assert summary.after.mean == 1


@pytest.mark.parametrize("method", ["replay", "bank"])
def test_of_documents_that_contradict_each_other_the_later_stands(learn, tasks, method):
    old, new = (
        Task(year, "Fair", f"The fair is in {year}.", (Question(f"When is the {which} fair?", year),))
        for which, year in (("old", "1990"), ("new", "2024"))
    )
    everything = [old, tasks[1], new]
    engine = FakeEngine(everything, ("To remember: {answers}.",), needed=1)
    seen = []
    real = engine.train
    engine.train = lambda jobs: seen.append(jobs) or real(jobs)
    summary = learn(method, groups={"stream-00": everything}, engine=engine)
    assert "Step 3, 'Fair', has the title of step 1; the later one stands." in summary.remarks
    assert not any("1990" in example.target for example in seen[-1][0].examples)  # it is not gone over again
    if method == "bank":
        assert "changed the answer to 'When is the old fair?'" in summary.remarks[1]


def test_edits_that_cannot_be_read_change_nothing_and_are_told(learn, forgetful, tasks):
    summary = learn("sequential", engine=forgetful(notes=("",)), groups={"stream-00": tasks[:2]})
    assert summary.after.mean == 0 and summary.retention == summary.to_json()["retention"] == {}
    assert summary.remarks == (
        "No edit stood, so the model is what it was at the start. The first: the notes are empty.",
    )


def test_documents_without_questions_are_learned_and_not_examined(learn, tasks, without_questions):
    summary = learn("replay", groups={"stream-00": [without_questions(task) for task in tasks]})
    assert summary.just_edited is None and "just_edited" not in summary.to_json() and summary.costs.tokens > 0
    assert summary.remarks[0].startswith("There are no questions about 'Apollo 11', ")
    mixed = learn("replay", groups={"stream-00": [without_questions(tasks[0]), *tasks[1:]]}, folder="mixed")
    assert mixed.just_edited.mean == 1 and list(mixed.to_json()["retention"]) == ["2", "3", "4"]


def test_with_doubling_everything_is_examined_after_1_2_4_and_the_last(learn, tasks):
    many = {"stream-00": [replace(tasks[n % 4], id=str(n), title=f"{n}") for n in range(7)]}
    learn("sequential", groups=many, exams="doubling")
    with Run.open(learn.path) as run:
        seen = run.by_stage()["seen"]
    assert [len(seen[number]) for number in range(7)] == [1, 2, 1, 4, 1, 1, 7]


def test_methods_never_see_the_questions_that_are_reported(learn, monkeypatch):
    """Nor does anything in a turn hold their answers, but for what the model wrote itself."""
    from selfedit.continual.methods.chain import MethodChain

    turns = []
    real = MethodChain.prepare
    monkeypatch.setattr(MethodChain, "prepare", lambda self, given: turns.extend(given) or real(self, given))
    learn("replay", "self_distill", "gate")
    assert turns and all(step.task.questions == () for turn in turns for step in (*turn.past, turn.step))


@pytest.fixture
def adapted(settings, tasks, tmp_path):
    """A run of `adapt` that has learned two documents."""
    with Run.create(tmp_path / "run", {"kind": "adapt", **settings("replay").model_dump(mode="json")}) as run:
        run.keep_text("tasks.json", tasks_text({"documents": tasks[:2]}))
        run.remember("exam", 0, list, Trial)
        yield run


def test_documents_are_added_once_however_often_that_is_said(adapted, tasks):
    assert kind_of(adapted) == "adapt"
    assert add_documents(adapted, tasks[1:3]) == [tasks[2]]
    assert kind_of(adapted) == "stream" and documents_of(adapted) == tasks[:3]
    assert add_documents(adapted, tasks[1:3]) == [] and documents_of(adapted) == tasks[:3]


def test_a_document_that_changes_back_is_learned_again(adapted, tasks):
    new = replace(tasks[0], context="It never landed.")
    assert add_documents(adapted, [new]) == [replace(new, id="apollo-2")]
    assert add_documents(adapted, [tasks[0]]) == [replace(tasks[0], id="apollo-3")]
    assert add_documents(adapted, [tasks[0]]) == []


def test_nothing_is_added_to_a_run_of_adapt_that_has_not_finished(adapted, tasks):
    adapted.cut(["exam"], 0)
    with pytest.raises(InputError, match="has not finished; first go on with it: selfedit resume "):
        add_documents(adapted, tasks[2:3])
    assert documents_of(adapted) == tasks[:2] and kind_of(adapted) == "adapt"


def test_a_document_that_was_forgotten_may_be_forgotten_again_and_taught_again(adapted, tasks):
    add_documents(adapted, tasks[2:])
    (gone,) = forget(adapted, tasks[2].title)
    assert forget(adapted, tasks[2].title) == [gone] and gone.context == ""
    assert documents_of(adapted) == [*tasks[:2], tasks[3]]
    assert add_documents(adapted, [tasks[2]]) == [tasks[2]]
