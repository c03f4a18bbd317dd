"""The inner loop, with an engine that has no model: edits in, settled trials out."""

from dataclasses import replace

import pytest

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders.exact import Contains
from selfedit.loops.examine import MEASUREMENTS, Exam, Examiner, score
from selfedit.loops.inner import apply_reward, run_inner, score_before_and_after, train_edits
from selfedit.loops.outer import parse_edit
from selfedit.protocols import FLOOR
from selfedit.rewards.measured import gain
from selfedit.seeds import derive_seed
from selfedit.types import BASE, Failure, Likelihood, Question, Score, SelfEdit, Trial, Update

USEFUL = {"apollo": "In 1969 Neil Armstrong landed.", "torvik": "On the Selx they make lace."}
USELESS, UNREADABLE = "There is much to say.", " "
DOWN = Failure("system", "the judge did not answer")


class Judge:
    """Grades as `Contains` does, but for the answers to `unanswered`."""

    def __init__(self, *unanswered):
        self.unanswered, self.seen = unanswered, []

    def grade(self, pairs):
        self.seen += pairs
        grades = Contains().grade(pairs)
        return [DOWN if q.text in self.unanswered else grade for (q, _), grade in zip(pairs, grades, strict=True)]


def examiner(engine, grader=None):
    return Examiner(engine, Knowledge(), grader or Contains())


def measuring(examiner, name, tasks=()):
    return replace(examiner, measurements={name: MEASUREMENTS[name](tasks)})


def run(engine, tasks, texts, grader=None):
    """Try these texts as edits of the first two tasks: (task number, text) each."""
    trials = [parse_edit(tasks[number], 0, text, Knowledge()) for number, text in texts]
    by_id = {task.id: task for task in tasks}
    return run_inner(trials, by_id, BASE, examiner(engine, grader), gain, range(len(trials)))


# Rewards and blame


def test_a_useful_edit_is_rewarded_more_than_a_useless_one(engine, tasks):
    useful, useless = run(engine, tasks, [(0, USEFUL["apollo"]), (0, USELESS)])
    assert useful.reward == 1.0
    assert useless.reward == 0.0


def test_an_edit_that_states_half_of_what_is_asked_earns_half(engine, tasks):
    (trial,) = run(engine, tasks, [(0, "Neil Armstrong was there.")])
    assert trial.reward == 0.5
    assert trial.after.grades == (0.0, 1.0)


def test_an_unreadable_edit_is_the_policys_fault_and_earns_the_floor(engine, tasks):
    (trial,) = run(engine, tasks, [(0, UNREADABLE)])
    assert trial.failure.blame == "policy"
    assert trial.reward == FLOOR
    assert trial.update is None and engine.jobs == []


def test_an_edit_that_diverges_earns_the_floor(engine, tasks):
    engine.train = lambda jobs: [Failure("policy", "training diverged") for _ in jobs]
    (trial,) = run(engine, tasks, [(0, USEFUL["apollo"])])
    assert (trial.failure.blame, trial.reward) == ("policy", FLOOR)


def test_a_trainer_that_fails_gives_no_reward(engine, tasks):
    engine.train = lambda jobs: [Failure("system", "out of memory") for _ in jobs]
    (trial,) = run(engine, tasks, [(0, USEFUL["apollo"])])
    assert (trial.failure.message, trial.reward) == ("out of memory", None)


def test_a_grader_that_is_down_gives_no_reward(engine, tasks):
    judge = Judge(*[question.text for task in tasks for question in task.questions])
    (trial,) = run(engine, tasks, [(0, USEFUL["apollo"])], judge)
    assert (trial.failure.blame, trial.reward) == ("system", None)
    assert trial.after.grades == (DOWN, DOWN)


def test_one_question_without_a_grade_is_enough_to_withhold_the_reward(engine, tasks):
    trials = run(engine, tasks, [(0, USEFUL["apollo"]), (1, USEFUL["torvik"])], Judge("Who led Apollo 11?"))
    assert [trial.reward for trial in trials] == [None, 1.0]


