"""The inner loop: edits in, settled trials out. Each stage fills one field of Trial."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import fmean
from typing import TypeVar

from selfedit.errors import EngineError
from selfedit.protocols import Domain, Engine, Grader, Rescoring, Reward, Trainer
from selfedit.rewards.measured import FLOOR
from selfedit.types import (
    BASE,
    Failure,
    Job,
    LikelihoodRequest,
    Question,
    Request,
    Score,
    SelfEdit,
    Task,
    Trial,
    Update,
)

Item = TypeVar("Item")
Value = TypeVar("Value")


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from the config's seed and what it is for: never from the clock."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


CONTROLS = 4
"""Control texts per exam: their mean over four passages of some fifty tokens each moves little by chance."""


@dataclass(frozen=True, slots=True)
class QuestionRequest:
    """One question to one update. `edit` is what the update learned, where the domain may ask by it."""

    update: Update
    task: Task
    question: Question
    edit: SelfEdit | None = None


@dataclass(frozen=True)
class Examiner:
    """Asks an update its tasks' questions without the context, and grades the answers.

    With `likelihood` it also measures how likely the right answers are. `control` are other tasks, whose passages' own
    likelihood shows what an update made the model forget; `earlier` are tasks that it learned before, and is asked too.

    With `search` every text of at least that probability is an answer, not only the likeliest. With `weighing` the
    answers to all views are candidates, and the most probable of them over all views count (arXiv 2505.07859).
    """

    engine: Engine
    domain: Domain
    grader: Grader
    max_new_tokens: int = 64
    likelihood: bool = False
    control: tuple[Task, ...] = ()
    earlier: tuple[Task, ...] = ()
    search: float = 0.0
    weighing: Rescoring | None = None
    _right: dict[Question, str] = field(default_factory=dict, compare=False, repr=False)

    def score(
        self,
        exams: Sequence[tuple[Update, Task]],
        open_book: bool = False,
        edits: Sequence[SelfEdit | None] = (),
    ) -> list[Score]:
        """One Score per (update, task), all questions in all views answered in one batch at temperature 0 (spec 1.3).

        `edits`: what each update learned, one per exam, for domains where an edit chooses how it is examined.
        """
        learned = zip(exams, edits or [None] * len(exams), strict=True)
        asked = [
            QuestionRequest(update, task, question, edit)
            for (update, task), edit in learned
            for question in task.questions
        ]
        answers = self._answers(asked, open_book)
        grades = self.grades([of.question for of in asked], answers)
        likelihoods = self._likelihoods(asked) if self.likelihood and not open_book else []
        control = self._control(exams) if self.control and not open_book else []
        earlier = self._earlier(exams) if self.earlier and not open_book else []
        rows, values = iter(zip(answers, grades, strict=True)), iter(likelihoods)
        controls, kept = iter(control), iter(earlier)
        return [
            _score([next(rows) for _ in q], tuple(islice(values, len(q))), next(controls, ()), next(kept, ()))
            for q in (task.questions for _, task in exams)
        ]

    def _earlier(self, exams: Sequence[tuple[Update, Task]]) -> list[tuple[float | Failure, ...]]:
        updates = list(dict.fromkeys(update for update, _ in exams))
        plain = replace(self, likelihood=False, control=(), earlier=())
        scores = iter(plain.score([(update, task) for update in updates for task in self.earlier]))
        kept = {update: tuple(g for _ in self.earlier for g in next(scores).grades) for update in updates}
        return [kept[update] for update, _ in exams]

    def _answers(self, asked: Sequence[QuestionRequest], open_book: bool) -> list[str | Failure]:
        domain = self.domain
        views = [
            domain.open_book(of.task, of.question) if open_book else domain.exam(of.task, of.question, of.edit)
            for of in asked
        ]
        requests = [
            [Request(of.update, prompt, max_new_tokens=self.max_new_tokens) for prompt in prompts]
            for of, prompts in zip(asked, views, strict=True)
        ]
        texts = [_whole(of_views) for of_views in _grouped(requests, self._say)]
        if self.weighing:
            return self._weighed(self.weighing, asked, views, texts)
        return [
            said if isinstance(said, Failure) else domain.answer(of.task, of.question, said)
            for of, said in zip(asked, texts, strict=True)
        ]

    def _say(self, requests: Sequence[Request]) -> list[list[str] | Failure]:
        if self.search:
            return self.engine.search(requests, self.search)
        return [text if isinstance(text, Failure) else [text] for text in self.engine.sample(requests)]

    def _weighed(
        self,
        weighing: Rescoring,
        asked: Sequence[QuestionRequest],
        views: Sequence[Sequence[str]],
        texts: Sequence[list[list[str]] | Failure],
    ) -> list[str | Failure]:
        """The answers made of the candidates, the most probable first."""
        found = [
            [] if isinstance(said, Failure) else weighing.candidates(of.task, of.question, said)
            for of, said in zip(asked, texts, strict=True)
        ]
        readings = [
            _in_views(of.update, prompts, self._targets(of, candidate))
            for of, prompts, of_question in zip(asked, views, found, strict=True)
            for candidate in of_question
        ]
        read = iter(zip(readings, _grouped(readings, self.engine.likelihood), strict=True))
        weights = [[_log_probability(*next(read)) for _ in of_question] for of_question in found]
        return [
            said if isinstance(said, Failure) else _best_first(weighing, candidates, of_question)
            for said, candidates, of_question in zip(texts, found, weights, strict=True)
        ]

    def _targets(self, of: QuestionRequest, answer: str) -> list[str]:
        """An answer as it follows every view of its question."""
        return self.domain.targets(of.task, replace(of.question, target=answer), of.edit)

    def grades(self, questions: Sequence[Question], answers: Sequence[str | Failure]) -> list[float | Failure]:
        """Grades of the answers; an answer that failed is its own grade."""
        asked = zip(questions, answers, strict=True)
        pairs = {index: (q, answer) for index, (q, answer) in enumerate(asked) if not isinstance(answer, Failure)}
        grades = dict(zip(pairs, self.grader.grade(list(pairs.values())), strict=True))
        return [answer if isinstance(answer, Failure) else grades[index] for index, answer in enumerate(answers)]

    def _likelihoods(self, asked: Sequence[QuestionRequest]) -> list[float | Failure]:
        """Of the right answers, the mean over a question's views."""
        targets = [self.domain.targets(of.task, of.question, of.edit) for of in asked]
        self._hear([of for of, fixed in zip(asked, targets, strict=True) if not fixed])
        readings = [
            _in_views(
                of.update, self.domain.exam(of.task, of.question, of.edit), fixed or [" " + self._right[of.question]]
            )
            for of, fixed in zip(asked, targets, strict=True)
        ]
        return [_mean(values) for values in _grouped(readings, self.engine.likelihood)]

    def _hear(self, asked: Sequence[QuestionRequest]) -> None:
        """How the model says the right answers with the passage before it.

        A gold answer may be a mere name where the model answers in sentences, or the other way round. So the base
        model's own open-book answer stands for it, unless that is wrong.
        """
        new = {
            of.question: QuestionRequest(BASE, of.task, of.question) for of in asked if of.question not in self._right
        }
        answers = self._answers(list(new.values()), open_book=True)
        for question, answer, grade in zip(new, answers, self.grades(list(new), answers), strict=True):
            self._right[question] = answer if isinstance(answer, str) and _is_right(grade) else question.target

    def _control(self, exams: Sequence[tuple[Update, Task]]) -> list[tuple[float | Failure, ...]]:
        others = [[other for other in self.control if other.id != task.id][:CONTROLS] for _, task in exams]
        readings = [
            LikelihoodRequest(update, "", other.context)
            for (update, _), of_exam in zip(exams, others, strict=True)
            for other in of_exam
        ]
        values = iter(self.engine.likelihood(readings))
        return [tuple(islice(values, len(of_exam))) for of_exam in others]


