"""What became of streams: the lower-triangular matrix, retention, control, neutral text, and what it cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, pstdev
from typing import Any

from selfedit.errors import EngineError
from selfedit.statistics import mean_interval, ratio_interval
from selfedit.types import Failure, Trial

Waves = Mapping[str, Mapping[int, Sequence[Trial]]]
"""Stage -> step -> trials, as the store has them."""

Cells = dict[tuple[int, int], float]
"""(edits done, place of the task) -> accuracy, of one stream. 0 edits is the start model."""


@dataclass(frozen=True)
class StreamRecord:
    """The accuracies of one stream, and how it did on what is not its own, by step.

    Tasks without questions have no cells.
    """

    cells: Cells
    control: dict[int, dict[str, float]]
    bits: dict[int, float]
    kl: dict[int, float]
    length: int

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


def records(waves: Waves) -> list[StreamRecord]:
    """One per stream. Raises EngineError where the system failed a question: a hole is not a wrong answer."""
    found: dict[int, StreamRecord] = {}
    exams = [(0, trials) for trials in waves.get("before", {}).values()]
    exams += [(number + 1, trials) for number, trials in waves.get("seen", {}).items()]
    for done, trials in exams:
        for trial in trials:
            if trial.after and trial.after.grades:
                _record(found, trial.member).cells[done, trial.repeat] = _value(trial)
    for stage, by_step in waves.items():
        kind, _, group = stage.partition("/")
        if kind == "control":
            before = {trial.repeat: _value(trial) for trial in waves[f"before/{group}"][0]}
            for number, trials in by_step.items():
                _control(found, trials, before, group, number + 1)
    for number, trials in waves.get("neutral", {}).items():
        for trial in trials:
            _neutral(_record(found, trial.member), trial, waves["before/neutral"][0][0], number + 1)
    return [
        replace(record, length=max(d for d, _ in record.cells)) for _, record in sorted(found.items()) if record.cells
    ]


def _record(found: dict[int, StreamRecord], stream: int) -> StreamRecord:
    return found.setdefault(stream, StreamRecord({}, {}, {}, {}, 0))


def _value(trial: Trial) -> float:
    value = trial.after.value if trial.after else None
    if value is None:
        raise EngineError(f"the exam on {trial.edit.task_id} has questions that were not answered or not graded")
    return value


def _control(
    found: dict[int, StreamRecord], trials: Sequence[Trial], before: Mapping[int, float], group: str, done: int
) -> None:
    """The mean change of accuracy on the control tasks that each stream answered, against the start model."""
    changes: dict[int, list[float]] = {}
    for trial in trials:
        changes.setdefault(trial.member, []).append(_value(trial) - before[trial.repeat])
    for stream, of_stream in changes.items():
        found[stream].control.setdefault(done, {})[group] = fmean(of_stream)


def _neutral(record: StreamRecord, trial: Trial, start: Trial, done: int) -> None:
    """Bits per token as a share of the start model's, and the KL from it in bits per token."""
    now, was = trial.after, start.after
    assert now and was
    record.bits[done] = _mean(now.likelihoods) / _mean(was.likelihoods)
    record.kl[done] = (_mean(was.control) - _mean(now.control)) / math.log(2)


def _mean(values: Sequence[float | Failure]) -> float:
    measured = [value for value in values if not isinstance(value, Failure)]
    if not measured or len(measured) < len(values):
        raise EngineError("some neutral texts could not be read")
    return fmean(measured)


def summarise(found: Sequence[StreamRecord]) -> dict[str, Any]:
    """Means over streams with 95 % intervals. Everything after the last step in which all of it was examined.

    `retention` is the accuracy on all tasks after so many edits, as a share of that right after each one's edit: a
    ratio of means over streams.
    """
    length = min(record.length for record in found)  # streams of documents may differ
    steps = [done for done in found[0].steps if done <= length]
    last = steps[-1] if steps else 0
    summary: dict[str, Any] = {
        "streams": len(found),
        "tasks": length,
        "before": mean_interval([record.before for record in found]).fields,
    }
    if not last:
        return summary
    summary["just_edited"] = mean_interval([record.just_edited(length) for record in found]).fields
    summary["after"] = mean_interval([record.seen(last) for record in found]).fields
    summary["retention"] = {
        str(done): ratio_interval([r.seen(done) for r in found], [r.just_edited(done) for r in found]).fields
        for done in steps
        if any(record.just_edited(done) for record in found)
    }
    summary["control"] = {
        group: mean_interval([record.control[last][group] for record in found]).fields
        for group in found[0].control.get(last, {})
    }
    if last in found[0].bits:
        summary["bits"] = mean_interval([record.bits[last] for record in found]).fields
        summary["kl"] = mean_interval([record.kl[last] for record in found]).fields
    summary["curve"] = {
        "edits": steps,
        "seen": [fmean(record.seen(done) for record in found) for done in steps],
        "just_edited": [
            fmean(cells) if (cells := _cell(found, done, done - 1)) else None for done in range(1, length + 1)
        ],
    }
    return summary


def matrix(found: Sequence[StreamRecord], dataset: str, model: str) -> dict[str, Any]:
    """SEAL's released format (spec 7): row r, column c is the accuracy on passage c after r edits; 0 above the
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
