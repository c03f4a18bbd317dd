"""Exams: updates are asked their tasks' questions without the context, answers are graded, and more is measured.

    (update, task) -> prompts in all views -> answers -> grades -> Score

What else can be measured is a row of `MEASUREMENTS`; what is measured stands in `Examiner.measurements`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from selfedit.errors import InputError
from selfedit.protocols import Domain, Engine, Grader, Rescoring
from selfedit.statistics import mean_or_failure
from selfedit.types import (
    BASE,
    Failure,
    Likelihood,
    LikelihoodRequest,
    Prompt,
    Question,
    Request,
    Score,
    SelfEdit,
    Task,
    Update,
    Value,
)

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Exam:
    """One task for one update. `edit` is what the update learned, where the domain may ask by it."""

    update: Update
    task: Task
    edit: SelfEdit | None = None


@dataclass(frozen=True, slots=True)
class Examiner:
    """Who is asked, how, and who grades. `measurements` are taken beside the grades, closed book."""

    engine: Engine
    domain: Domain
    grader: Grader
    max_new_tokens: int = 64
    measurements: Mapping[str, Measurement] = field(default_factory=dict)

    @property
    def only_grades(self) -> Examiner:
        return replace(self, measurements={})


@dataclass(frozen=True, slots=True)
class Asked:
    """One question of an exam."""

    exam: Exam
    question: Question

    def prompts(self, domain: Domain, open_book: bool) -> Sequence[Prompt]:
        """One for each augmented view."""
        task, question = self.exam.task, self.question
        return domain.open_book(task, question) if open_book else domain.exam(task, question, self.exam.edit)


def score(examiner: Examiner, exams: Sequence[Exam], open_book: bool = False) -> list[Score]:
    """One Score per exam: all questions in all views are answered in one batch at temperature 0 (docs/seal.md 1.3)."""
    asked = [Asked(exam, question) for exam in exams for question in exam.task.questions]
    answers = answer(examiner, asked, open_book)
    grades = grade(examiner.grader, [of.question for of in asked], answers)
    measured = {
        name: measure(examiner, exams) for name, measure in (examiner.measurements.items() if not open_book else ())
    }
    rows, scores = iter(zip(answers, grades, strict=True)), list[Score]()
    for index, exam in enumerate(exams):
        own = list(islice(rows, len(exam.task.questions)))
        more = {name: values[index] for name, values in measured.items()}
        scores.append(Score(tuple(a for a, _ in own), tuple(g for _, g in own), more))
    return scores


def answer(examiner: Examiner, asked: Sequence[Asked], open_book: bool = False) -> list[str | Failure]:
    """One answer per question. A question is answered only if it was in every view."""
    engine, domain = examiner.engine, examiner.domain
    prompts = [of.prompts(domain, open_book) for of in asked]
    requests = [
        [Request(of.exam.update, prompt, max_new_tokens=examiner.max_new_tokens) for prompt in views]
        for of, views in zip(asked, prompts, strict=True)
    ]

    def likely_texts(flat: Sequence[Request]) -> list[list[str] | Failure]:
        if domain.min_probability:
            return engine.search(flat, domain.min_probability)
        return [text if isinstance(text, Failure) else [text] for text in engine.sample(flat)]

    texts = [_all_or_failure(views) for views in batched(requests, likely_texts)]
    if domain.rescoring:
        return _rescored(examiner, domain.rescoring, asked, prompts, texts)
    return [
        views if isinstance(views, Failure) else domain.answer(of.exam.task, of.question, views)
        for of, views in zip(asked, texts, strict=True)
    ]


def _rescored(
    examiner: Examiner,
    rescoring: Rescoring,
    asked: Sequence[Asked],
    prompts: Sequence[Sequence[Prompt]],
    texts: Sequence[list[list[str]] | Failure],
) -> list[str | Failure]:
    """Answers made of all candidates that came back, the most probable over all views together first."""
    candidates = [
        [] if isinstance(views, Failure) else rescoring.candidates(of.exam.task, of.question, views)
        for of, views in zip(asked, texts, strict=True)
    ]
    requests = []
    for of, views, of_question in zip(asked, prompts, candidates, strict=True):
        for candidate in of_question:
            question, exam = replace(of.question, target=candidate), of.exam
            targets = examiner.domain.targets(exam.task, question, exam.edit)
            requests.append([LikelihoodRequest(exam.update, p, t) for p, t in zip(views, targets, strict=True)])
    found = iter(batched(requests, examiner.engine.likelihood))
    answers = list[str | Failure]()
    for said, of_question in zip(texts, candidates, strict=True):
        log_probs = [_all_or_failure(list(next(found))) for _ in of_question]
        failed = [likelihoods for likelihoods in (said, *log_probs) if isinstance(likelihoods, Failure)]
        if failed:
            answers.append(failed[0])
            continue
        nats = [sum(one.nats for one in of_views) for of_views in log_probs if not isinstance(of_views, Failure)]
        ranked = sorted(zip(of_question, nats, strict=True), key=lambda pair: -pair[1])
        answers.append(rescoring.attempts([candidate for candidate, _ in ranked]))
    return answers


def grade(grader: Grader, questions: Sequence[Question], answers: Sequence[str | Failure]) -> list[Value]:
    """Grades of the answers; an answer that failed is its own grade. Raises InputError for a grade outside 0 to 1."""
    asked = zip(questions, answers, strict=True)
    pairs = {index: (q, answer) for index, (q, answer) in enumerate(asked) if not isinstance(answer, Failure)}
    grades = dict(zip(pairs, grader.grade(list(pairs.values())), strict=True))
    for value in grades.values():
        if not isinstance(value, Failure) and not 0 <= value <= 1:
            raise InputError(f"the grader gave {value}, and a grade lies between 0 and 1; correct the grader")
    return [answer if isinstance(answer, Failure) else grades[index] for index, answer in enumerate(answers)]


def _all_or_failure(items: Sequence[ItemT | Failure]) -> list[ItemT] | Failure:
    failed = [item for item in items if isinstance(item, Failure)]
    return failed[0] if failed else [item for item in items if not isinstance(item, Failure)]


def batched(
    groups: Sequence[Sequence[ItemT]], do: Callable[[Sequence[ItemT]], Sequence[ResultT]]
) -> list[list[ResultT]]:
    """What is done to all items in one batch, in the groups in which they came."""
    items = [item for group in groups for item in group]
    results = iter([result for _, result in zip(items, do(items), strict=True)])
    return [list(islice(results, len(group))) for group in groups]


# Measurements


Measurement = Callable[[Examiner, Sequence[Exam]], list[tuple[Value, ...]]]
"""What is measured of each exam's update, beside the grades: one tuple per exam."""