def _grouped(groups: Sequence[Sequence[Item]], do: Callable[[Sequence[Item]], Sequence[Value]]) -> list[list[Value]]:
    """What is done to all items in one batch, in the groups in which they came."""
    items = [item for group in groups for item in group]
    values = iter([value for _, value in zip(items, do(items), strict=True)])
    return [list(islice(values, len(group))) for group in groups]


def _in_views(update: Update, prompts: Sequence[str], targets: Sequence[str]) -> list[LikelihoodRequest]:
    """One answer after every prompt of its question."""
    return [LikelihoodRequest(update, prompt, target) for prompt, target in zip(prompts, targets, strict=True)]


def _whole(texts: Sequence[list[str] | Failure]) -> list[list[str]] | Failure:
    """A question is answered only if it was answered in every view."""
    failed = [text for text in texts if isinstance(text, Failure)]
    return failed[0] if failed else [text for text in texts if not isinstance(text, Failure)]


def _log_probability(readings: Sequence[LikelihoodRequest], values: Sequence[float | Failure]) -> float | Failure:
    """Of one answer in all views together. Likelihoods are per token; characters stand for the number of tokens."""
    failed = [value for value in values if isinstance(value, Failure)]
    weighed = [len(r.target) * v for r, v in zip(readings, values, strict=True) if not isinstance(v, Failure)]
    return failed[0] if failed else sum(weighed)


