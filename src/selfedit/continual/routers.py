"""Which update of a stream answers: its last one, or, in a bank, the one whose document a question is most like."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from selfedit.continual.memory import consolidated, current
from selfedit.loops.retrieval import TfIdf, as_asked
from selfedit.protocols import Router
from selfedit.types import StreamStep, Task, Update, model_of


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
