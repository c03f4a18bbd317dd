"""The inner loop, with an engine that has no model: edits in, settled trials out."""

import pytest

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders.exact import Contains
from selfedit.loops.examine import Examiner
from selfedit.loops.inner import apply_reward, merge_edits, run_inner, score_before_and_after, train_edits
from selfedit.loops.outer import parse_edit
from selfedit.protocols import FLOOR
from selfedit.rewards.measured import gain
from selfedit.seeds import derive_seed
from selfedit.types import BASE, Example, Failure, Score, SelfEdit, Trial, Update

USEFUL = {"apollo": "In 1969 Neil Armstrong landed.", "torvik": "On the Selx they make lace."}
USELESS, UNREADABLE = "There is much to say.", " "
DOWN = Failure("system", "the judge did not answer")
EMPTY = Failure("policy", "the notes are empty")


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


@pytest.mark.parametrize(("extra", "problem"), [(-1, "shorter"), (1, "longer")])
def test_an_engine_that_returns_too_few_or_too_many_updates_is_an_error(engine, tasks, extra, problem):
    engine.train = lambda jobs: [Update("u")] * (len(jobs) + extra)
    with pytest.raises(ValueError, match=problem):
        run(engine, tasks, [(0, USEFUL["apollo"]), (1, USEFUL["torvik"])])


def test_a_likelihood_that_could_not_be_measured_withholds_the_reward():
    scores = [Score(("a",), (1.0,), {"likelihood": (value,)}) for value in (-1.0, Failure("system", "out of memory"))]
    rewarded = apply_reward(Trial(SelfEdit("task", "prompt"), Update("u"), *scores), gain)
    assert rewarded.reward is None and rewarded.failure.blame == "system"


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


# Several edits as one


def of_text(text, *documents):
    return Trial(SelfEdit("apollo", "prompt", text, tuple(Example("", d) for d in documents)))


def failed(failure):
    return Trial(SelfEdit("apollo", ""), failure=failure)


def test_edits_of_one_passage_are_joined_with_equal_documents_once_unless_asked():
    trials = [of_text("a", "A", "passage"), failed(EMPTY), of_text("b", "B", "passage")]
    once, each = merge_edits(trials), merge_edits(trials, repeat_context=True)
    assert [example.target for example in once.edit.examples] == ["A", "passage", "B"]
    assert [example.target for example in each.edit.examples] == ["A", "passage", "B", "passage"]
    assert once.edit.text == "a\n\nb"


def test_what_the_system_failed_fails_the_whole_and_unreadable_edits_only_together():
    assert merge_edits([of_text("a", "A"), failed(DOWN)]).failure == DOWN
    assert merge_edits([failed(EMPTY), failed(EMPTY)]).failure == EMPTY


# Seeds


def test_a_seed_is_the_same_in_every_process():
    assert derive_seed(0, "round-0", "apollo", 1) == 4237507553026113514


def test_a_seed_fits_in_63_bits_and_depends_on_every_part():
    parts = [(0, "round-0", "a", 1), (1, "round-0", "a", 1), (0, "round-1", "a", 1), (0, "round-0", "b", 1),
             (0, "round-0", "a", 2), (0, "round-0", "a", "1"), (0, "round-0", "a")]  # fmt: skip
    seeds = {derive_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)
