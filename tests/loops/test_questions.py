"""Questions that the model writes itself: sieved, and split so that the report half is news to the reward."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.domains.knowledge import prompts
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.graders.exact import Contains
from selfedit.loops.examine import Examiner
from selfedit.loops.questions import distinct, draft, grounded, halves, self_exams, sieve
from selfedit.types import BASE, Failure, Question, SamplingParams, Task


def examiner(engine):
    return Examiner(engine, Knowledge(), Contains())


def test_a_question_is_kept_once_and_none_that_gives_its_answer_away():
    asked = [Question("When was it?", "1969"), Question("When  was IT?", "1970"), Question("Is it 1969?", "1969")]
    assert distinct(asked) == asked[:1]


def test_what_is_known_without_the_passage_and_what_is_wrong_with_it_are_dropped(engine, tasks):
    known = Question("Which river does Torvik lie on?", "river")  # no gold answer: the fake engine knows nothing of it
    task = replace(tasks[1], questions=(*tasks[1].questions, known))
    (kept,) = sieve([task], BASE, examiner(engine))
    assert kept.questions == tasks[1].questions

    class Knowing(type(engine)):
        def sample(self, requests):
            return ["Selx and lace" for _ in requests]

    (none_left,) = sieve([task], BASE, examiner(Knowing(tasks)))
    assert none_left.questions == ()


def test_what_the_engine_failed_is_dropped(engine, tasks):
    engine.sample = lambda requests: [Failure("system", "503") for _ in requests]
    (kept,) = sieve(tasks[:1], BASE, examiner(engine))
    assert kept.questions == ()
    assert draft(tasks[:1], BASE, examiner(engine), SamplingParams(), seed=0) == [()]


def test_an_answer_that_does_not_stand_in_the_passage_is_no_question_about_it(engine, tasks):
    invented = Question("Which river does Torvik lie on?", "Danube")
    task = replace(tasks[1], questions=(invented, *tasks[1].questions))
    assert grounded(task).questions == tasks[1].questions

    class Sure(type(engine)):
        """Says with the passage what it invented."""

        def sample(self, requests):
            return ["Danube" if tasks[1].context in request.prompt else "" for request in requests]

    (kept,) = sieve([task], BASE, examiner(Sure(tasks)))
    assert kept.questions == ()


@pytest.mark.parametrize(
    ("context", "there", "not_there"),
    [
        ("员工每年有三十天年假。", "三十天", "四十天"),
        ("The fee is 3.5 %.", "3.5 %", "35 %"),
        ("It is a “great” day", "a great day", "a bad day"),
    ],
)
def test_an_answer_stands_in_a_passage_in_any_script(context, there, not_there):
    asked = (Question("?", there), Question("?", not_there))
    assert grounded(Task("a", "A", context, asked)).questions == asked[:1]


def test_how_many_were_invented_is_counted(engine, tasks):
    text = "Question 1: Which river?\nAnswer: Danube\nQuestion 2: Famous for what?\nAnswer: lace\n"

    class Writer(type(engine)):
        def sample(self, requests):
            return [text if request.temperature else "" for request in requests]

    (exam,) = self_exams(tasks[1:2], BASE, examiner(Writer(tasks)), SamplingParams(), seed=1)
    assert (exam.drafted, exam.invented) == (2, 1)


TASK = Task("apollo", "Apollo 11", "It landed.")
QUESTIONS = st.lists(
    st.builds(Question, st.text("abc ", min_size=1, max_size=6), st.sampled_from(["Torvik", "torvik", "1969", "lace"])),
    max_size=12,
    unique=True,
)


@given(QUESTIONS, st.integers(0, 5))
def test_the_halves_share_no_answer_and_lose_nothing(asked, seed):
    task = replace(TASK, questions=tuple(asked))
    first, second = halves(task, seed)
    assert sorted(map(str, first.questions + second.questions)) == sorted(map(str, task.questions))
    answers = [{question.target.lower() for question in half.questions} for half in (first, second)]
    assert not answers[0] & answers[1]
    assert abs(len(answers[0]) - len(answers[1])) <= 1


def test_the_whole_never_looks_at_the_questions_that_were_given(engine, tasks):
    blind = [replace(task, questions=()) for task in tasks]
    given_, without = (self_exams(of, BASE, examiner(engine), SamplingParams(), seed=1) for of in (tasks, blind))
    assert given_ == without
    asked = {request.prompt for request in engine.requests if request.temperature}
    assert asked == {prompts.questions(task) for task in tasks}
