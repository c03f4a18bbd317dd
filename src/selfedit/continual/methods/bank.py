"""A bank: an adapter of its own for every document, and a look at the question to choose which one answers."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from selfedit.continual.methods.memory import current
from selfedit.continual.methods.sequential import Sequential
from selfedit.types import PendingStep, Question, StreamStep, Task, Update

_WORD = re.compile(r"\w+")

Vector = Mapping[str, float]


@dataclass(frozen=True)
class Bank(Sequential):
    """Every edit is trained from the start model. A question goes to the document that it is most like.

    Likeness is the cosine of TF-IDF vectors of words, a document being its title, its passage and its notes. Below
    `abstain` the start model answers. To forget a document is to leave its adapter out: the others never saw it.
    """

    abstain: float

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        return [replace(turn, job=replace(turn.job, parent=turn.start)) for turn in turns]

    def held(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        return [start, *(step.trial.update for step in current(past) if step.trial.update)]

    def route(self, start: Update, past: Sequence[StreamStep], asked: Sequence[str]) -> list[Update]:
        steps = [step for step in current(past) if step.trial.update]
        found = Index([_text(step) for step in steps]).best(asked, self.abstain)
        return [start if place is None else steps[place].trial.update or start for place in found]

    def home(self, start: Update, past: Sequence[StreamStep], title: str) -> Update:
        """The update that has learned the document of this title: who should be asked about it."""
        return next((s.trial.update for s in reversed(past) if s.task.title == title and s.trial.update), start)


def as_asked(task: Task, question: Question) -> str:
    """A question as a person asks it: the topic and the question, none of the prompt's own words around them."""
    return f"{task.title}\n{question.text}"


def routed_home(
    bank: Bank, start: Update, pasts: Sequence[tuple[StreamStep, ...]], streams: Sequence[Sequence[Task]]
) -> list[float]:
    """For each stream the share of its tasks' questions that go to the update that has learned their document."""
    shares = []
    for past, tasks in zip(pasts, streams, strict=True):
        asked = [(task, as_asked(task, question)) for task in tasks for question in task.questions]
        chosen = bank.route(start, past, [text for _, text in asked])
        homes = [bank.home(start, past, task.title) for task, _ in asked]
        shares.append(fmean(update == home for update, home in zip(chosen, homes, strict=True)))
    return shares


def _text(step: StreamStep) -> str:
    return f"{step.task.title}\n{step.task.title}\n{step.task.context}\n{step.trial.edit.text}"


class Index:
    """Texts by their words. Words that stand in every text tell nothing; a longer text is no better for its length."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_words(text)) for text in texts]
        self.texts = len(texts)
        self.documents = Counter(word for count in counts for word in count)
        self.vectors = [self._vector(count) for count in counts]

    def best(self, queries: Sequence[str], least: float) -> list[int | None]:
        """The place of the likest text for each query; None where no cosine reaches `least`. Ties go to the later."""
        return [self._best(self._vector(Counter(_words(query))), least) for query in queries]

    def _best(self, query: Vector, least: float) -> int | None:
        scores = [sum(weight * vector.get(word, 0.0) for word, weight in query.items()) for vector in self.vectors]
        place = max(range(len(scores)), key=lambda index: (scores[index], index), default=None)
        return place if place is not None and scores[place] >= least else None

    def _vector(self, count: Mapping[str, int]) -> Vector:
        """Of length 1. A word that no text holds weighs as one that a single text does: it speaks against them all."""
        weights = {
            word: (1 + math.log(times)) * math.log((1 + self.texts) / max(1, self.documents[word]))
            for word, times in count.items()
        }
        length = math.sqrt(math.fsum(weight * weight for weight in weights.values()))
        return {word: weight / length for word, weight in weights.items()} if length else {}


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
