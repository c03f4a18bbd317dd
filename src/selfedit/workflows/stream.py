"""Streams of tasks from end to end: many side by side, or the documents of one, one after another."""

from __future__ import annotations

import logging
import resource
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from selfedit.config import Config
from selfedit.continual.evaluate import READING, EvalPlan
from selfedit.continual.methods import MethodContext, check_methods, make_method, make_router, router_name
from selfedit.continual.remarks import remarks
from selfedit.continual.routers import routing_accuracy
from selfedit.continual.stream import Split, Streams, StreamSettings, drop_others, run_streams
from selfedit.continual.summary import Observed, matrix, records, summarise_streams
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.errors import InputError
from selfedit.loops.inner import merge_edits
from selfedit.loops.questions import self_exams
from selfedit.protocols import Engine, Progress, silent
from selfedit.results import StreamCosts, StreamSummary, Summary, stream_table
from selfedit.statistics import share_interval
from selfedit.store import Run
from selfedit.types import BASE, DraftedQuestions, Question, SelfEdit, StreamStep, Task, Trial, Update
from selfedit.workflows.adapt import ADAPTER
from selfedit.workflows.build import make_domain, make_examiner
from selfedit.workflows.data import Tasks, read_neutral, stored_tasks, tasks_of
from selfedit.workflows.engine import load_update, splitter
from selfedit.workflows.history import (
    FIRST,
    FORGOTTEN,
    LEARNING,
    QUESTIONS,
    STREAM,
    documents_of,
    heal,
    is_parallel,
    questions_text,
    written_questions,
)
from selfedit.workflows.train import invented_remark
from selfedit.worlds.almanac import world
from selfedit.worlds.almanac.documents import known_entries

log = logging.getLogger(__name__)

NEUTRAL = "neutral"
"""Among a run's tasks: texts that are about none of them. The other groups are streams and control tasks."""


@dataclass(frozen=True)
class StreamStart:
    """What a stream stands on when it begins: a model, and what that has learned already."""

    update: Update = BASE
    past: tuple[StreamStep, ...] = ()


# What is to be learned


def document_tasks(config: Config, documents: list[Task], control: Path | None = None) -> Tasks:
    """The tasks of a run that learns these documents one after another."""
    texts = read_neutral(Path(config.continual.neutral)) if config.continual.neutral else []
    return {
        FIRST: documents,
        "control": read_tasks(control) if control else [],
        NEUTRAL: _neutral(texts, config.continual.neutral_texts),
    }


def almanac_streams(config: Config, split: world.Split = "exam") -> Tasks:
    """Streams of unseen passages; of three control groups: passages never taught, closed book (`control`) and with the
    passage in the prompt (`reading`), and entries the embedded model knows by heart (`known`).
    """
    continual = config.continual
    count, others = continual.streams * continual.tasks, continual.control
    tasks = world.tasks(split, count + 2 * others, config.seed)
    more = world.tasks(split, count + 2 * others + continual.neutral_texts, config.seed)[count + 2 * others :]
    rng = Random(config.seed)
    known = [world.task(entry, rng) for entry in known_entries()[:others]]
    own_texts = [f"{task.title}\n{task.context}" for task in more]
    given = read_neutral(Path(continual.neutral)) if continual.neutral else own_texts
    streams = {
        f"{STREAM}{number:02d}": tasks[number * continual.tasks : (number + 1) * continual.tasks]
        for number in range(continual.streams)
    }
    return {
        **streams,
        "control": tasks[count : count + others],
        READING: tasks[count + others : count + 2 * others],
        "known": known,
        NEUTRAL: _neutral(given, continual.neutral_texts),
    }


def _neutral(texts: Sequence[str], count: int) -> list[Task]:
    return [Task(f"{NEUTRAL}-{number}", "", text) for number, text in enumerate(texts[:count])]


# Learning it