class AnswerLikelihood:
    """The log-probability per token (nats) of each right answer, the mean over a question's views.

    A gold answer may be a mere name where the model answers in sentences, or the other way round. Where the domain does
    not say how answers are put, the base model's own answer with the passage before it stands for the gold one, unless
    that is wrong. It is asked for once a question, and kept.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._as_said: dict[tuple[str, Question], str] = {}

    def __call__(self, examiner: Examiner, exams: Sequence[Exam]) -> list[tuple[Value, ...]]:
        domain = examiner.domain
        asked = [Asked(exam, question) for exam in exams for question in exam.task.questions]
        targets = [domain.targets(of.exam.task, of.question, of.exam.edit) for of in asked]
        self._listen(examiner, [of for of, fixed in zip(asked, targets, strict=True) if not fixed])
        requests = [
            [
                LikelihoodRequest(of.exam.update, prompt, target)
                for prompt, target in zip(
                    of.prompts(domain, open_book=False), fixed or [f" {self._as_said[_key(of)]}"], strict=True
                )
            ]
            for of, fixed in zip(asked, targets, strict=True)
        ]
        found = batched(requests, examiner.engine.likelihood)
        values = iter([mean_or_failure([per_token(one) for one in views]) for views in found])
        return [tuple(islice(values, len(exam.task.questions))) for exam in exams]

    def _listen(self, examiner: Examiner, asked: Sequence[Asked]) -> None:
        new = {_key(of): Asked(Exam(BASE, of.exam.task), of.question) for of in asked if _key(of) not in self._as_said}
        answers = answer(examiner, list(new.values()), open_book=True)
        grades = grade(examiner.grader, [of.question for of in new.values()], answers)
        for (key, of), said, graded in zip(new.items(), answers, grades, strict=True):
            is_right = isinstance(said, str) and not isinstance(graded, Failure) and graded > 0.5
            self._as_said[key] = str(said) if is_right else of.question.target


def _key(asked: Asked) -> tuple[str, Question]:
    return asked.exam.task.context, asked.question


class ControlLikelihood:
    """The log-probability per token (nats) of four passages of other tasks: what it falls by was forgotten."""

    TEXTS = 4
    """Their mean over four passages of some fifty tokens each moves little by chance."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks[: self.TEXTS + 1]

    def __call__(self, examiner: Examiner, exams: Sequence[Exam]) -> list[tuple[Value, ...]]:
        others = [[task for task in self.tasks if task.id != exam.task.id][: self.TEXTS] for exam in exams]
        requests = [
            [LikelihoodRequest(exam.update, "", task.context) for task in own]
            for exam, own in zip(exams, others, strict=True)
        ]
        return [tuple(map(per_token, found)) for found in batched(requests, examiner.engine.likelihood)]


class Retention:
    """The grades on tasks that were learned before."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self.tasks = tasks

    def __call__(self, examiner: Examiner, exams: Sequence[Exam]) -> list[tuple[Value, ...]]:
        updates = list(dict.fromkeys(exam.update for exam in exams))
        again = [Exam(update, task) for update in updates for task in self.tasks]
        scores = iter(score(examiner.only_grades, again))
        kept = {update: tuple(g for _ in self.tasks for g in next(scores).grades) for update in updates}
        return [kept[exam.update] for exam in exams]


def per_token(found: Likelihood | Failure) -> Value:
    return found if isinstance(found, Failure) else found.per_token


MEASUREMENTS: dict[str, Callable[[Sequence[Task]], Measurement]] = {
    "likelihood": AnswerLikelihood,
    "control": ControlLikelihood,
    "retention": Retention,
}
"""By name, made of the tasks that they may look at beside an exam's own. Grades are always taken."""
