"""The table of conditions: who is counted, who is paired with whom, and what the fake engine can learn under each."""

import math
from dataclasses import replace

import pytest

from selfedit.config import OuterConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import EngineError
from selfedit.graders.exact import Contains
from selfedit.loops.evaluate import (
    OPTIONAL,
    ExamPlan,
    accuracy,
    across_seeds,
    conditions,
    paired_across_seeds,
    paired_gain,
    run_conditions,
    summarise,
)
from selfedit.loops.examine import Examiner
from selfedit.loops.outer import Outer
from selfedit.protocols import FLOOR
from selfedit.rewards.credit import rest_em
from selfedit.rewards.measured import gain
from selfedit.statistics import share_interval
from selfedit.types import BASE, Example, Failure, Job, Recipe, SamplingParams, Score, SelfEdit, Trial, Update

DOWN = Failure("system", "503")
UNREADABLE = Failure("policy", "the notes are empty")
SETTINGS = OuterConfig(
    rounds=1,
    tasks_per_round=4,
    edits_per_task=2,
    sampling=SamplingParams(temperature=0.0),
    recipe=Recipe(rank=4, epochs=2),
)
OUTER = Outer(SETTINGS, reward=gain, credit=rest_em, seed=0, max_adapters=3)

INNER = Recipe(rank=2, epochs=3)


def scored(*grades, answers=None, tokens=0, task_id="apollo"):
    answers = answers or tuple("an answer" for _ in grades)
    return Trial(SelfEdit(task_id, ""), Update("u", "base", tokens), after=Score(answers, grades))


def row_of(trials):
    """The row of these trials as JSON has it."""
    return summarise("row", trials).to_json()


def failed(failure):
    return Trial(SelfEdit("apollo", ""), failure=failure)


# Which trials count, and as what


def test_a_policys_failure_is_wrong_and_a_systems_failure_is_nothing():
    trials = [scored(1.0, 0.5), failed(UNREADABLE), failed(DOWN), scored(1.0, DOWN), Trial(SelfEdit("apollo", ""))]
    assert [accuracy(trial) for trial in trials] == [0.75, 0.0, None, None, None]


def test_a_system_failure_is_left_out_of_the_mean_and_counted():
    row = row_of([scored(1.0), failed(DOWN), scored(0.0), scored(DOWN)])
    assert (row["mean"], row["n"], row["failed"]) == (0.5, 2, 2)


def test_a_policy_failure_counts_as_zero():
    row = row_of([scored(1.0), failed(UNREADABLE)])
    assert (row["mean"], row["n"], row["failed"]) == (0.5, 2, 0)


def test_tasks_count_alike_however_many_questions_they_have():
    assert row_of([scored(1.0), scored(0.0, 0.0, 0.0)])["mean"] == 0.5


def test_blank_answers_are_counted_by_task():
    row = row_of([scored(0.0, 0.0, answers=("", "no")), scored(0.0, answers=("no",)), failed(UNREADABLE)])
    assert row["blank"] == 0.25
    assert row_of([failed(UNREADABLE)])["blank"] == 0.0


def test_trained_tokens_are_added_up():
    assert row_of([scored(1.0, tokens=30), scored(1.0, tokens=12), failed(UNREADABLE)])["tokens"] == 42


def test_the_interval_is_that_of_the_task_means():
    values = [0.0, 1.0, 0.5, 0.5, 1.0]
    row, expected = row_of([scored(value) for value in values]), share_interval(values)
    assert (row["low"], row["high"]) == (expected.low, expected.high)


@pytest.mark.parametrize(
    ("trials", "why"),
    [([failed(DOWN), failed(DOWN)], "503"), ([scored(DOWN)], "503"), ([scored()], "they have no questions")],
)
def test_a_table_in_which_nothing_was_scored_is_an_error_that_says_why(trials, why):
    with pytest.raises(EngineError, match=why):
        row_of(trials)
    with pytest.raises(EngineError, match=why):
        paired_gain(trials, trials)


# Pairs


def test_a_gain_is_measured_on_the_tasks_that_both_conditions_scored():
    before = [scored(0.0), failed(DOWN), scored(1.0), scored(0.5)]
    after = [scored(1.0), scored(1.0), failed(DOWN), scored(0.5)]
    assert paired_gain(after, before).mean == 0.5


