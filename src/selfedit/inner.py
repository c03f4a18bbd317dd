"""The inner loop: edits in, settled trials out. Each stage fills one field of Trial."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from selfedit.protocols import Domain, Engine, Grader, Reward
from selfedit.reward import FLOOR
from selfedit.types import Failure, Job, Question, Request, Score, Task, Trial, Update


def derive_seed(*parts: object) -> int:
    """A 63-bit seed from the config's seed and what it is for: never from the clock."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:8]) >> 1


@dataclass(frozen=True, slots=True)
class Examiner:
    """Asks an update its tasks' questions without the context, and grades the answers."""

    engine: Engine
    domain: Domain
    grader: Grader
    max_new_tokens: int = 64

    def score(self, exams: Sequence[tuple[Update, Task]], open_book: bool = False) -> list[Score]:
        """One Score per (update, task), all questions answered in one batch at temperature 0 (spec 1.3)."""
        ask = self.domain.open_book if open_book else self.domain.exam
        asked = [(update, task, question) for update, task in exams for question in task.questions]
        requests = [Request(update, ask(task, q), max_new_tokens=self.max_new_tokens) for update, task, q in asked]
        answers = self.engine.sample(requests)
        rows = iter(zip(answers, self._grades([question for _, _, question in asked], answers), strict=True))
        return [_score([next(rows) for _ in task.questions]) for _, task in exams]

    def _grades(self, questions: Sequence[Question], answers: Sequence[str | Failure]) -> list[float | Failure]:
        asked = zip(questions, answers, strict=True)
        pairs = {index: (q, answer) for index, (q, answer) in enumerate(asked) if not isinstance(answer, Failure)}
        grades = dict(zip(pairs, self.grader.grade(list(pairs.values())), strict=True))
        return [answer if isinstance(answer, Failure) else grades[index] for index, answer in enumerate(answers)]


def _score(rows: Sequence[tuple[str | Failure, float | Failure]]) -> Score:
    return Score(tuple(answer for answer, _ in rows), tuple(grade for _, grade in rows))


def run_inner(
    trials: Sequence[Trial],
    tasks: Mapping[str, Task],
    parent: Update,
    examiner: Examiner,
    reward: Reward,
    seeds: Sequence[int],
) -> list[Trial]:
    """Train an adapter per trial from `parent`, examine parent and adapters, and reward. `seeds`: one per trial."""
    tried = adapt(trials, parent, examiner.engine, seeds)
    examined = examine(tried, tasks, parent, examiner)
    examiner.engine.release([trial.update for trial in examined if trial.update])
    return [settle(trial, reward) for trial in examined]


def adapt(trials: Sequence[Trial], parent: Update, engine: Engine, seeds: Sequence[int]) -> list[Trial]:
    """SelfEdit -> Update. One adapter per live trial, all trained from the same parent."""
    jobs = {
        index: Job(parent, trial.edit.examples, trial.edit.recipe, seed)
        for index, (trial, seed) in enumerate(zip(trials, seeds, strict=True))
        if trial.failure is None
    }
    outcomes = dict(zip(jobs, engine.train(list(jobs.values())), strict=True))
    return [trial if trial.failure else _fill(trial, outcomes[index]) for index, trial in enumerate(trials)]


def _fill(trial: Trial, outcome: Update | Failure) -> Trial:
    return replace(trial, failure=outcome) if isinstance(outcome, Failure) else replace(trial, update=outcome)


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
    scores = (trial.before, trial.after)
    if any(score is None or score.value is None for score in scores):
        return replace(trial, failure=Failure("system", "a question was not answered or not graded"))
    return replace(trial, reward=reward(trial))
