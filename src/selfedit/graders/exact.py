"""Graders that compare strings after SQuAD's normalisation, as SEAL's tables need them.

It cannot see punctuation, articles or how a character is written: 3.5 is 35, -5 is 5, 2-3 is 23, C++ is C#, option A is
nothing, and one accent can be two texts; and it takes words apart at spaces, which Chinese, Japanese and Thai lack.
`phrase` sees these.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

from selfedit.thoughts import answer_in
from selfedit.types import Failure, Question

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """SQuAD v1.1's normalisation: lower case, no punctuation, no articles, single spaces.

    normalise("The Cat's  hat.") -> "cats hat"
    """
    text = text.lower().translate(_PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


class Exact:
    """1 if the answer is the gold answer."""

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        return [float(normalise(answer_in(answer)) == normalise(question.target)) for question, answer in pairs]


class Contains:
    """1 if the gold answer's words stand in the answer, in a row; those of "1.5 days" stand in "15 days" as well.

    A gold answer without words matches only a blank.
    """

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        return [
            float(_contains(normalise(answer_in(answer)), normalise(question.target))) for question, answer in pairs
        ]


def _contains(answer: str, gold: str) -> bool:
    return f" {gold} " in f" {answer} " if gold else not answer


class F1:
    """The harmonic mean of the shares of words that answer and gold answer have in common (SQuAD v1.1): 0 to 1."""

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        return [
            _f1(normalise(answer_in(answer)).split(), normalise(question.target).split()) for question, answer in pairs
        ]


def _f1(answer: list[str], gold: list[str]) -> float:
    common = (Counter(answer) & Counter(gold)).total()
    return 2 * common / (len(answer) + len(gold)) if answer or gold else 1.0
