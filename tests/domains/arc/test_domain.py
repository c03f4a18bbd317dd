"""The domain `arc`: plans become training rows, test grids are asked in views, and answers are voted on."""

import json
from dataclasses import replace

import numpy as np
import pytest

from selfedit.config import OuterConfig
from selfedit.domains.arc.domain import Arc, demonstrations
from selfedit.domains.arc.options import ArcOptions
from selfedit.domains.arc.prompts import to_task
from selfedit.errors import BadEdit
from selfedit.graders.attempts import Attempts
from selfedit.loops.examine import MEASUREMENTS, Exam, Examiner, score
from selfedit.loops.outer import Outer, try_batch
from selfedit.protocols import FLOOR
from selfedit.rewards.credit import rest_em
from selfedit.rewards.measured import solved
from selfedit.types import BASE, Example, Failure, Likelihood, Recipe, Update
from selfedit.workflows.build import make_domain
from selfedit.workflows.configure import make_config
from selfedit.workflows.train import own_questions

PLAIN = Arc(recipe=Recipe(rank=8, alpha=8.0, batch_size=2))
WIDE = replace(PLAIN, options=ArcOptions(wide=True))


def task(count=3, tests=1, side=3, name="flip"):
    """Flip the rows: `count` demonstrations."""
    rng = np.random.RandomState(count)
    grids = [rng.randint(0, 10, (side, side + 1)) for _ in range(count + tests)]
    pairs = [(grid, np.flipud(grid)) for grid in grids]
    return to_task(name, pairs[:count], pairs[count:])


def plan(*groups, strategy="output_tokens", epochs=1, copies=None, views=4, rank=4):
    switches = {f"use_{name}_augmentations": name in groups for name in ("basic", "size", "chain", "repeat")}
    training = {"strategy": f"train_using_{strategy}", "learning_rate": 1e-3, "num_train_epochs": epochs}
    chosen = {"data_generation": switches, "training": training}
    if copies:
        switches["copies"] = copies
        training |= {"rank": rank, "early_stop": 0.0}
        chosen["evaluation"] = {"views": views}
    return json.dumps(chosen)


# Tasks


def test_a_task_holds_its_grids_as_json():
    made = task(2, tests=2)
    assert [(a.shape, b.shape) for a, b in demonstrations(made)] == [((3, 4), (3, 4))] * 2
    assert [np.flipud(json.loads(q.text)).tolist() for q in made.questions] == [
        json.loads(q.target) for q in made.questions
    ]


# Plans


def test_a_plan_becomes_rows_with_a_prompt_and_the_recipe_it_chose():
    edit = PLAIN.parse(task(), plan("size"))
    assert len(edit.examples) == 72
    assert edit.recipe == Recipe(rank=8, alpha=8.0, epochs=1, learning_rate=1e-3, batch_size=2)
    assert edit.prompt == PLAIN.prompts(task())[0] and edit.prompt.endswith("P")
    assert all(row.prompt.endswith("O") and row.target.endswith("\n") for row in edit.examples)


def test_all_tokens_makes_plain_documents_of_the_same_rows():
    rows, whole = (PLAIN.parse(task(), plan(strategy=name)).examples for name in ("output_tokens", "all_tokens"))
    assert [Example("", row.prompt + row.target) for row in rows] == list(whole)


def test_later_outputs_are_all_but_the_first_each_after_what_stands_before_it():
    made = task(3)
    pairs = [PLAIN.format.whole([], pair) for pair in demonstrations(made)]
    rows = WIDE.parse(made, plan(strategy="later_outputs", copies=1)).examples
    for row in rows:
        assert row.prompt.count("O") > 1
    (last,) = [row for row in rows if row.prompt + row.target == "".join([*pairs[1:], pairs[0]])]
    assert any(last.prompt.startswith(row.prompt + row.target) for row in rows)
    assert len(set(rows)) == len(rows)


def test_more_copies_make_more_rows_up_to_the_cap():
    counts = [len(WIDE.parse(task(), plan("basic", copies=copies)).examples) for copies in (1, 2)]
    assert counts == [216, 250]


