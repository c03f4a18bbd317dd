"""Which update of a stream answers: its last one, or, in a bank, the one whose document a question is most like."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from selfedit.continual.memory import consolidated, current
from selfedit.protocols import Router
from selfedit.types import Question, StreamStep, Task, Update, model_of

_WORD = re.compile(r"\w+")

Vector = Mapping[str, float]


class LastUpdate:
    """One model per stream."""

    def active(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        return [model_of(start, tuple(past))]

    def route(self, start: Update, past: Sequence[StreamStep], questions: Sequence[str]) -> list[Update]:
        return [model_of(start, tuple(past))] * len(questions)

    def learned_by(self, start: Update, past: Sequence[StreamStep], title: str) -> Update:
        return model_of(start, tuple(past))


@dataclass(frozen=True, slots=True)
class MostSimilar:
    """An update for every document. A question goes to the document that it is most similar to.

    Similarity is the cosine of TF-IDF vectors of words, a document being its title, its passage and its notes. Below
    `min_similarity` the start model answers.
    """

    min_similarity: float

    def active(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        return [start, *(step.trial.update for step in current(past) if step.trial.update)]

    def route(self, start: Update, past: Sequence[StreamStep], questions: Sequence[str]) -> list[Update]:
        steps = [step for step in current(past) if step.trial.update]
        found = TfIdf([_text(step) for step in steps]).most_similar(questions, self.min_similarity)
        return [start if index is None else steps[index].trial.update or start for index in found]

    def learned_by(self, start: Update, past: Sequence[StreamStep], title: str) -> Update:
        return next((s.trial.update for s in reversed(past) if s.task.title == title and s.trial.update), start)


@dataclass(frozen=True, slots=True)
class SinceConsolidation:
    """The documents since the last consolidation have an update each; for everything else there is the common one."""

    bank: MostSimilar
    every: int

    def active(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        common, new = consolidated(start, past, self.every)
        return [common, *(step.trial.update for step in new if step.trial.update)]

    def route(self, start: Update, past: Sequence[StreamStep], questions: Sequence[str]) -> list[Update]:
        return self.bank.route(*consolidated(start, past, self.every), questions)

    def learned_by(self, start: Update, past: Sequence[StreamStep], title: str) -> Update:
        return self.bank.learned_by(*consolidated(start, past, self.every), title)


def as_asked(task: Task, question: Question) -> str:
    """A question as a person asks it: the topic and the question, none of the prompt's own words around them."""
    return f"{task.title}\n{question.text}"


def routing_accuracy(
    router: Router, start: Update, pasts: Sequence[tuple[StreamStep, ...]], streams: Sequence[Sequence[Task]]
) -> list[float]:
    """For each stream the share of its tasks' questions that go to the update that has learned their document."""
    shares = []
    for past, tasks in zip(pasts, streams, strict=True):
        asked = [(task, as_asked(task, question)) for task in tasks for question in task.questions]
        chosen = router.route(start, past, [text for _, text in asked])
        right = [router.learned_by(start, past, task.title) for task, _ in asked]
        shares.append(fmean(update == own for update, own in zip(chosen, right, strict=True)))
    return shares


def _text(step: StreamStep) -> str:
    return f"{step.task.title}\n{step.task.title}\n{step.task.context}\n{step.trial.edit.text}"


class TfIdf:
    """Texts by their words. Words that stand in every text tell nothing; a longer text is no better for its length."""

    def __init__(self, texts: Sequence[str]) -> None:
        counts = [Counter(_words(text)) for text in texts]
        self.texts = len(texts)
        self.documents = Counter(word for count in counts for word in count)
        self.vectors = [self._vector(count) for count in counts]

    def most_similar(self, queries: Sequence[str], min_similarity: float) -> list[int | None]:
        """The index of the text most similar to each; None where no cosine is that large. Ties go to the later."""
        return [self._most_similar(self._vector(Counter(_words(query))), min_similarity) for query in queries]

    def _most_similar(self, query: Vector, min_similarity: float) -> int | None:
        scores = [sum(weight * vector.get(word, 0.0) for word, weight in query.items()) for vector in self.vectors]
        best = max(range(len(scores)), key=lambda index: (scores[index], index), default=None)
        return best if best is not None and scores[best] >= min_similarity else None

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
