"""Self-distillation: with the passage in context the model teaches itself without it, and what it did before it goes on
doing (SDFT, arXiv 2601.19897; prompt distillation).

Both from samples, learned like text: the mean of -log p over a model's samples is a cross-entropy, whose only part that
training can change is KL(model || student).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from string import ascii_uppercase

from selfedit.continual.memory import rehearsed, with_more
from selfedit.continual.merge import Merge
from selfedit.inner import Examiner, derive_seed
from selfedit.types import Example, Request, Step, Turn

OPENINGS = ascii_uppercase
"""A letter to begin with is enough for a model to say what it would have said: what it was trained on, above all."""


@dataclass(frozen=True)
class Distil(Merge):
    """Learns its own questions with the answers that it gave when it could read: those of the new document, and of
    earlier ones within `budget` tokens of documents.

    `anchors` samples of the start model keep its ways: half of them texts that it writes freely, and half answers with
    the passage in the prompt.
    """

    examiner: Examiner
    budget: int
    anchors: int
    seed: int

    @property
    def asks(self) -> bool:
        return True

    def prepare(self, turns: Sequence[Turn]) -> list[Turn]:
        steps = [[turn.step, *rehearsed(turn.past, turn.step.task.title, self.budget)] for turn in turns]
        kept = self._samples(turns, [self._openings(turn, own) for turn, own in zip(turns, steps, strict=True)])
        return [
            with_more(turn, [*(example for step in own for example in self._closed_book(step)), *samples])
            for turn, own, samples in zip(turns, steps, kept, strict=True)
        ]

    def _closed_book(self, step: Step) -> list[Example]:
        exam = self.examiner.domain.exam
        return [
            Example(text, f" {question.target}") for question in step.questions for text in exam(step.task, question)
        ]

    def _openings(self, turn: Turn, steps: Sequence[Step]) -> list[str]:
        """What the start model goes on from: single letters, and questions below the passage that answers them."""
        random = Random(derive_seed(self.seed, "distil", turn.stream, turn.step.task.id))
        domain = self.examiner.domain
        asked = [text for step in steps for q in step.questions for text in domain.open_book(step.task, q)]
        reading = random.sample(asked, min(len(asked), self.anchors // 2))
        return [*random.choices(OPENINGS, k=self.anchors - len(reading)), *reading]

    def _samples(self, turns: Sequence[Turn], openings: Sequence[Sequence[str]]) -> list[list[Example]]:
        """What the start model says: after a letter a text of its own, after a question its answer."""
        length = 2 * self.examiner.max_new_tokens
        requests = [
            Request(turn.start, text, derive_seed(self.seed, "distil", turn.step.task.id, place), 1.0, 1.0, length)
            for turn, own in zip(turns, openings, strict=True)
            for place, text in enumerate(own)
        ]
        texts = iter(self.examiner.engine.sample(requests) if requests else [])
        return [
            [_sample(opening, text) for opening in own if isinstance(text := next(texts), str) and text]
            for own in openings
        ]


def _sample(opening: str, text: str) -> Example:
    return Example("", opening + text) if opening in OPENINGS else Example(opening, f" {text}")