def test_equal_plans_for_a_task_train_on_equal_rows_and_other_tasks_and_seeds_on_others():
    rows = PLAIN.parse(task(), plan("basic")).examples
    assert rows == PLAIN.parse(task(), plan("basic"), member=3).examples
    assert rows != PLAIN.parse(task(name="other"), plan("basic")).examples
    assert rows != replace(PLAIN, seed=1).parse(task(), plan("basic")).examples


def test_a_plan_of_more_steps_than_allowed_is_unaffordable():
    assert PLAIN.parse(task(), plan("basic", epochs=3)).recipe.epochs == 3  # 3 * 216 // 2 = 324
    with pytest.raises(BadEdit, match="unaffordable: 432 steps, where 375 are allowed"):
        PLAIN.parse(task(), plan("basic", epochs=4))


def test_a_budget_of_tokens_is_kept_whatever_epochs_a_plan_chooses():
    budget = replace(PLAIN, recipe=replace(PLAIN.recipe, tokens=500))
    assert budget.parse(task(), plan("basic", epochs=400)).recipe.tokens == 500


def test_a_task_with_one_demonstration_has_nothing_to_train_on():
    with pytest.raises(BadEdit, match="nothing to train on: one demonstration"):
        PLAIN.parse(task(1), plan("basic"))
    assert PLAIN.without_edit(task(1)).examples == ()


def test_rows_that_are_too_long_are_dropped_by_the_count_that_is_given():
    short = replace(PLAIN, options=ArcOptions(max_tokens=80))
    lengths = [len(row.prompt) + len(row.target) + 1 for row in short.parse(task(), plan("basic")).examples]
    assert lengths and max(lengths) <= 80
    with pytest.raises(BadEdit, match="none short enough"):
        replace(short, count=lambda text: 10 * len(text)).parse(task(), plan())


def test_without_a_plan_the_demonstrations_are_learned_as_they_are():
    edit = PLAIN.without_edit(task())
    assert 3 + 6 <= len(edit.examples) <= 2 * 3 + 6 and (edit.recipe, edit.text) == (PLAIN.recipe, "")


def test_grids_of_every_size_are_planned_and_asked_for():
    for side in (1, 29):
        made = task(2, side=side)
        assert PLAIN.parse(made, plan(strategy="all_tokens")).examples
        assert PLAIN.exam(made, made.questions[0])


# Views and answers


def test_views_are_the_contexts_in_their_orders_and_five_that_are_transformed():
    made = task(3)
    prompts = PLAIN.exam(made, made.questions[0])
    assert len(prompts) == len(set(prompts)) and 4 + 5 < len(prompts) <= 4 * 3 + 5
    assert prompts[0] == PLAIN.format.question(demonstrations(made), np.array(json.loads(made.questions[0].text)))
    assert prompts == PLAIN.exam(made, made.questions[0]) == PLAIN.open_book(made, made.questions[0])
    few = replace(PLAIN, options=ArcOptions(orders=0, transformed=0))
    assert len(few.exam(made, made.questions[0])) == 4


def test_the_plan_says_in_how_many_views_and_else_the_config():
    made = task(3)
    edit = WIDE.parse(made, plan(copies=1, views=6))
    narrow = replace(WIDE, options=ArcOptions(wide=True, augmented_views=2))
    every = WIDE.exam(made, made.questions[0])
    assert WIDE.exam(made, made.questions[0], edit) == narrow.exam(made, made.questions[0], edit) == every[:6]
    assert narrow.exam(made, made.questions[0]) == every[:2]
    assert len(narrow.targets(made, made.questions[0], edit)) == 6
    assert json.loads(narrow.answer(made, made.questions[0], [["12\n34"]] * 6))


def test_one_demonstration_is_asked_about_as_it_is_and_transformed():
    made = task(1)
    assert len(PLAIN.exam(made, made.questions[0])) == 1 + 5
    assert len(replace(PLAIN, options=ArcOptions(transformed=0)).exam(made, made.questions[0])) == 1


