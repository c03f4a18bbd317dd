"""What an arm was seen to do, and what that says beside the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, median
from typing import Any

from selfedit.bench.edits import BenchEdit
from selfedit.bench.setting import ArmRun
from selfedit.graders import GRADERS
from selfedit.statistics import paired_interval


@dataclass(slots=True)
class EditRecord:
    """The calls of one arm, each with the places of its edits; `peak` is memory in MB."""

    calls: list[tuple[list[int], ArmRun]] = field(default_factory=list)
    peak: float = 0.0

    def add(self, places: list[int], call: ArmRun) -> None:
        self.calls.append((places, call))

    @property
    def train(self) -> list[float]:
        """Seconds per edit, one for each call."""
        return [call.train / len(places) for places, call in self.calls]

    @property
    def answer(self) -> list[float]:
        return [call.answer / len(places) for places, call in self.calls]

    @property
    def together(self) -> list[float]:
        return [train + answer for train, answer in zip(self.train, self.answer, strict=True)]

    @property
    def median(self) -> float:
        return median(self.together)

    def answers(self) -> dict[int, list[str]]:
        """The answers to each edit's questions, by the edit's place."""
        return {place: texts for places, call in self.calls for place, texts in zip(places, call.answers, strict=True)}

    def flops_per_second(self, flops: Sequence[float]) -> float:
        """Operations per second of training, the median over calls."""
        return median(sum(flops[place] for place in places) / call.train for places, call in self.calls)


def summarise(records: Mapping[str, EditRecord], flops: Sequence[float], rate: float) -> dict[str, Any]:
    """The numbers of one shape. `flops`: what training each edit takes; `rate`: what the machine can do in a second."""
    best = [name for name in records if name.startswith("engine_")][-1]
    engine = records[best]
    floor = mean(flops[place] for place in engine.answers()) / rate
    return {
        **{f"ratio_{n}": r.median / engine.median for n, r in records.items() if not n.startswith("engine_")},
        "seconds_per_edit": engine.median,
        "train_seconds": median(engine.train),
        "answer_seconds": median(engine.answer),
        "flops_share": engine.flops_per_second(flops) / rate,
        "floor_seconds": floor,
        "floor_share": floor / engine.median,
        "matmul_gflops": rate / 1e9,
        "arms": {name: _arm(record, flops, engine) for name, record in records.items()},
        **_growth(records),
        "peak_memory_mb": {name: record.peak for name, record in records.items()},
    }


def _arm(record: EditRecord, flops: Sequence[float], engine: EditRecord) -> dict[str, Any]:
    return {
        "edits": len(record.answers()),
        "calls": len(record.calls),
        "seconds_per_edit": _spread(record.together),
        "train_seconds": _spread(record.train),
        "answer_seconds": _spread(record.answer),
        "updates_per_second": 1 / record.median,
        "ratio": record.median / engine.median,
        "train_gflops": record.flops_per_second(flops) / 1e9,
    }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "mean": mean(values), "low": min(values), "high": max(values)}


def _growth(records: Mapping[str, EditRecord]) -> dict[str, float]:
    """How the cost of an edit grows from 8 adapters (or the fewest) to the most: below 1 it falls."""
    counts = [int(name.split("_")[1]) for name in records if name.startswith("engine_") and "_in_" not in name]
    first, last = 8 if 8 in counts else counts[0], counts[-1]
    if first == last:
        return {}
    return {f"growth_{first}_to_{last}": records[f"engine_{last}"].median / records[f"engine_{first}"].median}


def grade(records: Mapping[str, EditRecord], edits: Sequence[BenchEdit]) -> dict[str, Any]:
    """The share of right answers of each arm on the edits it ran, and the engine's gain over the baselines on those.

    Gains are paired by edit, with 95 % intervals; edits of one passage are not independent, which the intervals ignore.
    """
    grades = {
        name: {place: _grades(edits[place], texts) for place, texts in record.answers().items()}
        for name, record in records.items()
    }
    engine = grades[list(grades)[-1]]
    shares = {name: mean(g for graded in of_arm.values() for g in graded) for name, of_arm in grades.items()}
    result: dict[str, Any] = {"share": shares}
    for name in ("trainer", "seal"):
        both = sorted(grades.get(name, {}).keys() & engine.keys())
        if both:
            pairs = [mean(engine[place]) for place in both], [mean(grades[name][place]) for place in both]
            result[f"engine_minus_{name}"] = asdict(paired_interval(*pairs))
    return result


def _grades(edit: BenchEdit, answers: Sequence[str]) -> list[float]:
    graded = GRADERS["contains"].grade(list(zip(edit.task.questions, answers, strict=True)))
    return [grade for grade in graded if isinstance(grade, float)]
