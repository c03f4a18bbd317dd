"""Exams: who is asked what, that no answer goes astray, and what else is measured beside the grades."""

from dataclasses import replace

import pytest

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import InputError
from selfedit.graders.exact import Contains
from selfedit.loops.examine import MEASUREMENTS, Exam, Examiner, score
from selfedit.loops.inner import train_edits
from selfedit.loops.outer import parse_edit
from selfedit.types import BASE, Failure, Likelihood, Question, SelfEdit

USELESS = "There is much to say."
DOWN = Failure("system", "the judge did not answer")


def examiner(engine, grader=None):
    return Examiner(engine, Knowledge(), grader or Contains())


def measuring(examiner, name, tasks=()):
    return replace(examiner, measurements={name: MEASUREMENTS[name](tasks)})


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


# Lost answers and grades


def test_an_engine_that_loses_an_answer_is_an_error_and_no_answer_goes_to_another_question(engine, tasks):
    engine.sample = lambda requests: ["answer"] * (len(requests) - 1)
    with pytest.raises(ValueError, match="shorter"):
        score(examiner(engine), [Exam(BASE, task) for task in tasks])


@pytest.mark.parametrize(("extra", "problem"), [(-1, "shorter"), (1, "longer")])
def test_a_grader_that_returns_too_few_or_too_many_grades_is_an_error(engine, tasks, extra, problem):
    judge = Contains()
    judge.grade = lambda pairs: [1.0] * (len(pairs) + extra)
    with pytest.raises(ValueError, match=problem):
        score(examiner(engine, judge), [Exam(BASE, task) for task in tasks])


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


# Measurements


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


@pytest.mark.parametrize("value", [2.0, -0.5, float("nan")])
def test_a_grade_that_is_no_share_is_refused(engine, tasks, value):
    class Generous:
        def grade(self, pairs):
            return [value] * len(pairs)

    with pytest.raises(InputError, match=r"the grader gave .*, and a grade lies between 0 and 1"):
        score(examiner(engine, Generous()), [Exam(BASE, tasks[0])])


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


def test_the_models_own_answer_is_asked_for_once_a_question_whatever_is_examined_and_how_often(engine, tasks):
    measured = measuring(examiner(engine), "likelihood")
    update = train_edits([parse_edit(tasks[0], 0, USELESS, Knowledge())], BASE, engine, [0])[0].update
    for exams in ([Exam(BASE, tasks[0]), Exam(update, tasks[0])], [Exam(update, tasks[0]), Exam(BASE, tasks[1])]):
        score(measured, exams)
    with_passage = [request for request in engine.requests if "Passage:" in request.prompt]
    expected = [Knowledge().open_book(task, question)[0] for task in tasks[:2] for question in task.questions]
    assert [request.prompt for request in with_passage] == expected
    assert {request.update for request in with_passage} == {BASE}


def test_each_measurement_stands_under_its_name_beside_the_grades(engine, tasks):
    measurements = {name: make(tasks) for name, make in MEASUREMENTS.items()}
    everything = replace(examiner(engine), measurements=measurements)
    (found,) = score(everything, [Exam(BASE, tasks[0])])
    sizes = {name: len(values) for name, values in found.measurements.items()}
    assert sizes == {"likelihood": 2, "control": 3, "retention": 8}  # questions, other tasks, questions of all tasks
    assert score(everything.only_grades, [Exam(BASE, tasks[0])]) == [replace(found, measurements={})]


def test_a_measurement_that_failed_leaves_a_score_incomplete_with_its_value(engine, tasks):
    engine.likelihood = lambda requests: [DOWN, *[Likelihood(-1.0, 1) for _ in requests[1:]]]
    (found,) = score(measuring(examiner(engine), "likelihood"), [Exam(BASE, tasks[0])])
    assert found.measurements["likelihood"] == (DOWN, -1.0)
    assert found.value == 0.0 and not found.is_complete


# Rescoring


class Rescored(Twice):
    """Every different text that came back in a view is a candidate."""

    @property
    def rescoring(self):
        return self

    def candidates(self, task, question, texts):
        return list(dict.fromkeys(text for of_view in texts for text in of_view))

    def attempts(self, ranked):
        return " > ".join(ranked)


SHORT, LONG = "short", "a long one"


class Weighing:
    """Says one candidate in the first view of a question and another in the second, and finds them so likely."""

    def __init__(self, **likelihoods):
        self.likelihoods, self.asked = likelihoods, []

    def sample(self, requests):
        return [SHORT if request.prompt.startswith("First:") else LONG for request in requests]

    def likelihood(self, requests):
        self.asked += [(request.prompt.split()[0], request.target) for request in requests]
        return [self.likelihoods["short" if request.target == SHORT else "long"] for request in requests]


@pytest.mark.parametrize(
    ("short", "long", "first"),
    [
        (Likelihood(-3.0, 1), Likelihood(-5.0, 50), SHORT),  # per token the long one is far likelier
        (Likelihood(-5.0, 50), Likelihood(-3.0, 1), LONG),
        (Likelihood(-4.0, 1), Likelihood(-5.0, 1), SHORT),  # per character the long one is likelier
    ],
)
def test_candidates_are_ranked_by_their_nats_summed_over_tokens_and_views(tasks, short, long, first):
    engine = Weighing(short=short, long=long)
    task = replace(tasks[0], questions=tasks[0].questions[:1])
    (found,) = score(Examiner(engine, Rescored(), Contains()), [Exam(BASE, task)])
    assert found.answers == (f"{first} > {LONG if first == SHORT else SHORT}",)
    assert engine.asked == [(view, target) for target in (SHORT, LONG) for view in ("First:", "Then:")]


def test_a_candidate_that_could_not_be_weighed_fails_its_question(tasks):
    engine = Weighing(short=Likelihood(-1.0, 1), long=DOWN)
    (found,) = score(Examiner(engine, Rescored(), Contains()), [Exam(BASE, tasks[0])])
    assert found.answers == found.grades == (DOWN, DOWN)