def test_a_gain_counts_a_policys_failure_as_zero():
    assert paired_gain([failed(UNREADABLE)], [scored(1.0)]).fields == {"mean": -1.0, "low": -1.0, "high": -1.0}


def test_pairing_takes_the_difference_between_tasks_out_of_the_interval():
    before, after = [scored(0.0), scored(0.5)], [scored(0.5), scored(1.0)]
    assert paired_gain(after, before).fields == {"mean": 0.5, "low": 0.5, "high": 0.5}


def test_lists_that_do_not_match_are_an_error():
    with pytest.raises(ValueError, match="longer"):
        paired_gain([scored(1.0)], [scored(1.0), scored(1.0)])


# Several seeds


def runs(*pairs):
    """One run per pair (own edits, after reinforcement) of lists of grades, one grade per task."""
    return [
        {"own_edits": [scored(g, tokens=10) for g in own], "after_rl": [scored(g) for g in rl]} for own, rl in pairs
    ]


def test_over_seeds_each_task_counts_once_with_its_mean():
    table = across_seeds(runs(([0.0, 1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, 1.0]))).to_json()
    assert (table["own_edits"]["mean"], table["own_edits"]["n"]) == (0.75, 2)
    assert table["own_edits"]["seeds"] == [0.5, 1.0]
    assert table["own_edits"]["tokens"] == 20
    assert table["own_edits"]["low"] == table["own_edits"]["high"] == 0.75  # two tasks say nothing about the spread
    assert table["rl_gain"]["mean"] == 0.25
    assert set(table["own_edits"]) == {*row_of([scored(1.0)]), "seeds"}


def test_over_seeds_a_task_that_the_system_failed_is_an_error():
    broken = runs(([0.0, 1.0], [1.0, 1.0]), ([1.0, 1.0], [1.0, 1.0]))
    broken[1]["after_rl"][0] = failed(DOWN)
    with pytest.raises(EngineError, match="could not be sampled or graded"):
        across_seeds(broken)


# The conditions, with an engine that knows an answer once two documents hold it


@pytest.fixture
def examiner(engine):
    return Examiner(engine, Knowledge(recipe=INNER), Contains())


@pytest.fixture
def policy(engine, tasks, tmp_path):
    """A policy that has learned to write notes with the answers in them."""
    examples = [Example(Knowledge().prompts(task)[0], engine._fill(engine.notes[0], task.context)) for task in tasks]
    (update,) = engine.train([Job(BASE, tuple(examples), SETTINGS.recipe, 0)])
    engine.save(update, tmp_path / "policy")
    engine.jobs.clear()
    return engine.load(tmp_path / "policy")


def compute(stage, step, trials, noun):
    return trials()


def test_the_conditions_come_in_the_order_in_which_they_should_improve(examiner, policy, tasks):
    rows = conditions(BASE, examiner, OUTER)
    rows = {name: row for name, row in rows.items() if name not in OPTIONAL}
    assert list(rows) == ["base", "passage_only", "own_edits", "after_rl", "in_context"]
    found = run_conditions(tasks, rows, 64, compute)
    means = {name: row_of(trials)["mean"] for name, trials in found.items()}
    assert (means["base"], means["passage_only"], means["in_context"]) == (0.0, 0.0, 1.0)


def test_after_reinforcement_the_policy_writes_and_is_what_the_adapters_start_from(engine, examiner, policy, tasks):
    rows = conditions(policy, examiner, OUTER)
    (own, *_), (after, *_) = rows["own_edits"](tasks), rows["after_rl"](tasks)
    assert [request.update for request in engine.requests if "write notes" in request.prompt] == [BASE] * 4 + [
        policy
    ] * 4
    assert [job.parent for job in engine.jobs] == [BASE] * 4 + [policy] * 4
    assert own.edit.text and after.edit.text.startswith("To remember")
    assert after.after.value == 1.0


def test_conditions_share_the_seeds_of_their_tasks_and_the_inner_recipe(engine, examiner, policy, tasks):
    for name in ("passage_only", "own_edits", "after_rl"):
        conditions(policy, examiner, OUTER)[name](tasks)
    seeds = [job.seed for job in engine.jobs]
    assert seeds[:4] == seeds[4:8] == seeds[8:] and len(set(seeds)) == 4
    assert {job.recipe for job in engine.jobs} == {INNER}