def _best_first(weighing: Rescoring, candidates: Sequence[str], weights: Sequence[float | Failure]) -> str | Failure:
    failed = [weight for weight in weights if isinstance(weight, Failure)]
    if failed:
        return failed[0]
    ranked = sorted(zip(candidates, weights, strict=True), key=lambda pair: -pair[1])  # type: ignore[operator]
    return weighing.attempts([candidate for candidate, _ in ranked])


def _mean(values: Sequence[float | Failure]) -> float | Failure:
    measured = [value for value in values if not isinstance(value, Failure)]
    failed = [value for value in values if isinstance(value, Failure)]
    return failed[0] if failed else fmean(measured)


def _is_right(grade: float | Failure) -> bool:
    return not isinstance(grade, Failure) and grade > 0.5


def _score(
    rows: Sequence[tuple[str | Failure, float | Failure]],
    likelihoods: tuple[float | Failure, ...],
    control: tuple[float | Failure, ...],
    earlier: tuple[float | Failure, ...],
) -> Score:
    return Score(tuple(answer for answer, _ in rows), tuple(grade for _, grade in rows), likelihoods, control, earlier)


def run_inner(
    trials: Sequence[Trial],
    tasks: Mapping[str, Task],
    parent: Update,
    examiner: Examiner,
    reward: Reward,
    seeds: Sequence[int],
    together: int = 1,
) -> list[Trial]:
    """Train an adapter per trial from `parent`, examine parent and adapters, and reward. `seeds`: one per trial.

    With `together` > 1 that many trials, one after another, share an adapter (continued pretraining).
    """
    tried = adapt(trials, parent, examiner.engine, seeds, together)
    examined = examine(tried, tasks, parent, examiner)
    examiner.engine.release([trial.update for trial in examined if trial.update])
    return [settle(trial, reward) for trial in examined]


def adapt(
    trials: Sequence[Trial], parent: Update, engine: Engine, seeds: Sequence[int], together: int = 1
) -> list[Trial]:
    """SelfEdit -> Update, all trained from the same parent. Trials that failed are left as they are.

    An adapter that several share is trained with the first one's recipe and seed; each has its part of the tokens.
    """
    live = [index for index, trial in enumerate(trials) if trial.failure is None]
    groups = [live[start : start + together] for start in range(0, len(live), together)]
    outcomes = engine.train([_job([trials[i] for i in group], parent, seeds[group[0]]) for group in groups])
    filled = {
        index: _fill(trials[index], outcome, len(group))
        for group, outcome in zip(groups, outcomes, strict=True)
        for index in group
    }
    return [filled.get(index, trial) for index, trial in enumerate(trials)]


def train_one(trainer: Trainer, job: Job, failed: str) -> Update:
    """The update of a job that nothing goes on without. Raises EngineError, `failed` and why."""
    (outcome,) = trainer.train([job])
    if isinstance(outcome, Failure):
        raise EngineError(f"{failed}: {outcome.message}")
    return outcome


def _job(trials: Sequence[Trial], parent: Update, seed: int) -> Job:
    return Job(parent, tuple(row for trial in trials for row in trial.edit.examples), trials[0].edit.recipe, seed)


def _fill(trial: Trial, outcome: Update | Failure, sharing: int) -> Trial:
    if isinstance(outcome, Failure):
        return replace(trial, failure=outcome)
    return replace(trial, update=replace(outcome, tokens=outcome.tokens // sharing))


def examine(trials: Sequence[Trial], tasks: Mapping[str, Task], parent: Update, examiner: Examiner) -> list[Trial]:
    """Update -> Score, before and after. The parent sits each exam once, not once per trial."""
    live = [(trial.update, tasks[trial.edit.task_id]) for trial in trials if trial.update]
    edits = [trial.edit for trial in trials if trial.update]
    seen = {task.id: task for _, task in live}
    exams = [(parent, task) for task in seen.values()] + live
    scores = iter(examiner.score(exams, edits=[*[None] * len(seen), *edits]))
    before = {task_id: next(scores) for task_id in seen}
    return [
        replace(trial, before=before[trial.edit.task_id], after=next(scores)) if trial.update else trial
        for trial in trials
    ]


def settle(trial: Trial, reward: Reward) -> Trial:
    """Score -> reward. A system failure has no reward: it must not look like a bad edit."""
    if trial.failure:
        return replace(trial, reward=FLOOR) if trial.failure.blame == "policy" else trial
    if not (trial.before and trial.after and trial.before.whole and trial.after.whole):
        return replace(trial, failure=Failure("system", "a question was not answered or not graded"))
    return replace(trial, reward=reward(trial))
