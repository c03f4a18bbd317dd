"""The loop over streams of tasks: write, train, let the method decide, and again; all streams side by side.

A step of all streams is written, trained and examined in one batch, so that many small models share every forward pass.
What a step left is in the store and in `updates/<id>`: a run that was killed goes on with the step in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from selfedit.continual.evaluate import EvalPlan, StreamEvaluator
from selfedit.files import remove_folder
from selfedit.loops.examine import Examiner
from selfedit.loops.inner import for_edits, merge_edits
from selfedit.loops.outer import Writing, write
from selfedit.loops.questions import draft, sieve
from selfedit.protocols import ContinualMethod, Engine, NounT, Progress, Remember, Router, silent
from selfedit.seeds import derive_seed
from selfedit.types import (
    DraftedQuestions,
    Failure,
    Job,
    PendingStep,
    Question,
    SamplingParams,
    StreamStep,
    Task,
    Trial,
    Update,
    model_of,
)

Split = Callable[[Task], list[Task]]
"""A document -> the passages that it is read in: itself, if it fits the model's context."""


@dataclass(frozen=True)
class StreamSettings:
    """How streams are learned. `keep_all` keeps the updates of every step, for rollback; else those in use.

    `questions`, by task: those that the model wrote before; about other tasks it writes some if the method needs any.
    """

    method: ContinualMethod
    router: Router
    examiner: Examiner
    sampling: SamplingParams
    seed: int
    plan: EvalPlan
    keep_all: bool = True
    split: Split = lambda task: [task]
    questions: Mapping[str, tuple[Question, ...]] = field(default_factory=dict)
    progress: Progress = silent

    @property
    def engine(self) -> Engine:
        return self.examiner.engine


@dataclass
class Streams:
    """Where the streams stand: `past[i]` are the steps of stream i.

    The first tasks may have been learned before this run, in `start`; then all streams begin with as many such steps.
    """

    tasks: Sequence[Sequence[Task]]
    start: Update
    folder: Path
    past: list[tuple[StreamStep, ...]]
    loaded: dict[str, Update] = field(default_factory=dict)

    def path_of(self, update: Update) -> Path:
        return self.folder / update.id


def run_streams(streams: Streams, settings: StreamSettings, store: Remember) -> list[tuple[StreamStep, ...]]:
    """Learn every stream from end to end; the steps of each. What is stored needs neither work nor models."""

    def remember(stage: str, step: int, compute: Callable[[], list[NounT]], noun: type[NounT]) -> list[NounT]:
        def with_models() -> list[NounT]:
            load_active(streams, settings)
            return compute()

        return store(stage, step, with_models, noun)

    evaluator = StreamEvaluator(settings.examiner, settings.router, settings.plan, streams.start, remember)
    evaluator.before(streams.tasks)
    length, given = max(map(len, streams.tasks), default=0), len(streams.past[0])
    if given:
        evaluator.after(given - 1, length, range(len(streams.tasks)), streams.tasks, streams.past)
    for number in range(given, length):
        live = [stream for stream, tasks in enumerate(streams.tasks) if number < len(tasks)]
        settings.progress("edits", number, length, "")
        for stream, step in zip(live, take_step(streams, live, number, settings, remember), strict=True):
            streams.past[stream] += (step,)
        evaluator.after(number, length, live, streams.tasks, streams.past)
    settings.progress("edits", length, length, "")
    return streams.past


def take_step(
    streams: Streams, live: Sequence[int], number: int, settings: StreamSettings, remember: Remember
) -> list[StreamStep]:
    """One edit of every live stream: written, asked about, trained, accepted and saved."""
    tasks = [replace(streams.tasks[stream][number], questions=()) for stream in live]
    edits = remember("write", number, partial(_write, streams, live, tasks, settings), Trial)
    drafted = [DraftedQuestions(task.id, ()) for task in tasks]
    if settings.method.needs_questions:
        drafted = remember("ask", number, partial(_draft, tasks, streams.start, settings), DraftedQuestions)
    steps = [StreamStep(task, edit, own.questions) for task, edit, own in zip(tasks, edits, drafted, strict=True)]
    learned = remember("learn", number, partial(_learn, streams, live, steps, settings), Trial)
    return [replace(step, trial=trial) for step, trial in zip(steps, learned, strict=True)]