@pytest.mark.parametrize("form", ["compact", "seal"])
def test_the_right_answer_in_every_view_is_voted_to_be_the_first_attempt(form):
    domain = replace(PLAIN, options=ArcOptions(format=form))
    for made in (task(3), task(2, side=1)):
        question = made.questions[0]
        texts = domain.targets(made, question)
        assert len(texts) == len(domain.exam(made, question))
        assert json.loads(domain.answer(made, question, [[text] for text in texts]))[0] == json.loads(question.target)


def test_an_answer_that_is_no_grid_has_no_vote_and_without_votes_there_is_no_attempt():
    made = task(3)
    question = made.questions[0]
    texts = PLAIN.targets(made, question)
    broken = ["12\n3", "no grid", "", "1" * 31, "I12\nO", *texts[5:]]
    assert json.loads(PLAIN.answer(made, question, [[text] for text in broken]))[0] == json.loads(question.target)
    assert PLAIN.answer(made, question, [["ragged\n1"]] * len(texts)) == "[]"
    assert Attempts().grade([(question, "[]")]) == [0.0]


def test_views_that_are_too_long_are_left_out_but_never_all():
    made = task(3)
    lengths = [len(prompt) for prompt in PLAIN.exam(made, made.questions[0])]
    shorter = replace(PLAIN, options=ArcOptions(max_tokens=max(lengths)))
    assert 1 < len(shorter.exam(made, made.questions[0])) < len(lengths)
    assert len(replace(PLAIN, options=ArcOptions(max_tokens=1)).exam(made, made.questions[0])) == 1


# Rewards without labels


def test_its_own_exam_asks_for_the_last_demonstration_and_shows_the_others():
    made = task(3, tests=2)
    (own,) = PLAIN.own_exams([made, task(2)])
    grid, output = demonstrations(made)[-1]
    assert len(demonstrations(own)) == 2 and own.id == made.id
    assert [(json.loads(q.text), json.loads(q.target)) for q in own.questions] == [(grid.tolist(), output.tolist())]


def test_own_questions_are_the_held_out_demonstrations():
    examiner = Examiner(Solver([]), PLAIN, Attempts())
    made = [task(3), task(1), task(4, name="other")]
    reward, report, remarks = own_questions(None, made, examiner, OUTER)
    assert [of_task.id for of_task in reward] == ["flip", "other"] and report == remarks == []
    assert [len(demonstrations(of_task)) for of_task in reward] == [2, 3]


# The loop


class Solver:
    """Writes plans from a list, in turn; answers every test grid as it is, or rightly once a plan was learned."""

    def __init__(self, plans, learns=True):
        self.plans, self.learns, self.jobs = plans, learns, []

    def sample(self, requests):
        return [self._sample(request) for request in requests]

    def _sample(self, request):
        if request.prompt.endswith("P"):
            return self.plans.pop(0)
        lines = request.prompt.rpartition("I")[2].removesuffix("O").strip().split("\n")
        return "\n".join(lines[::-1] if request.update != BASE else lines)

    def train(self, jobs):
        self.jobs += jobs
        return [Update(f"u{number}", "base", 1) for number, _ in enumerate(jobs)]

    def likelihood(self, readings):
        return [Likelihood(-1.0 if reading.update == BASE else -0.5, 1) for reading in readings]

    def release(self, updates):
        pass


SETTINGS = OuterConfig(rounds=1, tasks_per_round=1, edits_per_task=6, repeats=1)
OUTER = Outer(SETTINGS, reward=solved, credit=rest_em, seed=0)


def test_no_plan_and_no_answer_can_crash_a_round():
    plans = [plan("size"), "", '{"training": NaN}', plan("basic", epochs=9), "[" * 10_000, plan().replace("1", '"1"')]
    engine = Solver(list(plans))
    trials = try_batch("round-0", [task(3, tests=2)], BASE, Examiner(engine, PLAIN, Attempts()), OUTER)
    assert [trial.edit.text for trial in trials] == plans
    assert [trial.reward for trial in trials] == [1.0] + [FLOOR] * 5
    assert {trial.failure.blame for trial in trials[1:]} == {"policy"}
    (job,) = engine.jobs
    assert (job.recipe.learning_rate, len(job.examples)) == (1e-3, 72)
    assert trials[0].before.value == 0.0 and trials[0].after.value == 1.0


