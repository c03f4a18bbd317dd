"""The inner loop: edits in, settled trials out. Each stage fills one field of Trial."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from selfedit.protocols import Domain, Engine, Grader, Reward
from selfedit.reward import FLOOR
from selfedit.types import BASE, Failure, Job, Question, Reading, Request, Score, Task, Trial, Update


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from the config's seed and what it is for: never from the clock."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


CONTROLS = 4
"""Control texts per exam: their mean over four passages of some fifty tokens each moves little by chance."""


@dataclass(frozen=True)
class Examiner:
    """Asks an update its tasks' questions without the context, and grades the answers.

    With `likelihood` it also measures how likely the right answers are. `control` are other tasks, whose passages' own
    likelihood shows what an update made the model forget; `earlier` are tasks that it learned before, and is asked too.
    """

    engine: Engine
    domain: Domain
    grader: Grader
    max_new_tokens: int = 64
    likelihood: bool = False
    control: tuple[Task, ...] = ()
    earlier: tuple[Task, ...] = ()
    _right: dict[Question, str] = field(default_factory=dict, compare=False, repr=False)

    def score(self, exams: Sequence[tuple[Update, Task]], open_book: bool = False) -> list[Score]:
        """One Score per (update, task), all questions answered in one batch at temperature 0 (spec 1.3)."""
        asked = [(update, task, question) for update, task in exams for question in task.questions]
        answers = self._answers(asked, open_book)
        grades = self.grades([question for _, _, question in asked], answers)
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

    def _answers(self, asked: Sequence[tuple[Update, Task, Question]], open_book: bool) -> list[str | Failure]:
        ask = self.domain.open_book if open_book else self.domain.exam
        return self.engine.sample(
            [Request(update, ask(task, q), max_new_tokens=self.max_new_tokens) for update, task, q in asked]
        )

    def grades(self, questions: Sequence[Question], answers: Sequence[str | Failure]) -> list[float | Failure]:
        """Grades of the answers; an answer that failed is its own grade."""
        asked = zip(questions, answers, strict=True)
        pairs = {index: (q, answer) for index, (q, answer) in enumerate(asked) if not isinstance(answer, Failure)}
        grades = dict(zip(pairs, self.grader.grade(list(pairs.values())), strict=True))
        return [answer if isinstance(answer, Failure) else grades[index] for index, answer in enumerate(answers)]

    def _likelihoods(self, asked: Sequence[tuple[Update, Task, Question]]) -> list[float | Failure]:
        """Of the right answers, said as the model says them with the passage before it.

        A gold answer may be a mere name where the model answers in sentences, or the other way round. So the base
        model's own open-book answer stands for it, unless that is wrong.
        """
        new = {question: task for _, task, question in asked if question not in self._right}
        answers = self._answers([(BASE, task, question) for question, task in new.items()], open_book=True)
        for question, answer, grade in zip(new, answers, self.grades(list(new), answers), strict=True):
            self._right[question] = answer if isinstance(answer, str) and _is_right(grade) else question.target
        return self.engine.likelihood(
            [Reading(update, self.domain.exam(task, q), " " + self._right[q]) for update, task, q in asked]
        )

    def _control(self, exams: Sequence[tuple[Update, Task]]) -> list[tuple[float | Failure, ...]]:
        others = [[other for other in self.control if other.id != task.id][:CONTROLS] for _, task in exams]
        readings = [
            Reading(update, "", other.context)
            for (update, _), of_exam in zip(exams, others, strict=True)
            for other in of_exam
        ]
        values = iter(self.engine.likelihood(readings))
        return [tuple(islice(values, len(of_exam))) for of_exam in others]


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


def _job(trials: Sequence[Trial], parent: Update, seed: int) -> Job:
    return Job(parent, tuple(row for trial in trials for row in trial.edit.examples), trials[0].edit.recipe, seed)


def _fill(trial: Trial, outcome: Update | Failure, sharing: int) -> Trial:
    if isinstance(outcome, Failure):
        return replace(trial, failure=outcome)
    return replace(trial, update=replace(outcome, tokens=outcome.tokens // sharing))


def examine(trials: Sequence[Trial], tasks: Mapping[str, Task], parent: Update, examiner: Examiner) -> list[Trial]:
    """Update -> Score, before and after. The parent sits each exam once, not once per trial."""
    live = [(trial.update, tasks[trial.edit.task_id]) for trial in trials if trial.update]
    seen = {task.id: task for _, task in live}
    scores = iter(examiner.score([(parent, task) for task in seen.values()] + live))
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
