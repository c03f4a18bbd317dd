"""Finding the text that a question is about, by its words: what people do who do not teach a model their documents."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

from selfedit.types import Question, Task

_WORD = re.compile(r"\w+")

Vector = Mapping[str, float]


def as_asked(task: Task, question: Question) -> str:
    """A question as a person asks it: the topic and the question, none of the prompt's own words around them."""
    return f"{task.title}\n{question.text}"


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
