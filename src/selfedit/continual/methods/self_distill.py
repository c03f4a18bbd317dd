"""Self-distillation: with the passage in context the model teaches itself without it, and what it did before it goes on
doing (SDFT, arXiv 2601.19897; on-policy samples, of the teacher here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.memory import rehearsed, with_examples
from selfedit.continual.methods.sequential import Sequential
from selfedit.continual.recall import Recall
from selfedit.types import Example, PendingStep


@dataclass(frozen=True)
class SelfDistill(Sequential):
    """Learns its own questions with the answers that it gave when it could read: those of the new document, and of
    earlier ones within `budget` tokens of documents.

    Beside them it learns to go on as the start model would, on what that says when it writes freely: `recall_texts` per
    edit, always new ones.
    """

    recall: Recall
    budget: int
    recall_texts: int

    @property
    def needs_questions(self) -> bool:
        return True

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        if not pending:
            return []
        keys = [f"{step.stream} {step.step.task.id}" for step in pending]
        recalled = self.recall.samples(pending[0].start, keys, self.recall_texts)
        return [
            with_examples(step, [*self._closed_book(step), *samples])
            for step, samples in zip(pending, recalled, strict=True)
        ]

    def _closed_book(self, pending: PendingStep) -> list[Example]:
        exam = self.recall.examiner.domain.exam
        steps = [pending.step, *rehearsed(pending.past, pending.step.task.title, self.budget)]
        asked = [(step.task, question) for step in steps for question in step.questions]
        return [Example(text, f" {question.target}") for task, question in asked for text in exam(task, question)]
