"""Streams of documents from end to end: what `continual` and `adapt --into` run."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfedit.config import Config
from selfedit.continual.evaluate import EvalPlan
from selfedit.continual.methods import MethodContext, make_method
from selfedit.continual.methods.bank import routed_home
from selfedit.continual.remarks import remarks
from selfedit.continual.stream import Cut, Streams, StreamSettings, drop_others, run_streams
from selfedit.continual.summary import matrix, records, summarise
from selfedit.errors import InputError
from selfedit.protocols import Engine, Progress, silent
from selfedit.statistics import mean_interval
from selfedit.store import Run
from selfedit.types import BASE, Question, SelfEdit, StreamStep, Task, Trial, Update
from selfedit.workflows.train import make_domain, make_examiner, make_outer

STREAM = "stream-"
"""What the streams are called among a run's tasks; the other groups are control tasks, and NEUTRAL texts."""

NEUTRAL = "neutral"


@dataclass(frozen=True)
class StreamStart:
    """What a stream stands on when it begins: a model, and what that has learned already."""

    start: Update = BASE
    past: tuple[StreamStep, ...] = ()


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
    begun: StreamStart = StreamStart(),
    cut: Cut = lambda task: [task],
    questions: Mapping[str, tuple[Question, ...]] | None = None,
) -> dict[str, Any]:
    """Learn the run's streams, and write `summary.json` and `matrix.json`. Resumes what the run already holds.

    `questions`, by task, are some that the model wrote and the exams do not ask: keepers may look at these.
    """
    how = make_continual(run, config, tasks, engine, progress, cut, questions or {})
    streams = Streams(streams_of(tasks), begun.start, run.updates, [begun.past for _ in streams_of(tasks)])
    heal(run, streams.tasks)
    pasts = run_streams(streams, how, run.remember)
    waves = waves_of(run)
    found = records(waves)
    drop_others(run.updates, _kept(streams, how))
    summary = {
        **(summarise(found) if found else {}),
        **costs(run, streams, how, waves),
        "keepers": list(config.continual.keepers),
        "remarks": remarks(streams.tasks, pasts, waves),
    }
    if how.keeper.bank and found:
        shares = routed_home(how.keeper.bank, begun.start, pasts, streams.tasks)
        summary["routing"] = mean_interval(shares).fields
    if found:
        run.write_json("matrix.json", matrix(found, _dataset(run), config.model.name))
    run.write_json("summary.json", summary)
    run.write_metrics()
    return summary


def _kept(streams: Streams, how: StreamSettings) -> set[str]:
    """The ids of the updates that stay on disk."""
    if how.keep_all:
        return {step.trial.update.id for past in streams.past for step in past if step.trial.update}
    return {update.id for past in streams.past for update in how.keeper.held(streams.start, past)}


def make_continual(
    run: Run,
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    engine: Engine,
    progress: Progress,
    cut: Cut,
    questions: Mapping[str, tuple[Question, ...]],
) -> StreamSettings:
    """How the config says that streams are learned and watched."""
    examiner, outer, continual = make_examiner(config, engine, folder=run.path), make_outer(config), config.continual
    control = {
        name: of_group
        for name, of_group in tasks.items()
        if of_group and not name.startswith(STREAM) and name != NEUTRAL
    }
    neutral = [task.context for task in tasks.get(NEUTRAL, ())]
    return StreamSettings(
        make_method(continual.keepers, MethodContext(continual, examiner, config.seed)),
        examiner,
        outer.writing,
        config.inner.recipe(),
        config.seed,
        EvalPlan(control, neutral, continual.control_share, continual.exams == "doubling"),
        continual.keep == "all",
        cut,
        questions,
        progress,
    )


LEARNING, WATCHING = ("write", "ask", "learn"), ("seen", "neutral")
"""Stages with a wave per step: what led to the models, and what was seen of them (`control/…` too)."""


def heal(run: Run, streams: Sequence[Sequence[Task]]) -> None:
    """Cut off what the store holds from the first step on that learned another document than stands there now.

    So the list of documents alone says what a run is: one that is taken out is forgotten by going on without it.
    """
    for number, trials in sorted(waves_of(run).get("learn", {}).items()):
        now = [tasks[number].id for tasks in streams if number < len(tasks)]
        if [trial.edit.task_id for trial in trials] != now:
            return cut_from(run, number)