def test_an_exam_that_cannot_be_answered_gives_no_reward_and_bothers_no_grader(engine, tasks):
    engine.sample = lambda requests: [Failure("system", "503") for _ in requests]
    judge = Judge()
    (trial,) = run(engine, tasks, [(0, USEFUL["apollo"])], judge)
    assert (trial.failure.blame, trial.reward) == ("system", None)
    assert judge.seen == []


@pytest.mark.parametrize(
    ("failure", "reward"), [(Failure("policy", "unreadable"), FLOOR), (Failure("system", "503"), None)]
)
def test_only_a_failure_of_the_policy_becomes_a_reward(failure, reward):
    rewarded = apply_reward(Trial(SelfEdit("task", "prompt"), failure=failure), gain)
    assert (rewarded.reward, rewarded.failure) == (reward, failure)


def test_a_trial_without_questions_has_no_reward():
    empty = Score((), ())
    rewarded = apply_reward(Trial(SelfEdit("task", "prompt"), Update("u"), empty, empty), gain)
    assert (rewarded.failure.blame, rewarded.reward) == ("system", None)


def test_an_engine_that_loses_an_answer_is_an_error_and_no_answer_goes_to_another_question(engine, tasks):
    engine.sample = lambda requests: ["answer"] * (len(requests) - 1)
    with pytest.raises(ValueError, match="shorter"):
        score(examiner(engine), [Exam(BASE, task) for task in tasks])


@pytest.mark.parametrize(("extra", "problem"), [(-1, "shorter"), (1, "longer")])
def test_an_engine_that_returns_too_few_or_too_many_updates_is_an_error(engine, tasks, extra, problem):
    engine.train = lambda jobs: [Update("u")] * (len(jobs) + extra)
    with pytest.raises(ValueError, match=problem):
        run(engine, tasks, [(0, USEFUL["apollo"]), (1, USEFUL["torvik"])])


@pytest.mark.parametrize(("extra", "problem"), [(-1, "shorter"), (1, "longer")])
def test_a_grader_that_returns_too_few_or_too_many_grades_is_an_error(engine, tasks, extra, problem):
    judge = Judge()
    judge.grade = lambda pairs: [1.0] * (len(pairs) + extra)
    with pytest.raises(ValueError, match=problem):
        score(examiner(engine, judge), [Exam(BASE, task) for task in tasks])


# Order and economy


def test_trials_come_back_in_their_order_whatever_happens_to_them(engine, tasks):
    texts = [(0, UNREADABLE), (1, USEFUL["torvik"]), (0, USELESS), (1, UNREADABLE), (0, USEFUL["apollo"])]
    trials = run(engine, tasks, texts)
    assert [(trial.edit.task_id, trial.edit.text) for trial in trials] == [(tasks[n].id, text) for n, text in texts]
    assert [trial.reward for trial in trials] == [FLOOR, 1.0, 0.0, FLOOR, 1.0]


def test_the_parent_sits_each_exam_once_and_each_update_its_own(engine, tasks):
    run(engine, tasks, [(0, USEFUL["apollo"]), (0, USELESS), (0, "More."), (1, USELESS), (1, UNREADABLE)])
    asked = [request.update for request in engine.requests]
    assert asked.count(BASE) == 2 * 2  # tasks x questions
    assert len(asked) - asked.count(BASE) == 4 * 2  # live trials x questions


def test_a_task_whose_edits_all_failed_is_not_examined(engine, tasks):
    run(engine, tasks, [(0, UNREADABLE)])
    assert engine.requests == []


def test_every_trial_has_the_score_of_its_parent_on_its_own_task(engine, tasks):
    engine.needed = 1
    parent = train_edits([parse_edit(tasks[0], 0, USELESS, Knowledge())], BASE, engine, [0])[
        0
    ].update  # knows its passage
    trials = [Trial(SelfEdit(task.id, ""), BASE) for task in (tasks[1], tasks[0], tasks[1])]
    examined = score_before_and_after(trials, {task.id: task for task in tasks}, parent, examiner(engine))
    assert [trial.before.value for trial in examined] == [0.0, 1.0, 0.0]
    assert [trial.after.value for trial in examined] == [0.0, 0.0, 0.0]


