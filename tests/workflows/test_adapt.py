"""Lessons on a fake engine: notes on every passage, one adapter from all of them, the exam before and after."""

import pytest

from selfedit.config import Config
from selfedit.domains.knowledge import prompts
from selfedit.errors import EngineError
from selfedit.store import Run
from selfedit.types import BASE, Failure, Job, Recipe, Task
from selfedit.workflows.adapt import teach

CONFIG = Config.model_validate({"max_adapters": 3, "outer": {"edits_per_task": 2}, "inner": {"rank": 2}})


class Crash(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


def teach_in(folder, engine, documents, passages=None, policy=BASE):
    with Run.create(folder, {}) as run:
        lesson = teach(run, CONFIG, passages or documents, documents, policy, engine)
        return lesson, [(batch.stage, batch.step, batch.trials) for batch in run.batches()]


@pytest.fixture
def writer(new_engine):
    """An engine that always writes the answers into its notes."""

    def make():
        engine = new_engine()
        engine.notes = engine.notes[:1]
        return engine

    return make


def test_documents_are_learned_and_examined_before_and_after(writer, tasks, tmp_path):
    lesson, _ = teach_in(tmp_path, writer(), tasks)
    assert (lesson.table["before"].mean, lesson.table["after"].mean) == (0.0, 1.0)
    assert lesson.table.to_json()["gain"] == {"mean": 1.0, "low": 1.0, "high": 1.0}
    assert [trial.reward for trial in lesson.exams] == [1.0] * 4
    assert (lesson.table["before"].tokens, lesson.table["after"].tokens) == (0, lesson.update.tokens)


def test_one_adapter_learns_every_note_once_and_every_passage(writer, tasks, tmp_path):
    engine = writer()
    lesson, _ = teach_in(tmp_path, engine, tasks)
    (job,) = engine.jobs
    targets = [example.target for example in job.examples]
    assert len(targets) == len(set(targets)) == 2 * 4  # the two notes on a passage are the same here
    assert all(f"{task.title}\n{task.context}" in targets for task in tasks)
    assert all(any(t.startswith(f"{task.title}\nTo remember") for t in targets) for task in tasks)
    assert job.parent == BASE and job.recipe == CONFIG.inner
    assert (tmp_path / "updates" / "adapter" / "update.json").is_file()
    assert engine.load(tmp_path / "updates" / "adapter") == lesson.update


def test_the_adapter_is_trained_as_its_notes_are_and_not_as_the_passage_alone_would_be(writer, tasks, tmp_path):
    engine, config = writer(), CONFIG.model_copy(update={"inner": Recipe(rank=2, min_steps=7)})
    with Run.create(tmp_path, {}) as run:
        teach(run, config, tasks, tasks, BASE, engine)
    assert engine.jobs[0].recipe == config.inner


def test_a_budget_of_tokens_counts_for_each_passage_and_replay_comes_on_top(writer, tasks, tmp_path):
    plain, replayed = writer(), writer()
    for engine, replay in ((plain, 0), (replayed, 5)):
        config = Config.model_validate({"inner": {"tokens": 70}, "data": {"replay": replay}})
        with Run.create(tmp_path / str(replay), {}) as run:
            teach(run, config, tasks, tasks, BASE, engine)
    assert plain.jobs[0].recipe.tokens == 70 * len(tasks)
    own, whole = (sum(len(e.prompt) + len(e.target) for e in job.examples) for job in (plain.jobs[0], replayed.jobs[0]))
    assert replayed.jobs[0].recipe.tokens == round(70 * len(tasks) * whole / own) > 70 * len(tasks)


def test_a_passage_is_learned_even_where_no_note_could_be_read(writer, tasks, tmp_path):
    engine = writer()
    engine.notes = [""]
    lesson, _ = teach_in(tmp_path, engine, tasks[:1])
    assert [example.target for example in engine.jobs[0].examples] == [f"{tasks[0].title}\n{tasks[0].context}"]
    assert [trial.failure and trial.failure.blame for trial in lesson.notes] == ["policy", "policy"]


def test_notes_are_written_a_batch_at_a_time_with_a_seed_each(writer, tasks, tmp_path):
    engine = writer()
    _, batches = teach_in(tmp_path, engine, tasks)
    assert [(stage, number, len(trials)) for stage, number, trials in batches] == [
        ("notes", 0, 3), ("notes", 1, 3), ("notes", 2, 2), ("exam", 0, 4)
    ]  # fmt: skip
    seeds = [request.seed for request in engine.requests if request.temperature]
    assert len(seeds) == len(set(seeds)) == 8


def test_the_parts_of_a_long_document_are_learned_and_the_whole_is_examined(writer, tasks, tmp_path):
    engine, document = writer(), tasks[0]
    parts = [Task(f"apollo-{n}", document.title, part) for n, part in enumerate(document.context.split(". "))]
    lesson, _ = teach_in(tmp_path, engine, [document], parts)
    asked = [request.prompt for request in engine.requests if request.temperature]
    assert asked == [prompts.NOTES.of(part) for part in parts for _ in range(2)]
    assert [trial.edit.task_id for trial in lesson.exams] == ["apollo"]
    assert lesson.exams[0].before and lesson.exams[0].after


def test_without_questions_there_is_no_exam_and_the_summary_is_empty(writer, tasks, tmp_path):
    documents = [Task(task.id, task.title, task.context) for task in tasks]
    lesson, _ = teach_in(tmp_path, writer(), documents)
    assert lesson.table.to_json() == {}
    assert [(trial.before, trial.after, trial.reward, trial.failure) for trial in lesson.exams] == [(None,) * 4] * 4


def test_only_the_documents_that_have_questions_are_examined(writer, tasks, tmp_path):
    lesson, _ = teach_in(tmp_path, writer(), [Task("plain", "Plain", "No question."), tasks[1]])
    assert [trial.before is None for trial in lesson.exams] == [True, False]
    assert (lesson.table["after"].n, lesson.table["after"].mean) == (1, 1.0)


def test_a_policy_writes_the_notes_and_is_what_the_adapter_starts_from(writer, tasks, tmp_path):
    engine = writer()
    (update,) = engine.train([Job(BASE, (), Recipe(), 0)])
    engine.save(update, tmp_path / "policy")
    policy = engine.load(tmp_path / "policy")
    engine.jobs.clear()
    teach_in(tmp_path / "run", engine, tasks[:1], policy=policy)
    assert {request.update for request in engine.requests if request.temperature} == {policy}
    assert engine.jobs[0].parent == policy


def test_an_adapter_that_cannot_be_trained_stops_the_lesson(writer, tasks, tmp_path):
    engine = writer()
    engine.train = lambda jobs: [Failure("system", "out of memory")]
    with pytest.raises(EngineError, match="the adapter could not be trained: out of memory"):
        teach_in(tmp_path, engine, tasks)


@pytest.mark.parametrize(("method", "call"), [("sample", 1), ("sample", 3), ("train", 1), ("save", 1), ("sample", 4)])
def test_a_resumed_lesson_equals_one_that_was_not_interrupted(writer, tasks, tmp_path, method, call):
    whole = teach_in(tmp_path / "whole", writer(), tasks)
    crashing, calls = writer(), []
    original = getattr(crashing, method)

    def crash(*arguments):
        calls.append(arguments)
        if len(calls) == call:
            raise Crash
        return original(*arguments)

    setattr(crashing, method, crash)
    with pytest.raises(Crash):
        teach_in(tmp_path / "crashed", crashing, tasks)
    assert teach_in(tmp_path / "crashed", writer(), tasks) == whole


def test_a_finished_lesson_is_only_read(writer, tasks, tmp_path):
    whole = teach_in(tmp_path, writer(), tasks)
    engine = writer()
    assert teach_in(tmp_path, engine, tasks) == whole
    assert engine.jobs == engine.requests == []