def cut_from(run: Run, step: int) -> None:
    """Forget all steps from this one on."""
    run.cut([*LEARNING, "before"], step)
    _cut_watching(run, step)


def forget_step(run: Run, config: Config, step: int) -> None:
    """Forget one step. Adapters of a bank have never seen each other: the others stay. Else all later steps go too."""
    run.cut(["before"], step)
    run.cut(LEARNING, step, step if tuple(config.continual.keepers) == ("bank",) else None)
    _cut_watching(run, step)


def _cut_watching(run: Run, step: int) -> None:
    """Forget what was seen of the models from this step on, and of what had been forgotten before."""
    run.cut([*WATCHING, *(stage for stage in waves_of(run) if stage.startswith("control/"))], step)
    run.cut(["before/forgotten", "control/forgotten"], 0)


def stands_on(run: Run, config: Config, documents: Sequence[Task], engine: Engine, cut: Cut) -> StreamStart:
    """What `adapt` left in the run: its adapter, and a step for each of the documents that it holds."""
    notes: dict[str, list[Trial]] = {}
    for trials in waves_of(run).get("notes", {}).values():
        for trial in trials:
            notes.setdefault(trial.edit.task_id, []).append(trial)
    domain, steps = make_domain(config), list[StreamStep]()
    for document in documents:
        parts = cut(document)
        trials = [t for part in parts for t in notes.get(part.id, []) if t.failure is None]
        learned = [*(t.edit.examples for t in trials), *(domain.without_edit(part).examples for part in parts)]
        examples = tuple(dict.fromkeys(example for of_one in learned for example in of_one))
        text = "\n\n".join(trial.edit.text for trial in trials)
        steps.append(StreamStep(replace(document, questions=()), Trial(SelfEdit(document.id, "", text, examples))))
    return StreamStart(engine.load(run.updates / "adapter"), tuple(steps))


def waves_of(run: Run) -> dict[str, dict[int, list[Trial]]]:
    """What the store holds, by stage and step."""
    waves: dict[str, dict[int, list[Trial]]] = {}
    for wave in run.waves():
        waves.setdefault(wave.stage, {})[wave.number] = wave.trials
    return waves


def costs(
    run: Run, streams: Streams, how: StreamSettings, waves: Mapping[str, Mapping[int, Sequence[Trial]]]
) -> dict[str, Any]:
    """Seconds, trained tokens and stored bytes per edit; seconds and tokens also step by step.

    Seconds are those of writing, asking and learning a step of all streams, shared out among these: they were done side
    by side. Bytes are what must be kept to answer and to go on: adapters, and the texts that keepers look back at.
    `memory` is the most that this process took, in bytes: it depends on how many streams there are and is not stored.
    """
    edits = max(1, sum(len(tasks) for tasks in streams.tasks))
    seconds: dict[int, float] = {}
    for wave in run.waves():
        if wave.stage in LEARNING:
            seconds[wave.number] = seconds.get(wave.number, 0.0) + wave.seconds / len(wave.trials)
    learned = waves.get("learn", {})
    trained = {
        number: sum(t.update.tokens for t in trials if t.update) / len(trials) for number, trials in learned.items()
    }
    return {
        "seconds": sum(seconds[number] * len(learned[number]) for number in learned) / edits,
        "tokens": sum(trained[number] * len(learned[number]) for number in learned) / edits,
        "bytes": stored_bytes(streams, how) / edits,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "by_step": {"seconds": [seconds[n] for n in sorted(learned)], "tokens": [trained[n] for n in sorted(learned)]},
    }


def stored_bytes(streams: Streams, how: StreamSettings) -> int:
    """Bytes of the updates in use and of the texts of all steps."""
    total = 0
    for past in streams.past:
        needed = {update.id for update in how.keeper.held(streams.start, past)}
        for step in past:
            total += len(step.task.context.encode()) + len(step.trial.edit.text.encode())
            if step.trial.update and step.trial.update.id in needed:
                total += sum(file.stat().st_size for file in streams.at(step.trial.update).iterdir())
    return total


def _dataset(run: Run) -> str:
    return str(run.config.get("command", ""))