def _write(streams: Streams, live: Sequence[int], tasks: Sequence[Task], settings: StreamSettings) -> list[Trial]:
    """Each stream's model writes its own notes, on every passage of the document."""
    domain, sampling = settings.examiner.domain, settings.sampling
    passages = [(stream, passage) for stream, task in zip(live, tasks, strict=True) for passage in settings.split(task)]
    asked = []
    for stream, passage in passages:
        writer = settings.router.active(streams.start, streams.past[stream])[0]
        asked.append(Writing(writer, passage, 0, derive_seed(settings.seed, "write", stream, passage.id)))
    written = iter(write(asked, domain, settings.engine, sampling))
    trials = []
    for stream, task in zip(live, tasks, strict=True):
        whole = merge_edits([next(written) for _ in settings.split(task)])
        examples = tuple(dict.fromkeys(whole.edit.examples))
        recipe = for_edits(whole.edit.recipe, len(settings.split(task)))
        edit = replace(whole.edit, task_id=task.id, examples=examples, recipe=recipe)
        trials.append(replace(whole, edit=edit, member=stream))
    return trials


def _draft(tasks: Sequence[Task], start: Update, settings: StreamSettings) -> list[DraftedQuestions]:
    """Questions that the start model writes about each document and answers only with it."""
    examiner, new = settings.examiner.only_grades, [task for task in tasks if task.id not in settings.questions]
    drafted = draft(new, start, examiner, settings.sampling, settings.seed)
    kept = sieve([replace(task, questions=own) for task, own in zip(new, drafted, strict=True)], start, examiner)
    questions = {**settings.questions, **{task.id: task.questions for task in kept}}
    return [DraftedQuestions(task.id, questions[task.id]) for task in tasks]


def _learn(streams: Streams, live: Sequence[int], steps: Sequence[StreamStep], settings: StreamSettings) -> list[Trial]:
    """Train, let the method decide, and save what stands. An edit that could not be read changes nothing.

    A trial names the recipe it was trained by, which the method may have changed.
    """
    engine, pending = settings.engine, list[PendingStep]()
    for stream, step in zip(live, steps, strict=True):
        if step.trial.failure is None:
            past, edit = streams.past[stream], step.trial.edit
            seed = derive_seed(settings.seed, "learn", stream, step.task.id)
            job = Job(model_of(streams.start, past), edit.examples, edit.recipe, seed)
            pending.append(PendingStep(stream, streams.start, past, step, job))
    prepared = settings.method.prepare(pending)
    trained = engine.train([learned.job for learned in prepared])
    accepted = settings.method.accept(prepared, trained)
    for update in accepted:
        if isinstance(update, Update):
            engine.save(update, streams.path_of(update))
    engine.release([u for u in (*trained, *accepted) if isinstance(u, Update) and u.id not in streams.loaded])
    trials = {stream: step.trial for stream, step in zip(live, steps, strict=True)}
    for learned, outcome in zip(prepared, accepted, strict=True):
        trial = trials[learned.stream]
        edit = replace(trial.edit, recipe=learned.job.recipe)
        if isinstance(outcome, Failure):
            trials[learned.stream] = replace(trial, edit=edit, failure=outcome)
        else:
            trials[learned.stream] = replace(trial, edit=edit, update=outcome)
    return list(trials.values())


def load_active(streams: Streams, settings: StreamSettings) -> None:
    """Have in memory the updates that the streams need now, read from disk, and no others.

    They are always what the disk holds, so that a resumed run goes on as the unbroken one did. What is not needed any
    more leaves the disk too, unless all are kept.
    """
    active = (settings.router.active(streams.start, past) for past in streams.past)
    needed = {update.id: update for of_stream in active for update in of_stream if update != streams.start}
    unneeded = [update for name, update in streams.loaded.items() if name not in needed]
    settings.engine.release(unneeded)
    for update in unneeded if not settings.keep_all else ():
        remove_folder(streams.path_of(update))
    for name, update in needed.items():
        if name not in streams.loaded:
            streams.loaded[name] = settings.engine.load(streams.path_of(update), one_of_many=True)
    streams.loaded = {name: streams.loaded[name] for name in needed}


def drop_others(folder: Path, kept: Collection[str]) -> None:
    """Remove the updates of steps that are not among these ids; a policy's rounds and `adapter` stay."""
    for path in folder.glob("[0-9a-f]" * 16):
        if path.name not in kept:
            remove_folder(path)
