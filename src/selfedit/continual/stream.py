"""The loop over streams of tasks: write, train, let the keeper decide, and again; all streams side by side.

A step of all streams is written, trained and examined in one wave, so that many small models share every batch. What a
step left is in the store and in `updates/<id>`: a run that was killed goes on with the step in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree

from selfedit.continual.evaluate import EvalPlan, StreamEvaluator
from selfedit.continual.methods.chain import MethodChain
from selfedit.loops.inner import Examiner, derive_seed
from selfedit.loops.outer import Remember, SamplingParams, read
from selfedit.loops.questions import draft, sieve
from selfedit.protocols import Engine, Progress, silent
from selfedit.types import (
    Example,
    Failure,
    Job,
    PendingStep,
    Question,
    Recipe,
    Request,
    SelfEdit,
    StreamStep,
    Task,
    Trial,
    Update,
)

Cut = Callable[[Task], list[Task]]
"""A document -> the passages that it is read in: itself, if it fits the model's context."""


@dataclass(frozen=True)
class StreamSettings:
    """How streams are learned. `keep_all` keeps the updates of every step, for rollback; else those in use.

    `questions`, by task: those that the model wrote before; about other tasks it writes some where a keeper asks.
    """

    keeper: MethodChain
    examiner: Examiner
    writing: SamplingParams
    inner: Recipe
    seed: int
    watch: EvalPlan
    keep_all: bool = True
    cut: Cut = lambda task: [task]
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

    def at(self, update: Update) -> Path:
        """Where an update is kept."""
        return self.folder / update.id


def run_streams(streams: Streams, how: StreamSettings, known: Remember) -> list[tuple[StreamStep, ...]]:
    """Learn every stream from end to end; the steps of each. What `known` has needs neither work nor models."""

    def remember(stage: str, number: int, compute: Callable[[], list[Trial]]) -> list[Trial]:
        def held() -> list[Trial]:
            hold(streams, how)
            return compute()

        return known(stage, number, held)

    watcher = StreamEvaluator(how.examiner, how.keeper, how.watch, streams.start, remember)
    watcher.before(streams.tasks)
    length = max(map(len, streams.tasks), default=0)
    given = len(streams.past[0])
    if given:
        watcher.after(given - 1, length, range(len(streams.tasks)), streams.tasks, streams.past)
    for number in range(given, length):
        live = [stream for stream, tasks in enumerate(streams.tasks) if number < len(tasks)]
        how.progress("edits", number, length, "")
        for stream, step in zip(live, take_step(streams, live, number, how, remember), strict=True):
            streams.past[stream] += (step,)
        watcher.after(number, length, live, streams.tasks, streams.past)
    how.progress("edits", length, length, "")
    return streams.past


def take_step(
    streams: Streams, live: Sequence[int], number: int, how: StreamSettings, remember: Remember
) -> list[StreamStep]:
    """One edit of every live stream: written, trained, settled and saved."""
    tasks = [replace(streams.tasks[stream][number], questions=()) for stream in live]
    edits = remember("write", number, lambda: _write(streams, live, tasks, how))
    asked = remember("ask", number, lambda: _ask(tasks, streams.start, how)) if how.keeper.asks else []
    questions = [_questions(trial) for trial in asked] or [()] * len(live)
    steps = [StreamStep(*row) for row in zip(tasks, edits, questions, strict=True)]
    learned = remember("learn", number, lambda: _learn(streams, live, steps, how))
    return [replace(step, trial=trial) for step, trial in zip(steps, learned, strict=True)]


def _write(streams: Streams, live: Sequence[int], tasks: Sequence[Task], how: StreamSettings) -> list[Trial]:
    """Each stream's model writes its own notes, on every passage of the document."""
    domain, writing = how.examiner.domain, how.writing
    asked = [
        (how.keeper.held(streams.start, streams.past[stream])[0], stream, task, passage)
        for stream, task in zip(live, tasks, strict=True)
        for passage in how.cut(task)
    ]
    texts = how.engine.sample(
        [
            Request(
                model,
                domain.prompt(passage),
                derive_seed(how.seed, "write", stream, passage.id),
                writing.temperature,
                writing.top_p,
                writing.max_new_tokens,
            )
            for model, stream, _, passage in asked
        ]
    )
    written = iter([read(passage, 0, text, domain) for (*_, passage), text in zip(asked, texts, strict=True)])
    return [
        replace(_joined(task, [next(written) for _ in how.cut(task)]), member=stream)
        for stream, task in zip(live, tasks, strict=True)
    ]