def test_passage_only_learns_the_passage_and_nothing_else(engine, examiner, tasks):
    conditions(BASE, examiner, OUTER)["passage_only"](tasks[:1])
    (job,) = engine.jobs
    assert [example.target for example in job.examples] == [f"{tasks[0].title}\n{tasks[0].context}"]


def test_a_writer_without_words_earns_the_floor_under_its_condition(engine, examiner, tasks):
    engine.notes = [""]
    trials = conditions(BASE, examiner, OUTER)["own_edits"](tasks)
    assert {trial.reward for trial in trials} == {FLOOR}
    assert row_of(trials)["mean"] == 0.0 and row_of(trials)["failed"] == 0


def test_conditions_run_in_batches_that_are_remembered_under_their_name(examiner, tasks):
    asked, told = [], []

    def remember(stage, step, trials, noun):
        found = trials()
        asked.append((stage, step, len(found)))
        return found

    rows = {"base": conditions(BASE, examiner, OUTER)["base"]}
    found = run_conditions(tasks, rows, 3, remember, lambda *row: told.append(row))
    assert asked == [("exam/base", 0, 3), ("exam/base", 1, 1)]
    assert [trial.edit.task_id for trial in found["base"]] == [task.id for task in tasks]
    assert told == [("base", 0, 4, ""), ("base", 3, 4, ""), ("base", 4, 4, "")]


# Several passages, other writers


def of_text(text, *documents, failure=None):
    return Trial(SelfEdit("apollo", "prompt", text, tuple(Example("", d) for d in documents)), failure=failure)


@pytest.mark.parametrize("together", [1, 2, 3, 4])
def test_passages_that_are_learned_together_share_an_adapter(engine, tasks, together):
    examiner = Examiner(engine, Knowledge(), Contains())
    rows = conditions(BASE, examiner, OUTER, ExamPlan(tasks_per_adapter=together))
    (trials,) = run_conditions(
        tasks,
        {"passage_only": rows["passage_only"]},
        3,
        lambda stage, step, run, noun: run(),
        tasks_per_adapter=together,
    ).values()
    assert [trial.edit.task_id for trial in trials] == [task.id for task in tasks]
    assert len(engine.jobs) == math.ceil(len(tasks) / together)
    for start in range(0, len(tasks), together):
        assert len({trial.update.id for trial in trials[start : start + together]}) == 1
        (job,) = [job for job in engine.jobs if tasks[start].context in job.examples[0].target]
        assert [row.target.split("\n")[1] for row in job.examples] == [
            task.context for task in tasks[start : start + together]
        ]


def test_the_passage_alone_is_trained_by_a_recipe_of_its_own(engine, tasks):
    examiner, rival = Examiner(engine, Knowledge(), Contains()), Recipe(rank=2, epochs=3)
    done = {}
    rows = conditions(BASE, examiner, OUTER, ExamPlan(rival_recipe=rival), done=done)
    chosen = {name: rows[name] for name in ("passage_only", "own_edits", "passage_only_equal")}
    run_conditions(tasks, chosen, 8, lambda stage, step, run, noun: run(), done=done)
    recipes = [{replace(trial.edit.recipe, tokens=0) for trial in done[name]} for name in chosen]
    assert recipes == [{rival}, {Knowledge().recipe}, {rival}]
    taken = [[trial.update.tokens for trial in done[name]] for name in chosen]
    assert taken[1] == taken[2] != taken[0]


def test_the_edits_of_a_teacher_have_a_row_of_their_own(engine, tasks):
    def teacher(asked):
        return [[of_text("notes", f"{task.title}\n{task.questions[0].target}", task.context)] for task in asked]

    examiner = Examiner(engine, Knowledge(), Contains())
    rows = conditions(BASE, examiner, OUTER, teacher=teacher)
    usual = [row for row in rows if row not in OPTIONAL]
    assert usual == ["base", "passage_only", "own_edits", "teacher_edits", "after_rl", "in_context"]
    assert "teacher_edits" not in conditions(BASE, examiner, OUTER)


def test_differences_between_arms_are_paired_by_task():
    one, other = [{"row": [scored(1.0), scored(0.0)]}], [{"row": [scored(0.5), scored(0.0)]}]
    assert paired_across_seeds(one, other, "row").mean == 0.25