def stream(run: Run, config: Config, engine: Engine, progress: Progress = silent) -> Summary:
    """Learn what the run has not learned yet: several streams of tasks, or one of documents."""
    tasks = tasks_of(run)
    if is_parallel(tasks):
        start = StreamStart(load_update(engine, config.outer.policy))
        return summary_of(run_continual(run, config, tasks, engine, progress, start), tasks)
    split, adapted = splitter(config, engine), tasks.pop("documents", [])
    if adapted:
        start = learned_by_adapt(run, config, adapted, engine, split)
    else:
        start = StreamStart(load_update(engine, config.outer.policy))
    tasks[FIRST], questions = with_questions(run, config, documents_of(run), engine, progress)
    if forgotten := stored_tasks(run, FORGOTTEN):
        tasks["forgotten"] = [task for task in forgotten if task.questions]
    return summary_of(run_continual(run, config, tasks, engine, progress, start, split, questions), tasks)


def summary_of(found: StreamSummary, tasks: Mapping[str, Sequence[Task]]) -> Summary:
    of_report = [task for of_group in tasks.values() for task in of_group]
    return Summary(stream=found, tables=[stream_table(found)], remarks=found.remarks, tasks=of_report)


def run_continual(
    run: Run,
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    engine: Engine,
    progress: Progress = silent,
    start: StreamStart = StreamStart(),
    split: Split = lambda task: [task],
    questions: Mapping[str, tuple[Question, ...]] | None = None,
) -> StreamSummary:
    """Learn the run's streams, and write `summary.json` and `matrix.json`. Resumes what the run already holds.

    `questions`, by task, are some that the model wrote and the exams do not ask: methods may look at these.
    """
    names = sorted(name for name in tasks if name.startswith(STREAM))
    if not names or not all(tasks[name] for name in names):
        raise InputError("the stream is empty: name at least one document to learn")
    settings = stream_settings(run, config, tasks, engine, progress, split, questions or {})
    streams = Streams([tasks[name] for name in names], start.update, run.updates, [start.past for _ in names])
    heal(run, streams.tasks, settings.method.steps_depend)
    pasts = run_streams(streams, settings, run.remember)
    observed = observed_in(run)
    found = records(observed)
    drop_others(run.updates, _kept(streams, settings))
    summary = replace(
        summarise_streams(found) if found else StreamSummary(),
        costs=costs(run, streams, settings),
        methods=config.continual.methods,
        remarks=tuple(remarks(streams.tasks, pasts, observed.seen)),
    )
    if router_name(config.continual) != "last" and found:
        shares = routing_accuracy(settings.router, start.update, pasts, streams.tasks)
        summary = replace(summary, routing=share_interval(shares))
    if found:
        run.keep_json("matrix.json", matrix(found, str(run.config.get("command", "")), config.model.name))
    run.keep_json("summary.json", summary.to_json())
    run.write_metrics()
    return summary


def stream_settings(
    run: Run,
    config: Config,
    tasks: Mapping[str, Sequence[Task]],
    engine: Engine,
    progress: Progress,
    split: Split,
    questions: Mapping[str, tuple[Question, ...]],
) -> StreamSettings:
    """How the config says that streams are learned and examined."""
    check_methods(config.continual)
    examiner, continual = make_examiner(config, engine, folder=run.path), config.continual
    context = MethodContext(continual, examiner, config.seed)
    control = {
        name: of_group
        for name, of_group in tasks.items()
        if of_group and not name.startswith(STREAM) and name != NEUTRAL
    }
    neutral = [task.context for task in tasks.get(NEUTRAL, ())]
    return StreamSettings(
        make_method(continual.methods, context),
        make_router(context),
        examiner,
        config.outer.sampling,
        config.seed,
        EvalPlan(control, neutral, continual.control_share, continual.exams == "doubling"),
        continual.keep == "all",
        split,
        questions,
        progress,
    )