def test_the_likelihood_of_the_held_out_demonstration_is_a_reward():
    (own,) = PLAIN.own_exams([task(4)])
    examiner = Examiner(
        Solver([plan()]), PLAIN, Attempts(), measurements={"likelihood": MEASUREMENTS["likelihood"]([own])}
    )
    one_edit = replace(OUTER, settings=SETTINGS.model_copy(update={"edits_per_task": 1}))
    (trial,) = try_batch("round-0", [own], BASE, examiner, one_edit)
    assert [of.measurements["likelihood"] for of in (trial.before, trial.after)] == [(-1.0,), (-0.5,)]


def test_a_view_that_the_system_failed_is_no_wrong_answer():
    engine = Solver([plan()])
    answer = engine.sample
    engine.sample = lambda requests: [*answer(requests)[:-1], Failure("system", "out of memory")]
    engine.plans.append(plan())
    examiner = Examiner(engine, PLAIN, Attempts())
    (of_task,) = score(examiner, [Exam(BASE, task(3))])
    assert of_task.value is None


# The config


def test_the_config_makes_the_domain():
    domain = make_domain(make_config("fake", ["domain.name=arc", "domain.format=seal", "seed=5", "inner.rank=4"]))
    assert (domain.seed, domain.recipe.rank, domain.recipe.batch_size, domain.options.format) == (5, 4, 2, "seal")


# Candidates


class Sure:
    """Says the wrong grid in every view but the last, and finds the right one likelier."""

    def __init__(self, wrong, right):
        self.wrong, self.right = wrong, right

    def sample(self, requests):
        return [self.wrong[place % len(self.wrong)] for place in range(len(requests) - 1)] + [self.right[-1]]

    def search(self, requests, min_probability):
        return [[text] for text in self.sample(requests)]

    def likelihood(self, readings):
        return [Likelihood(-0.1 if reading.target in self.right else -1.0, 1) for reading in readings]


@pytest.mark.parametrize("min_probability", [0.0, 0.09])
def test_the_answer_most_probable_in_all_views_is_the_first_attempt_whatever_the_votes_say(min_probability):
    made = task(3)
    question = made.questions[0]
    wrong = replace(question, target="[[0, 0], [0, 1]]")
    engine = Sure(PLAIN.targets(made, wrong), PLAIN.targets(made, question))
    voting, rescoring = (
        replace(PLAIN, options=ArcOptions(min_probability=min_probability, rescoring=on)) for on in (False, True)
    )
    examiners = [Examiner(engine, domain, Attempts()) for domain in (voting, rescoring)]
    first = [json.loads(score(examiner, [Exam(BASE, made)])[0].answers[0])[0] for examiner in examiners]
    assert first == [json.loads(wrong.target), json.loads(question.target)]


class Nats:
    """Weighs a long candidate's many tokens: more probable per token than a short one, but less probable in all."""

    def __init__(self, short, long):
        self.short, self.long = short, long

    def sample(self, requests):
        return [(self.short, self.long)[place % 2][place] for place in range(len(requests))]

    def likelihood(self, readings):
        return [Likelihood(-1.0, 2) if reading.target in self.short else Likelihood(-2.0, 20) for reading in readings]


def test_candidates_are_compared_by_the_probability_of_the_whole_and_not_per_token():
    made = task(3)
    question = made.questions[0]
    long = replace(question, target="[[0, 0, 0, 0], [0, 0, 0, 1]]")
    domain = replace(PLAIN, options=ArcOptions(rescoring=True))
    engine = Nats(PLAIN.targets(made, question), PLAIN.targets(made, long))
    (of_task,) = score(Examiner(engine, domain, Attempts()), [Exam(BASE, made)])
    assert json.loads(of_task.answers[0]) == [json.loads(question.target), json.loads(long.target)]
