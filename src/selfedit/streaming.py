"""Streams of documents from end to end: what `continual` and `adapt --into` run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfedit.config import Config
from selfedit.continual import Means, make_keeper
from selfedit.continual.bank import routed_home
from selfedit.continual.memory import tokens
from selfedit.continual.remarks import remarks
from selfedit.continual.stream import Continual, Cut, Streams, run_streams
from selfedit.continual.summary import fields, matrix, records, summarise
from selfedit.continual.watch import READING, Watch
from selfedit.errors import InputError
from selfedit.experiment import make_examiner, make_outer
from selfedit.protocols import Engine, Progress, silent
from selfedit.statistics import mean_interval
from selfedit.store import Run
from selfedit.types import BASE, Step, Task, Trial, Update

STREAM = "stream-"
"""What the streams are called among a run's tasks; the other groups are control tasks, and NEUTRAL texts."""

NEUTRAL = "neutral"


@dataclass(frozen=True)
class Begun:
    """What a stream stands on when it begins: a model, and what that has learned already."""

    start: Update = BASE
    past: tuple[Step, ...] = ()


def streams_of(tasks: Mapping[str, Sequence[Task]]) -> list[Sequence[Task]]:
    """The streams among a run's tasks. Raises InputError where there is nothing to learn."""
    streams = [tasks[name] for name in sorted(tasks) if name.startswith(STREAM)]
    if not streams or not all(streams):
        raise InputError("the stream is empty: name at least one document to learn")
    return streams


def run_continual(
    run: Run,
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    engine: Engine,
    progress: Progress = silent,
    begun: Begun = Begun(),
    cut: Cut = lambda task: [task],
) -> dict[str, Any]:
    """Learn the run's streams, and write `summary.json` and `matrix.json`. Resumes what the run already holds."""
    how = make_continual(run, config, tasks, engine, progress, cut)
    streams = Streams(streams_of(tasks), begun.start, run.updates, [begun.past for _ in streams_of(tasks)])
    pasts = run_streams(streams, how, run.remember)
    waves = waves_of(run)
    found = records(waves) if all(task.questions for stream in streams.tasks for task in stream) else []
    summary = {
        **(summarise(found) if found else {}),
        **costs(run, streams, how, waves),
        "keepers": list(config.continual.keepers),
        "remarks": remarks(streams.tasks, pasts, waves),
    }
    if how.keeper.bank and found:
        summary["routing"] = fields(mean_interval(routed_home(how.keeper.bank, begun.start, pasts, streams.tasks, how.examiner.domain)))
    if found:
        run.write_json("matrix.json", matrix(found, _dataset(run), config.model.name))
    run.write_json("summary.json", summary)
    run.write_metrics()
    return summary


def make_continual(
    run: Run,
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    engine: Engine,
    progress: Progress = silent,
    cut: Cut = lambda task: [task],
) -> Continual:
    """How the config says that streams are learned and watched."""
    examiner, outer, continual = make_examiner(config, engine, folder=run.path), make_outer(config), config.continual
    control = {
        name: of_group
        for name, of_group in tasks.items()
        if of_group and not name.startswith(STREAM) and name != NEUTRAL
    }
    neutral = [task.context for task in tasks.get(NEUTRAL, ())]
    return Continual(
        make_keeper(continual.keepers, Means(continual, examiner, config.seed)),
        examiner,
        outer.writing,
        outer.inner,
        config.seed,
        Watch(control, neutral, doubling=continual.exams == "doubling"),
        continual.keep == "all",
        cut,
        progress,
    )


def waves_of(run: Run) -> dict[str, dict[int, list[Trial]]]:
    """What the store holds, by stage and step."""
    waves: dict[str, dict[int, list[Trial]]] = {}
    for wave in run.waves():
        waves.setdefault(wave.stage, {})[wave.number] = wave.trials
    return waves


def costs(
    run: Run, streams: Streams, how: Continual, waves: Mapping[str, Mapping[int, Sequence[Trial]]]
) -> dict[str, Any]:
    """Seconds, trained tokens and stored bytes per edit; seconds and tokens also step by step.

    Seconds are those of writing, asking and learning a step of all streams, shared out among these: they were done side
    by side. Bytes are what must be kept to answer and to go on: adapters, and the texts that keepers look back at.
    """
    edits = max(1, sum(len(tasks) for tasks in streams.tasks))
    seconds: dict[int, float] = {}
    for wave in run.waves():
        if wave.stage in ("write", "ask", "learn"):
            seconds[wave.number] = seconds.get(wave.number, 0.0) + wave.seconds / len(wave.trials)
    learned = waves.get("learn", {})
    trained = {number: sum(t.update.tokens for t in trials if t.update) / len(trials) for number, trials in learned.items()}
    return {
        "seconds": sum(seconds[number] * len(learned[number]) for number in learned) / edits,
        "tokens": sum(trained[number] * len(learned[number]) for number in learned) / edits,
        "bytes": stored_bytes(streams, how) / edits,
        "by_step": {"seconds": [seconds[n] for n in sorted(learned)], "tokens": [trained[n] for n in sorted(learned)]},
    }


def stored_bytes(streams: Streams, how: Continual) -> int:
    """Bytes of the updates in use and of the texts of all steps."""
    total = 0
    for stream, past in enumerate(streams.past):
        needed = {update.id for update in how.keeper.held(streams.start, past)}
        for number, step in enumerate(past):
            total += len(step.task.context.encode()) + len(step.trial.edit.text.encode())
            if step.trial.update and step.trial.update.id in needed:
                total += sum(file.stat().st_size for file in streams.at(stream, number).iterdir())
    return total


def _dataset(run: Run) -> str:
    return str(run.config.get("command", ""))
