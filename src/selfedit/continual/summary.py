"""What became of streams: the lower-triangular matrix, retention, control, neutral text, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean, pstdev
from typing import Any

from selfedit.errors import EngineError
from selfedit.loops.examine import per_token
from selfedit.results import StreamSummary
from selfedit.statistics import mean_interval, ratio_interval, required_mean, share_interval
from selfedit.types import Drift, Observation

Cells = dict[tuple[int, int], float]
"""(edits done, place of the task) -> accuracy, of one stream. 0 edits is the start model."""

ByStep = Mapping[int, Sequence[Observation]]


@dataclass(frozen=True)
class Observed:
    """All that was seen of streams, by step: the start model (`before`, by place), each stream's own tasks, control
    tasks by group before and after, neutral texts.
    """

    before: ByStep
    seen: ByStep
    control_before: Mapping[str, Sequence[Observation]]
    control: Mapping[str, ByStep]
    neutral_before: Drift | None
    neutral: Mapping[int, Sequence[Drift]]


@dataclass(frozen=True)
class StreamRecord:
    """The accuracies of one stream, and how it did on what is not its own, by step.

    Tasks without questions have no cells.
    """

    cells: Cells = field(default_factory=dict)
    control: dict[int, dict[str, float]] = field(default_factory=dict)
    bits: dict[int, float] = field(default_factory=dict)
    kl: dict[int, float] = field(default_factory=dict)
    length: int = 0

    def just_edited(self, count: int) -> float:
        """Mean accuracy on each of the first tasks when it was examined first after its edit."""
        first: dict[int, int] = {}
        for done, place in sorted(self.cells):
            if place < min(count, done):
                first.setdefault(place, done)
        return fmean(self.cells[done, place] for place, done in first.items())

    def seen(self, done: int) -> float:
        """Mean accuracy on the first tasks once all of them were learned."""
        return fmean(self.cells[done, place] for place in range(done) if (done, place) in self.cells)

    @property
    def before(self) -> float:
        """Mean accuracy of the start model on all tasks."""
        return fmean(value for (done, _), value in self.cells.items() if not done)

    @property
    def steps(self) -> list[int]:
        """After how many edits all tasks so far were examined."""
        asked = {place for _, place in self.cells}
        return [
            done
            for done in range(1, self.length + 1)
            if all((done, place) in self.cells for place in asked if place < done)
            and any(place < done for place in asked)
        ]


def records(observed: Observed) -> list[StreamRecord]:
    """One per stream. Raises EngineError where the system failed a question: a hole is not a wrong answer."""
    found: dict[int, StreamRecord] = {}
    exams = [(0, seen) for seen in observed.before.values()]
    exams += [(number + 1, seen) for number, seen in observed.seen.items()]
    for done, seen in exams:
        for one in seen:
            if one.score.grades:
                found.setdefault(one.stream, StreamRecord()).cells[done, one.place] = _accuracy(one)
    for group, by_step in observed.control.items():
        before = {one.place: _accuracy(one) for one in observed.control_before[group]}
        for number, seen in by_step.items():
            changes: dict[int, list[float]] = {}
            for one in seen:
                changes.setdefault(one.stream, []).append(_accuracy(one) - before[one.place])
            for stream, of_stream in changes.items():
                found.setdefault(stream, StreamRecord()).control.setdefault(number + 1, {})[group] = fmean(of_stream)
    for number, drifts in observed.neutral.items():
        for drift in drifts:
            assert observed.neutral_before
            record = found.setdefault(drift.stream, StreamRecord())
            was, now = observed.neutral_before, drift
            record.bits[number + 1] = _nats(now.texts) / _nats(was.texts)
            record.kl[number + 1] = (_nats(was.continuations) - _nats(now.continuations)) / math.log(2)
    return [
        replace(record, length=max(d for d, _ in record.cells)) for _, record in sorted(found.items()) if record.cells
    ]


def _accuracy(observed: Observation) -> float:
    value = observed.score.value
    if value is None:
        raise EngineError(f"the exam on {observed.task_id} has questions that were not answered or not graded")
    return value


def _nats(likelihoods: Sequence[Any]) -> float:
    return required_mean([per_token(one) for one in likelihoods], "some neutral texts could not be read")


def summarise_streams(found: Sequence[StreamRecord]) -> StreamSummary:
    length = min(record.length for record in found)  # streams of documents may differ
    steps = [done for done in found[0].steps if done <= length]
    summary = StreamSummary(len(found), length, share_interval([record.before for record in found]))
    if not steps:
        return summary
    last = steps[-1]
    retention = {
        done: ratio_interval([r.seen(done) for r in found], [r.just_edited(done) for r in found])
        for done in steps
        if any(record.just_edited(done) for record in found)
    }
    control = {
        group: mean_interval([record.control[last][group] for record in found])
        for group in found[0].control.get(last, {})
    }
    newest = [_cell(found, done, done - 1) for done in range(1, length + 1)]
    drifted = last in found[0].bits
    return replace(
        summary,
        just_edited=share_interval([record.just_edited(length) for record in found]),
        after=share_interval([record.seen(last) for record in found]),
        retention=retention,
        control=control,
        bits=mean_interval([record.bits[last] for record in found]) if drifted else None,
        kl=mean_interval([record.kl[last] for record in found]) if drifted else None,
        curve={
            "edits": steps,
            "seen": [fmean(record.seen(done) for record in found) for done in steps],
            "just_edited": [fmean(cells) if cells else None for cells in newest],
        },
    )


def matrix(found: Sequence[StreamRecord], dataset: str, model: str) -> dict[str, Any]:
    """SEAL's released format (docs/seal.md 7): row r, column c is the accuracy on passage c after r edits; 0 above the
    diagonal, None where no exam was due.
    """
    size = min(record.length for record in found)

    def cell(of: Any, row: int, column: int) -> float | None:
        values = _cell(found, row, column)
        return of(values) if values else None if column < row else 0.0

    def cells(of: Any) -> list[list[float | None]]:
        return [[cell(of, row, column) for column in range(size)] for row in range(size + 1)]

    return {
        "mean_over_sequences": cells(fmean),
        "std_over_sequences": cells(pstdev),
        "n_sequences": len(found),
        "n_datapoints": size,
        "dataset": dataset,
        "base_model": model,
    }


def _cell(found: Sequence[StreamRecord], row: int, column: int) -> list[float]:
    return [record.cells[row, column] for record in found if (row, column) in record.cells]