def test_each_adapter_is_trained_from_the_parent_on_its_edit_with_its_own_seed(engine, tasks):
    trials = [parse_edit(tasks[0], 0, text, Knowledge()) for text in (USELESS, UNREADABLE, USEFUL["apollo"])]
    train_edits(trials, BASE, engine, [7, 8, 9])
    assert [(job.parent, job.examples, job.recipe, job.seed) for job in engine.jobs] == [
        (BASE, trials[0].edit.examples, trials[0].edit.recipe, 7),
        (BASE, trials[2].edit.examples, trials[2].edit.recipe, 9),
    ]


def test_updates_are_released_once_they_are_examined(engine, tasks):
    released = []
    engine.release = released.extend
    trials = run(engine, tasks, [(0, USEFUL["apollo"]), (0, UNREADABLE), (1, USELESS)])
    assert released == [trial.update for trial in trials if trial.update]


# Exams


def test_an_exam_is_closed_book_at_temperature_zero_and_answered_in_order(engine, tasks):
    score(examiner(engine), [Exam(BASE, tasks[1]), Exam(BASE, tasks[0])])
    domain = Knowledge()
    expected = [domain.exam(task, question)[0] for task in (tasks[1], tasks[0]) for question in task.questions]
    assert [request.prompt for request in engine.requests] == expected
    assert {(request.temperature, request.max_new_tokens) for request in engine.requests} == {(0.0, 64)}


def test_an_open_book_exam_has_the_passage_in_it(engine, tasks):
    exams = [Exam(BASE, task) for task in tasks]
    assert [found.value for found in score(examiner(engine), exams, open_book=True)] == [1] * 4
    assert [found.value for found in score(examiner(engine), exams)] == [0] * 4


# Views


class Twice(Knowledge):
    """Asks every question in two ways, and a third where an edit was learned; the answer is all that came back."""

    def exam(self, task, question, edit=None):
        (prompt,) = super().exam(task, question)
        return [f"{way} {prompt}" for way in ["First:", "Then:"] + ["Last:"] * (edit is not None)]

    def answer(self, task, question, texts):
        return " | ".join(text for (text,) in texts)

    def targets(self, task, question, edit=None):
        return [question.target for _ in self.exam(task, question, edit)]


@pytest.fixture
def two_views(engine):
    return Examiner(engine, Twice(), Contains())


def test_all_views_are_asked_and_one_answer_is_made_of_them(engine, tasks, two_views):
    (found,) = score(two_views, [Exam(BASE, tasks[0])])
    assert [request.prompt.split()[0] for request in engine.requests] == ["First:", "Then:"] * 2
    assert found.answers == ("Nobody knows. | Nobody knows.",) * 2


def test_an_edit_may_choose_the_views(engine, tasks, two_views):
    first, second = score(two_views, [Exam(BASE, tasks[0]), Exam(BASE, tasks[0], SelfEdit("apollo", ""))])
    assert [answer.count("|") for answer in (*first.answers, *second.answers)] == [1, 1, 2, 2]


def test_a_view_that_failed_fails_its_question_and_no_other(engine, tasks, two_views):
    answer = engine.sample
    engine.sample = lambda requests: [answer(requests)[0], DOWN, *answer(requests)[2:]]
    (found,) = score(two_views, [Exam(BASE, tasks[0])])
    assert found.answers == (DOWN, "Nobody knows. | Nobody knows.") and found.value is None


def test_the_likelihood_of_an_answer_is_the_mean_over_its_views(engine, tasks, two_views):
    engine.likelihood = lambda requests: [Likelihood(-2.0 * number, 2) for number, _ in enumerate(requests)]
    (found,) = score(measuring(two_views, "likelihood"), [Exam(BASE, tasks[0])])
    assert found.measurements["likelihood"] == (-0.5, -2.5)
    assert len(engine.requests) == 4  # no answer with the passage was needed


