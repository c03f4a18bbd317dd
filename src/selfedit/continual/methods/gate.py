"""STABLE's gate (arXiv 2510.16089): an update that costs too much of what was learned before is shrunk, or rejected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from selfedit.continual.methods.memory import current
from selfedit.continual.methods.sequential import Sequential
from selfedit.errors import EngineError
from selfedit.loops.inner import Examiner, derive_seed
from selfedit.types import Failure, LikelihoodRequest, PendingStep, Question, Request, StreamStep, Task, Update

HALVINGS, LEAST = 5, 0.1
"""Steps of the bisection, and the smallest scale that is worth keeping: STABLE's values."""

WATCHED = 8
"""Earlier documents whose questions are asked again, evenly spread over the stream: a cost that does not grow."""

Level = Callable[[Sequence[Update]], list[float]]
"""The models of some streams -> how well each still does on what is watched; higher is better."""


@dataclass(frozen=True)
class Gate(Sequential):
    """Lets an update through whole if the `measure` drops by at most `most` from the model before it, or shrunk to the
    largest scale of which that is true.

    It looks at questions that the model wrote itself about earlier documents. The measures: `accuracy`, a share of
    them; `bits`, of their answers, per token; `kl`, of the model before from the candidate on answers sampled from the
    model before, in bits per token.
    """

    examiner: Examiner
    measure: str
    most: float
    seed: int

    @property
    def asks(self) -> bool:
        return True

    def settle(self, turns: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        """All streams are bisected together, so that their candidates are examined in one batch."""
        tried = {i: _Bisection(update) for i, update in enumerate(outcomes) if isinstance(update, Update)}
        watched = {i: _watched(turns[i]) for i in tried}
        tried = {i: bisection for i, bisection in tried.items() if any(step.questions for step in watched[i])}
        level = MEASURES[self.measure](self, [turns[i] for i in tried], [watched[i] for i in tried])
        before = level([turns[i].now for i in tried]) if tried else []
        for _ in range(1 + HALVINGS if tried else 0):
            after = level([bisection.candidate(self.examiner) for bisection in tried.values()])
            for bisection, was, now in zip(tried.values(), before, after, strict=True):
                bisection.judge(was - now <= self.most, self.examiner)
        return [tried[i].result(self) if i in tried else outcome for i, outcome in enumerate(outcomes)]

    def graded(self, turns: Sequence[PendingStep], watched: Sequence[Sequence[StreamStep]]) -> Level:
        """The share of the questions that is answered right."""

        def level(updates: Sequence[Update]) -> list[float]:
            exams = [
                (update, replace(step.task, questions=step.questions))
                for update, steps in zip(updates, watched, strict=True)
                for step in steps
            ]
            scores = iter(self.examiner.score(exams))
            return [_mean([grade for _ in steps for grade in next(scores).grades]) for steps in watched]

        return level

    def likely(self, turns: Sequence[PendingStep], watched: Sequence[Sequence[StreamStep]]) -> Level:
        """Bits per token of the answers that the model gave when it could read, with the sign turned."""
        return self._read([[(step.task, q, q.target) for step in s for q in step.questions] for s in watched])

    def alike(self, turns: Sequence[PendingStep], watched: Sequence[Sequence[StreamStep]]) -> Level:
        """Bits per token of what the model before says, sampled, with the sign turned: its drop estimates the KL."""
        asked = [
            (turn.now, step.task, question)
            for turn, steps in zip(turns, watched, strict=True)
            for step in steps
            for question in step.questions
        ]
        texts = iter(self.examiner.engine.sample([self._request(*row) for row in asked]))
        return self._read([[(s.task, q, _text(next(texts))) for s in steps for q in s.questions] for steps in watched])

    def _request(self, update: Update, task: Task, question: Question) -> Request:
        (prompt,) = self.examiner.domain.exam(task, question)
        seed = derive_seed(self.seed, "gate", update.id, prompt)
        return Request(update, prompt, seed, 1.0, 1.0, self.examiner.max_new_tokens)

    def _read(self, answers: Sequence[Sequence[tuple[Task, Question, str]]]) -> Level:
        exam = self.examiner.domain.exam

        def level(updates: Sequence[Update]) -> list[float]:
            readings = [
                LikelihoodRequest(update, prompt, f" {text}")
                for update, own in zip(updates, answers, strict=True)
                for task, question, text in own
                for prompt in exam(task, question)
            ]
            values = iter(self.examiner.engine.likelihood(readings))
            return [_mean([next(values) for _ in own]) / math.log(2) for own in answers]

        return level


MEASURES: dict[str, Callable[[Gate, Sequence[PendingStep], Sequence[Sequence[StreamStep]]], Level]] = {
    "accuracy": Gate.graded,
    "bits": Gate.likely,
    "kl": Gate.alike,
}


class _Bisection:
    """The search for the largest scale at which one update is let through."""

    def __init__(self, update: Update) -> None:
        self.update, self.low, self.high, self.factor = update, 0.0, 1.0, 1.0
        self.tried: Update = update
        self.best: Update | None = None

    def candidate(self, examiner: Examiner) -> Update:
        """What is tried next; once the whole update was let through, that again."""
        self.tried = self.update if self.factor == 1.0 else examiner.engine.scale(self.update, self.factor)
        return self.tried

    def judge(self, is_kept: bool, examiner: Examiner) -> None:
        if is_kept:
            self.best, self.low = self.tried, self.factor
        else:
            self.high = self.factor
            examiner.engine.release([self.tried] if self.tried is not self.update else [])
        self.factor = (self.low + self.high) / 2

    def result(self, gate: Gate) -> Update | Failure:
        if self.best is None or self.low < LEAST:
            return Failure("policy", f"rejected: even a tenth of it costs more than {gate.most:g} in {gate.measure}")
        return self.best


def _watched(turn: PendingStep) -> list[StreamStep]:
    past = [step for step in current(turn.past) if step.questions and step.task.title != turn.step.task.title]
    spread = range(0, len(past), max(1, math.ceil(len(past) / WATCHED)))
    return [past[index] for index in spread]


def _text(answer: str | Failure) -> str:
    return answer if isinstance(answer, str) else ""


def _mean(values: Sequence[float | Failure]) -> float:
    measured = [value for value in values if not isinstance(value, Failure)]
    if len(measured) < len(values):
        raise EngineError("the gate could not measure what an update costs; see the engine's failures")
    return fmean(measured)
