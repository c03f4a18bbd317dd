"""The exams along a stream: on every task so far, on tasks that are never taught, and on text that is about none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

from selfedit.continual.methods.bank import as_asked
from selfedit.continual.methods.chain import MethodChain
from selfedit.loops.inner import Examiner, derive_seed
from selfedit.loops.outer import Remember
from selfedit.types import Example, LikelihoodRequest, Request, Score, SelfEdit, StreamStep, Task, Trial, Update

OPENING, CONTINUED = 8, 32
"""Words of a neutral text that the start model goes on from, and tokens that it adds: what the KL is estimated on."""

READING = "reading"
"""The group of control tasks that show whether a model can still read."""

Pasts = Sequence[tuple[StreamStep, ...]]
Row = tuple[int, int, Task]
"""Stream, place of the task in it, task."""


@dataclass(frozen=True)
class EvalPlan:
    """What is examined beside the streams' own tasks: `control` tasks by group, of which every stream answers `share`,
    and `neutral` texts. Those of the group READING are answered with the passage in the prompt. With `doubling`
    everything but the newest task waits for steps 1, 2, 4, 8, … and the last.
    """

    control: Mapping[str, Sequence[Task]] = field(default_factory=dict)
    neutral: Sequence[str] = ()
    share: int = 10
    doubling: bool = False

    def is_due(self, number: int, length: int) -> bool:
        """Whether everything is examined after this step (from 0) of so many."""
        done = number + 1
        return not self.doubling or done == length or done & number == 0

    def of_stream(self, group: str, stream: int) -> list[Row]:
        """The control tasks that a stream answers: others than its neighbour's, until they run out."""
        tasks = self.control[group]
        places = [(stream * self.share + offset) % len(tasks) for offset in range(min(self.share, len(tasks)))]
        return [(stream, place, tasks[place]) for place in places]


@dataclass(frozen=True)
class StreamEvaluator:
    """Examines streams, and remembers what came of it by stage: `before`, `seen`, `control/…`, `neutral`.

    In a trial of these stages `member` is the stream and `repeat` the place of the task.
    """

    examiner: Examiner
    keeper: MethodChain
    watch: EvalPlan
    start: Update
    remember: Remember

    def before(self, streams: Sequence[Sequence[Task]]) -> None:
        """The start model on everything."""
        nothing: Pasts = [()] * max(1, len(streams))
        for place in range(max(map(len, streams))):
            rows = [(stream, place, tasks[place]) for stream, tasks in enumerate(streams) if place < len(tasks)]
            self.remember("before", place, lambda rows=rows: self._exam(rows, nothing))  # type: ignore[misc]
        for group, tasks in self.watch.control.items():
            all_of_it = [(0, place, task) for place, task in enumerate(tasks)]
            self.remember(f"before/{group}", 0, lambda g=group, rows=all_of_it: self._exam(rows, nothing, g))  # type: ignore[misc]
        if self.watch.neutral:
            self.remember("before/neutral", 0, self._said_before)

    def after(
        self, number: int, length: int, live: Sequence[int], streams: Sequence[Sequence[Task]], pasts: Pasts
    ) -> None:
        """The streams' models on what is due after this step."""
        due = self.watch.is_due(number, length)
        rows = [
            (stream, place, task)
            for stream in live
            for place, task in enumerate(streams[stream][: number + 1])
            if due or place == number
        ]
        self.remember("seen", number, lambda: self._exam(rows, pasts))
        for group in self.watch.control if due else ():
            of_group = [row for stream in live for row in self.watch.of_stream(group, stream)]
            self.remember(f"control/{group}", number, lambda g=group, rows=of_group: self._exam(rows, pasts, g))  # type: ignore[misc]
        if due and self.watch.neutral:
            self.remember("neutral", number, lambda: self._said(live, pasts))

    def _exam(self, rows: Sequence[Row], pasts: Pasts, group: str = "") -> list[Trial]:
        """Every question is asked of the update that the keeper chooses for it."""
        asked: dict[int, list[str]] = {}
        for stream, _, task in rows:
            asked.setdefault(stream, []).extend(as_asked(task, question) for question in task.questions)
        chosen = {stream: iter(self._route(pasts[stream], texts)) for stream, texts in asked.items()}
        exams = [
            (next(chosen[stream]), replace(task, questions=(question,)))
            for stream, _, task in rows
            for question in task.questions
        ]
        scores = iter(self.examiner.score(exams, open_book=group == READING))
        return [
            Trial(
                SelfEdit(task.id, ""),
                after=_joined([next(scores) for _ in task.questions]),
                member=stream,
                repeat=place,
            )
            for stream, place, task in rows
        ]

    def _route(self, past: tuple[StreamStep, ...], texts: Sequence[str]) -> list[Update]:
        return self.keeper.route(self.start, past, texts)

    def _said_before(self) -> list[Trial]:
        """How likely the neutral texts are to the start model, and what it says itself after their first words."""
        opened = [_opening(text) for text in self.watch.neutral]
        requests = [Request(self.start, text, derive_seed("neutral", text), 1.0, 1.0, CONTINUED) for text in opened]
        texts = self.examiner.engine.sample(requests)
        said = [Example(o, f" {text}") for o, text in zip(opened, texts, strict=True) if isinstance(text, str) and text]
        (score,) = self._likelihoods([[self.start] * len(opened)], [self.start], said)
        return [Trial(SelfEdit("neutral", "", "", tuple(said)), after=score)]

    def _said(self, live: Sequence[int], pasts: Pasts) -> list[Trial]:
        """The same texts and continuations to every stream's model: bits per token, and the KL from the start model."""
        (before,) = self.remember("before/neutral", 0, self._said_before)
        models = [self._route(pasts[stream], self.watch.neutral) for stream in live]
        writers = [self.keeper.held(self.start, pasts[stream])[0] for stream in live]
        scores = self._likelihoods(models, writers, before.edit.examples)
        return [
            Trial(SelfEdit("neutral", ""), after=score, member=stream)
            for stream, score in zip(live, scores, strict=True)
        ]

    def _likelihoods(
        self, models: Sequence[Sequence[Update]], writers: Sequence[Update], said: Sequence[Example]
    ) -> list[Score]:
        """Of the neutral texts, each to the update that is asked about it, and of what the start model said to the one
        that writes: a score for each stream.
        """
        readings = [
            [
                *(
                    LikelihoodRequest(model, "", text)
                    for model, text in zip(of_stream, self.watch.neutral, strict=True)
                ),
                *(LikelihoodRequest(writer, example.prompt, example.target) for example in said),
            ]
            for of_stream, writer in zip(models, writers, strict=True)
        ]
        values = iter(self.examiner.engine.likelihood([reading for own in readings for reading in own]))
        return [
            Score((), (), tuple(islice(values, len(self.watch.neutral))), tuple(islice(values, len(said))))
            for _ in readings
        ]


def _opening(text: str) -> str:
    return " ".join(text.split()[:OPENING])


def _joined(scores: Sequence[Score]) -> Score:
    """The scores of single questions as one of all."""
    return Score(
        tuple(answer for score in scores for answer in score.answers),
        tuple(grade for score in scores for grade in score.grades),
        tuple(value for score in scores for value in score.likelihoods),
    )