# Seeds


def test_a_seed_is_the_same_in_every_process():
    assert derive_seed(0, "round-0", "apollo", 1) == 4237507553026113514


def test_a_seed_fits_in_63_bits_and_depends_on_every_part():
    parts = [(0, "round-0", "a", 1), (1, "round-0", "a", 1), (0, "round-1", "a", 1), (0, "round-0", "b", 1),
             (0, "round-0", "a", 2), (0, "round-0", "a", "1"), (0, "round-0", "a")]  # fmt: skip
    seeds = {derive_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_the_likelihood_is_of_the_answer_as_the_model_says_it_with_the_passage(engine, tasks):
    asked = []

    def likelihood(readings):
        asked.extend(readings)
        return type(engine).likelihood(engine, readings)

    engine.likelihood = likelihood
    measured = measuring(examiner(engine), "likelihood")
    (found,) = score(measured, [Exam(BASE, tasks[0])])
    assert [request.target for request in asked] == [" It is 1969.", " It is Neil Armstrong."]
    assert [request.prompt for request in asked] == [Knowledge().exam(tasks[0], q)[0] for q in tasks[0].questions]
    assert len(found.measurements["likelihood"]) == 2 and found.is_complete
    score(measured, [Exam(BASE, tasks[0])])
    assert sum("Passage:" in request.prompt for request in engine.requests) == 2  # asked once, and kept


def test_where_the_model_is_wrong_with_the_passage_the_gold_answer_stands_for_itself(engine, tasks):
    task = replace(tasks[0], questions=(Question("Who else?", "Buzz Aldrin"),))
    asked = []
    engine.likelihood = lambda requests: asked.extend(requests) or [Likelihood(-1.0, 1) for _ in requests]
    score(measuring(examiner(engine), "likelihood"), [Exam(BASE, task)])
    assert [request.target for request in asked] == [" Buzz Aldrin"]


def test_the_control_texts_are_the_passages_of_other_tasks(engine, tasks):
    controlled = measuring(examiner(engine), "control", tasks[:3])
    asked = []
    engine.likelihood = lambda requests: asked.extend(requests) or [Likelihood(-1.0, 1) for _ in requests]
    first, last = score(controlled, [Exam(BASE, tasks[0]), Exam(BASE, tasks[3])])
    assert [request.target for request in asked] == [tasks[i].context for i in (1, 2, 0, 1, 2)]
    assert (len(first.measurements["control"]), len(last.measurements["control"])) == (2, 3)


def test_a_likelihood_that_could_not_be_measured_withholds_the_reward():
    scores = [Score(("a",), (1.0,), {"likelihood": (value,)}) for value in (-1.0, Failure("system", "out of memory"))]
    rewarded = apply_reward(Trial(SelfEdit("task", "prompt"), Update("u"), *scores), gain)
    assert rewarded.reward is None and rewarded.failure.blame == "system"


def test_retention_is_the_grades_on_other_tasks_of_every_update_once(engine, tasks):
    kept = measuring(examiner(engine), "retention", tasks[2:])
    engine.needed = 1
    update = train_edits([parse_edit(tasks[2], 0, USELESS, Knowledge())], BASE, engine, [0])[0].update
    engine.requests.clear()
    exams = [Exam(BASE, tasks[0]), Exam(update, tasks[0]), Exam(update, tasks[1])]
    scores = score(kept, exams)
    assert [found.measurements["retention"] for found in scores] == [(0,) * 4, (1, 1, 0, 0), (1, 1, 0, 0)]
    assert len(engine.requests) == 3 * 2 + 2 * 4  # the exams themselves, then two updates on two tasks


def test_an_open_book_exam_measures_nothing_else(engine, tasks):
    (found,) = score(measuring(examiner(engine), "likelihood"), [Exam(BASE, tasks[0])], open_book=True)
    assert found.measurements == {}