def with_questions(
    run: Run, config: Config, documents: list[Task], engine: Engine, progress: Progress
) -> tuple[list[Task], dict[str, tuple[Question, ...]]]:
    """The documents, those without questions with some that the model wrote; and others of these, for methods."""
    known = written_questions(run)
    new = [document for document in documents if not document.questions and document.id not in known]
    if new:
        progress("questions", 0, len(new), "")
        exams = self_exams(new, BASE, make_examiner(config, engine), config.outer.sampling, config.seed)
        known |= {document.id: (exam.reward, exam.report) for document, exam in zip(new, exams, strict=True)}
        run.keep_text(QUESTIONS, questions_text(known))
        for remark in invented_remark([DraftedQuestions(e.report.id, e.report.questions, e.invented) for e in exams]):
            log.info("%s", remark)
        progress("questions", len(new), len(new), "")
    asked = [replace(d, questions=d.questions or known[d.id][1].questions) for d in documents]
    return asked, {name: reward.questions for name, (reward, _) in known.items()}


def learned_by_adapt(run: Run, config: Config, documents: Sequence[Task], engine: Engine, split: Split) -> StreamStart:
    """What `adapt` left in the run: its adapter, and a step for each of the documents that it holds."""
    notes: dict[str, list[Trial]] = {}
    for trials in run.by_stage().get("notes", {}).values():
        for trial in trials:
            notes.setdefault(trial.edit.task_id, []).append(trial)
    domain, steps = make_domain(config), list[StreamStep]()
    for document in documents:
        parts = split(document)
        written = [trial for part in parts for trial in notes.get(part.id, []) if trial.failure is None]
        whole = merge_edits([*written, *(Trial(domain.without_edit(part)) for part in parts)])
        text = "\n\n".join(trial.edit.text for trial in written)
        edit = SelfEdit(document.id, "", text, tuple(dict.fromkeys(whole.edit.examples)), whole.edit.recipe)
        steps.append(StreamStep(replace(document, questions=()), Trial(edit)))
    return StreamStart(engine.load(run.updates / ADAPTER), tuple(steps))


# What came of it


def observed_in(run: Run) -> Observed:
    """All that was seen of the streams, from the store."""
    stages = run.by_stage()
    groups = [stage.removeprefix("control/") for stage in stages if stage.startswith("control/")]
    (neutral,) = stages["before/neutral"][0] if "before/neutral" in stages else (None,)
    return Observed(
        stages.get("before", {}),
        stages.get("seen", {}),
        {group: stages[f"before/{group}"][0] for group in groups},
        {group: stages[f"control/{group}"] for group in groups},
        neutral,
        stages.get("neutral", {}),
    )


def costs(run: Run, streams: Streams, settings: StreamSettings) -> StreamCosts:
    edits = max(1, sum(len(tasks) for tasks in streams.tasks))
    seconds: dict[int, float] = {}
    learned: dict[int, list[Trial]] = {}
    for batch in run.batches():
        if batch.stage in LEARNING:
            seconds[batch.step] = seconds.get(batch.step, 0.0) + batch.seconds / len(batch.items)
        if batch.stage == "learn":
            learned[batch.step] = batch.trials
    trained = {
        number: sum(t.update.tokens for t in trials if t.update) / len(trials) for number, trials in learned.items()
    }
    return StreamCosts(
        seconds=sum(seconds[number] * len(learned[number]) for number in learned) / edits,
        tokens=sum(trained[number] * len(learned[number]) for number in learned) / edits,
        bytes=stored_bytes(streams, settings) / edits,
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        by_step={"seconds": [seconds[n] for n in sorted(learned)], "tokens": [trained[n] for n in sorted(learned)]},
    )


def stored_bytes(streams: Streams, settings: StreamSettings) -> int:
    """Bytes of the updates in use and of the texts of all steps."""
    total = 0
    for past in streams.past:
        needed = {update.id for update in settings.router.active(streams.start, past)}
        for step in past:
            total += len(step.task.context.encode()) + len(step.trial.edit.text.encode())
            if step.trial.update and step.trial.update.id in needed:
                total += sum(file.stat().st_size for file in streams.path_of(step.trial.update).iterdir())
    return total


def _kept(streams: Streams, settings: StreamSettings) -> set[str]:
    """The ids of the updates that stay on disk."""
    if settings.keep_all:
        return {step.trial.update.id for past in streams.past for step in past if step.trial.update}
    return {update.id for past in streams.past for update in settings.router.active(streams.start, past)}
