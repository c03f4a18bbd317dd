"""Self-distillation: with the passage in context the model teaches itself without it, and what it did before it goes on
doing (SDFT, arXiv 2601.19897; on-policy samples, of the teacher here).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfedit.continual.methods.memory import rehearsed, with_more
from selfedit.continual.methods.recall import Recall
from selfedit.continual.methods.sequential import Sequential
from selfedit.types import Example, PendingStep


@dataclass(frozen=True)
class SelfDistill(Sequential):
    """Learns its own questions with the answers that it gave when it could read: those of the new document, and of
    earlier ones within `budget` tokens of documents.

    Beside them it learns to go on as the start model would, on what that says when it writes freely: `anchors` texts
    per edit, always new ones.
    """

    recall: Recall
    budget: int
    anchors: int

    @property
    def asks(self) -> bool:
        return True

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        if not turns:
            return []
        keys = [f"{turn.stream} {turn.step.task.id}" for turn in turns]
        kept = self.recall.samples(turns[0].start, keys, self.anchors)
        return [
            with_more(turn, [*self._closed_book(turn), *samples]) for turn, samples in zip(turns, kept, strict=True)
        ]

    def _closed_book(self, turn: PendingStep) -> list[Example]:
        exam = self.recall.examiner.domain.exam
        steps = [turn.step, *rehearsed(turn.past, turn.step.task.title, self.budget)]
        asked = [(step.task, question) for step in steps for question in step.questions]
        return [Example(text, f" {question.target}") for task, question in asked for text in exam(task, question)]
