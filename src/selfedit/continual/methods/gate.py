"""STABLE's gate (arXiv 2510.16089): an update that costs too much of what was learned before is shrunk, or rejected."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from selfedit.continual.memory import current
from selfedit.continual.methods.sequential import Sequential
from selfedit.loops.examine import Exam, Examiner, batched, per_token, score
from selfedit.protocols import Adapters
from selfedit.seeds import derive_seed
from selfedit.statistics import required_mean
from selfedit.types import Failure, LikelihoodRequest, PendingStep, Question, Request, StreamStep, Task, Update, Value

HALVINGS, MIN_SCALE = 5, 0.1
"""Steps of the bisection, and the smallest scale that is worth keeping: STABLE's values."""

MAX_DOCUMENTS = 8
"""Earlier documents whose questions are asked again, evenly spread over the stream: a cost that does not grow."""

Measure = Callable[[Sequence[Update]], list[float]]
"""The models of some streams -> how well each still does on what is asked again; higher is better."""

Earlier = Sequence[Sequence[StreamStep]]
"""Of each stream the earlier steps that are asked about."""


@dataclass(frozen=True)
class Gate(Sequential):
    """Lets an update through whole if the `measure` drops by at most `max_drop` from the model before it, or shrunk to
    the largest scale of which that is true.

    It looks at questions that the model wrote itself about earlier documents. The measures: `accuracy`, a share of
    them; `bits`, of their answers, per token; `kl`, of the model before from the candidate on answers sampled from the
    model before, in bits per token.
    """

    examiner: Examiner
    measure: str
    max_drop: float
    seed: int

    @property
    def needs_questions(self) -> bool:
        return True

    def accept(self, pending: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        """All streams are bisected together, so that their candidates are examined in one batch."""
        earlier = {i: _earlier(pending[i]) for i, update in enumerate(outcomes) if isinstance(update, Update)}
        asked = {i: steps for i, steps in earlier.items() if any(step.questions for step in steps)}
        searches = {i: _Bisection(outcomes[i]) for i in asked}  # type: ignore[arg-type]  # no failure is asked about
        if not searches:
            return list(outcomes)
        measure = MEASURES[self.measure](self, [pending[i] for i in asked], list(asked.values()))
        before = measure([pending[i].current for i in asked])
        for _ in range(1 + HALVINGS):
            after = measure([search.candidate(self.examiner.engine) for search in searches.values()])
            for search, was, now in zip(searches.values(), before, after, strict=True):
                search.judge(was - now <= self.max_drop, self.examiner.engine)
        why = f"rejected: even a tenth of it costs more than {self.max_drop:g} in {self.measure}"
        accepted = list(outcomes)
        for i, search in searches.items():
            accepted[i] = search.found or Failure("policy", why)
        return accepted

    def accuracy(self, pending: Sequence[PendingStep], earlier: Earlier) -> Measure:
        """The share of the questions that is answered right."""

        def measure(updates: Sequence[Update]) -> list[float]:
            exams = [
                Exam(update, replace(step.task, questions=step.questions))
                for update, steps in zip(updates, earlier, strict=True)
                for step in steps
            ]
            scores = iter(score(self.examiner.only_grades, exams))
            return [_mean([grade for _ in steps for grade in next(scores).grades]) for steps in earlier]

        return measure

    def bits(self, pending: Sequence[PendingStep], earlier: Earlier) -> Measure:
        """Bits per token of the answers that the model gave when it could read, with the sign turned."""
        return self._likelihood([[(step.task, q, q.target) for step in s for q in step.questions] for s in earlier])

    def kl(self, pending: Sequence[PendingStep], earlier: Earlier) -> Measure:
        """Bits per token of what the model before says, sampled, with the sign turned: its drop estimates the KL."""
        asked = [
            [(step.current, earlier_step.task, q) for earlier_step in steps for q in earlier_step.questions]
            for step, steps in zip(pending, earlier, strict=True)
        ]
        requests = [[self._request(*row) for row in own] for own in asked]
        texts = batched(requests, self.examiner.engine.sample)
        return self._likelihood(
            [
                [(task, q, text if isinstance(text, str) else "") for (_, task, q), text in zip(own, said, strict=True)]
                for own, said in zip(asked, texts, strict=True)
            ]
        )

    def _request(self, update: Update, task: Task, question: Question) -> Request:
        (prompt,) = self.examiner.domain.exam(task, question)
        seed = derive_seed(self.seed, "gate", update.id, prompt)
        return Request(update, prompt, seed, 1.0, 1.0, self.examiner.max_new_tokens)

    def _likelihood(self, answers: Sequence[Sequence[tuple[Task, Question, str]]]) -> Measure:
        exam = self.examiner.domain.exam

        def measure(updates: Sequence[Update]) -> list[float]:
            requests = [
                [LikelihoodRequest(update, p, f" {text}") for task, q, text in own for p in exam(task, q)]
                for update, own in zip(updates, answers, strict=True)
            ]
            found = batched(requests, self.examiner.engine.likelihood)
            return [_mean([per_token(one) for one in own]) / math.log(2) for own in found]

        return measure


MEASURES: dict[str, Callable[[Gate, Sequence[PendingStep], Earlier], Measure]] = {
    "accuracy": Gate.accuracy,
    "bits": Gate.bits,
    "kl": Gate.kl,
}


class _Bisection:
    """The search for the largest scale at which one update is let through."""

    def __init__(self, update: Update) -> None:
        self.update, self.low, self.high, self.factor = update, 0.0, 1.0, 1.0
        self.tried: Update = update
        self.best: Update | None = None

    def candidate(self, engine: Adapters) -> Update:
        """What is tried next; once the whole update was let through, that again."""
        self.tried = self.update if self.factor == 1.0 else engine.scale(self.update, self.factor)
        return self.tried

    def judge(self, is_kept: bool, engine: Adapters) -> None:
        if is_kept:
            self.best, self.low = self.tried, self.factor
        else:
            self.high = self.factor
            engine.release([self.tried] if self.tried is not self.update else [])
        self.factor = (self.low + self.high) / 2

    @property
    def found(self) -> Update | None:
        return self.best if self.low >= MIN_SCALE else None


def _earlier(pending: PendingStep) -> list[StreamStep]:
    past = [step for step in current(pending.past) if step.questions and step.task.title != pending.step.task.title]
    spread = range(0, len(past), max(1, math.ceil(len(past) / MAX_DOCUMENTS)))
    return [past[index] for index in spread]


def _mean(values: Sequence[Value]) -> float:
    return required_mean(values, "the gate could not measure what an update costs")
