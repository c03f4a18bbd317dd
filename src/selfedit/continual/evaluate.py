"""The exams along a stream: on every task so far, on tasks that are never taught, and on text that is about none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice

from selfedit.loops.examine import Exam, Examiner, score
from selfedit.loops.retrieval import as_asked
from selfedit.protocols import Remember, Router
from selfedit.seeds import derive_seed
from selfedit.types import Continuation, Drift, LikelihoodRequest, Observation, Request, Score, StreamStep, Task, Update

OPENING_WORDS, CONTINUATION_TOKENS = 8, 32
"""Words of a neutral text that the start model goes on from, and tokens that it adds: what the KL is estimated on."""

READING = "reading"
"""The group of control tasks that show whether a model can still read."""

Pasts = Sequence[tuple[StreamStep, ...]]
Placed = tuple[int, int, Task]
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

    def of_stream(self, group: str, stream: int) -> list[Placed]:
        """The control tasks that a stream answers: others than its neighbour's, until they run out."""
        tasks = self.control[group]
        places = [(stream * self.share + offset) % len(tasks) for offset in range(min(self.share, len(tasks)))]
        return [(stream, place, tasks[place]) for place in places]


@dataclass(frozen=True)
class StreamEvaluator:
    """Examines streams, and remembers what came of it by stage: `before`, `seen`, `control/…`, `neutral`."""

    examiner: Examiner
    router: Router
    plan: EvalPlan
    start: Update
    remember: Remember

    def before(self, streams: Sequence[Sequence[Task]]) -> None:
        """The start model on everything."""
        nothing: Pasts = [()] * max(1, len(streams))
        for place in range(max(map(len, streams))):
            rows = [(stream, place, tasks[place]) for stream, tasks in enumerate(streams) if place < len(tasks)]
            self.remember("before", place, partial(self._observe, rows, nothing), Observation)
        for group, tasks in self.plan.control.items():
            rows = [(0, place, task) for place, task in enumerate(tasks)]
            self.remember(f"before/{group}", 0, partial(self._observe, rows, nothing, group), Observation)
        if self.plan.neutral:
            said = self.remember("before/continuations", 0, self._continue, Continuation)
            self.remember("before/neutral", 0, partial(self._drift, [0], nothing, said), Drift)

    def after(
        self, number: int, length: int, live: Sequence[int], streams: Sequence[Sequence[Task]], pasts: Pasts
    ) -> None:
        """The streams' models on what is due after this step."""
        due = self.plan.is_due(number, length)
        rows = [
            (stream, place, task)
            for stream in live
            for place, task in enumerate(streams[stream][: number + 1])
            if due or place == number
        ]
        self.remember("seen", number, partial(self._observe, rows, pasts), Observation)
        for group in self.plan.control if due else ():
            of_group = [row for stream in live for row in self.plan.of_stream(group, stream)]
            self.remember(f"control/{group}", number, partial(self._observe, of_group, pasts, group), Observation)
        if due and self.plan.neutral:
            said = self.remember("before/continuations", 0, self._continue, Continuation)
            self.remember("neutral", number, partial(self._drift, live, pasts, said), Drift)

    def _observe(self, rows: Sequence[Placed], pasts: Pasts, group: str = "") -> list[Observation]:
        """Every question is asked of the update that the router chooses for it."""
        asked: dict[int, list[str]] = {}
        for stream, _, task in rows:
            asked.setdefault(stream, []).extend(as_asked(task, question) for question in task.questions)
        chosen = {stream: iter(self.router.route(self.start, pasts[stream], own)) for stream, own in asked.items()}
        exams = [
            Exam(next(chosen[stream]), replace(task, questions=(question,)))
            for stream, _, task in rows
            for question in task.questions
        ]
        scores = iter(score(self.examiner, exams, open_book=group == READING))
        return [
            Observation(stream, place, task.id, _merged([next(scores) for _ in task.questions]))
            for stream, place, task in rows
        ]

    def _continue(self) -> list[Continuation]:
        """What the start model says itself after the first words of the neutral texts."""
        openings = [" ".join(text.split()[:OPENING_WORDS]) for text in self.plan.neutral]
        seeds = [derive_seed("neutral", opening) for opening in openings]
        texts = self.examiner.engine.sample(
            [
                Request(self.start, o, seed, 1.0, 1.0, CONTINUATION_TOKENS)
                for o, seed in zip(openings, seeds, strict=True)
            ]
        )
        said = zip(openings, texts, strict=True)
        return [Continuation(opening, f" {text}") for opening, text in said if text and isinstance(text, str)]

    def _drift(self, live: Sequence[int], pasts: Pasts, said: Sequence[Continuation]) -> list[Drift]:
        """How likely the neutral texts are to the update that is asked about each, and what the start model said to the
        one that writes.
        """
        requests = []
        for stream in live:
            models = self.router.route(self.start, pasts[stream], self.plan.neutral)
            writer = self.router.active(self.start, pasts[stream])[0]
            requests += [LikelihoodRequest(m, "", text) for m, text in zip(models, self.plan.neutral, strict=True)]
            requests += [LikelihoodRequest(writer, one.prompt, one.text) for one in said]
        found = iter(self.examiner.engine.likelihood(requests))
        return [
            Drift(stream, tuple(islice(found, len(self.plan.neutral))), tuple(islice(found, len(said))))
            for stream in live
        ]


def _merged(scores: Sequence[Score]) -> Score:
    """The scores of single questions as one of all."""
    names = scores[0].measurements if scores else ()
    return Score(
        tuple(answer for one in scores for answer in one.answers),
        tuple(grade for one in scores for grade in one.grades),
        {name: tuple(value for one in scores for value in one.measurements[name]) for name in names},
    )
