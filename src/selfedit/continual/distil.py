"""Self-distillation: with the passage in context the model teaches itself without it, and what it did before it goes on
doing (SDFT, arXiv 2601.19897; prompt distillation).

Both from samples, learned like text: the mean of -log p over a model's samples is a cross-entropy, whose only part that
training can change is KL(model || student).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.memory import rehearsed, with_more
from selfedit.continual.merge import Merge
from selfedit.inner import Examiner, derive_seed
from selfedit.types import Example, Request, Step, Turn


@dataclass(frozen=True)
class Distil(Merge):
    """Learns its own questions with the answers that it gave when it could read: those of the new document, and of
    earlier ones within `budget` tokens of documents.

    `anchors` samples per document keep the start model's ways: its notes, and answers with the passage in the prompt.
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
        kept = iter(self._samples([(turn, step) for turn, own in zip(turns, steps, strict=True) for step in own]))
        return [
            with_more(turn, [example for step in own for example in (*self._closed_book(step), *next(kept))])
            for turn, own in zip(turns, steps, strict=True)
        ]

    def _closed_book(self, step: Step) -> list[Example]:
        exam = self.examiner.domain.exam
        return [
            Example(text, f" {question.target}") for question in step.questions for text in exam(step.task, question)
        ]

    def _samples(self, steps: Sequence[tuple[Turn, Step]]) -> list[list[Example]]:
        """What the start model says to some prompts about each document."""
        prompts = [self._prompts(step) for _, step in steps]
        requests = [
            Request(
                turn.start, prompt, derive_seed(self.seed, "distil", prompt), 1.0, 1.0, 2 * self.examiner.max_new_tokens
            )
            for (turn, _), own in zip(steps, prompts, strict=True)
            for prompt in own
        ]
        texts = iter(self.examiner.engine.sample(requests) if requests else [])
        return [
            [Example(prompt, f" {text}") for prompt in own if isinstance(text := next(texts), str) and text]
            for own in prompts
        ]

    def _prompts(self, step: Step) -> list[str]:
        """Prompts with the passage in them."""
        domain = self.examiner.domain
        asked = [text for question in step.questions for text in domain.open_book(step.task, question)]
        return asked[: self.anchors]