def _joined(task: Task, trials: Sequence[Trial]) -> Trial:
    """The edits of a document's passages as one; unreadable only if all are."""
    failed = [trial for trial in trials if trial.failure and trial.failure.blame == "system"]
    readable = [trial for trial in trials if trial.failure is None]
    if failed or not readable:
        return (failed or list(trials))[0]
    examples = dict.fromkeys(example for trial in readable for example in trial.edit.examples)
    text = "\n\n".join(trial.edit.text for trial in readable)
    return Trial(SelfEdit(task.id, readable[0].edit.prompt, text, tuple(examples)))


def _ask(tasks: Sequence[Task], start: Update, how: StreamSettings) -> list[Trial]:
    """Questions that the start model writes about each document and answers only with it; kept as examples."""
    examiner, new = replace(how.examiner, likelihood=False, control=()), [t for t in tasks if t.id not in how.questions]
    drafted = draft(new, start, examiner, how.writing, how.seed)
    kept = sieve([replace(task, questions=own) for task, own in zip(new, drafted, strict=True)], start, examiner)
    questions = {**how.questions, **{task.id: task.questions for task in kept}}
    return [
        Trial(SelfEdit(task.id, "", "", tuple(Example(q.text, q.target) for q in questions[task.id]))) for task in tasks
    ]


def _questions(trial: Trial) -> tuple[Question, ...]:
    return tuple(Question(example.prompt, example.target) for example in trial.edit.examples)


def _learn(streams: Streams, live: Sequence[int], steps: Sequence[StreamStep], how: StreamSettings) -> list[Trial]:
    """Train, let the keeper decide, and save what stands. An edit that could not be read changes nothing."""
    turns = [
        _turn(streams, stream, step, how)
        for stream, step in zip(live, steps, strict=True)
        if step.trial.failure is None
    ]
    prepared = how.keeper.prepare(turns)
    trained = how.engine.train([turn.job for turn in prepared])
    settled = how.keeper.settle(prepared, trained)
    for update in settled:
        if isinstance(update, Update):
            how.engine.save(update, streams.at(update))
    how.engine.release([u for u in (*trained, *settled) if isinstance(u, Update) and u.id not in streams.loaded])
    outcomes = {turn.stream: outcome for turn, outcome in zip(prepared, settled, strict=True)}
    return [_settled(step.trial, outcomes.get(stream)) for stream, step in zip(live, steps, strict=True)]


def _turn(streams: Streams, stream: int, step: StreamStep, how: StreamSettings) -> PendingStep:
    past = streams.past[stream]
    seed = derive_seed(how.seed, "learn", stream, step.task.id)
    turn = PendingStep(stream, streams.start, past, step, Job(streams.start, step.trial.edit.examples, how.inner, seed))
    return replace(turn, job=replace(turn.job, parent=turn.now))


def _settled(trial: Trial, outcome: Update | Failure | None) -> Trial:
    if isinstance(outcome, Failure):
        return replace(trial, failure=outcome)
    return replace(trial, update=outcome)


def hold(streams: Streams, how: StreamSettings) -> None:
    """Have in memory the updates that the streams need now, read from disk, and no others.

    They are always what the disk holds, so that a resumed run goes on as the unbroken one did. What is not needed any
    more leaves the disk too, unless all are kept.
    """
    needed = (how.keeper.held(streams.start, past) for past in streams.past)
    wanted = {update.id: update for of_stream in needed for update in of_stream if update != streams.start}
    unneeded = [update for name, update in streams.loaded.items() if name not in wanted]
    how.engine.release(unneeded)
    for update in unneeded if not how.keep_all else ():
        rmtree(streams.at(update))
    for name, update in wanted.items():
        if name not in streams.loaded:
            streams.loaded[name] = how.engine.load(streams.at(update), worn=True)
    streams.loaded = {name: streams.loaded[name] for name in wanted}


def drop_others(folder: Path, kept: Collection[str]) -> None:
    """Remove the updates of steps that are not among these ids; a policy's rounds and `adapter` stay."""
    for path in folder.glob("[0-9a-f]" * 16):
        if path.name not in kept:
            rmtree(path)
