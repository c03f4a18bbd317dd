"""The loop over streams of tasks: write, train, let the keeper decide, and again; all streams side by side.

A step of all streams is written, trained and examined in one wave, so that many small models share every batch. What a
step left is in the store and in `updates/stream-00/step-000`: a run that was killed goes on with the step in flight.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree

from selfedit.continual.chain import Chain
from selfedit.continual.watch import Watch, Watcher
from selfedit.inner import Examiner, derive_seed
from selfedit.outer import Remember, Writing, read
from selfedit.protocols import Engine, Progress, silent
from selfedit.questions import draft, sieve
from selfedit.types import (
    Example,
    Failure,
    Job,
    Question,
    Recipe,
    Request,
    SelfEdit,
    Step,
    Task,
    Trial,
    Turn,
    Update,
)

Cut = Callable[[Task], list[Task]]
"""A document -> the passages that it is read in: itself, if it fits the model's context."""


@dataclass(frozen=True)
class Continual:
    """How streams are learned. `keep_all` keeps the updates of every step, for rollback; else those in use."""

    keeper: Chain
    examiner: Examiner
    writing: Writing
    inner: Recipe
    seed: int
    watch: Watch
    keep_all: bool = True
    cut: Cut = lambda task: [task]
    progress: Progress = silent

    @property
    def engine(self) -> Engine:
        return self.examiner.engine


@dataclass
class Streams:
    """Where the streams stand: `past[i]` are the steps of stream i, of which some may have been taken before this run."""

    tasks: Sequence[Sequence[Task]]
    start: Update
    folder: Path
    past: list[tuple[Step, ...]]
    loaded: dict[str, Update] = field(default_factory=dict)

    def at(self, stream: int, step: int) -> Path:
        """Where the update of a step is kept."""
        return self.folder / f"stream-{stream:02d}" / f"step-{step:03d}"


def run_streams(streams: Streams, how: Continual, remember: Remember) -> list[tuple[Step, ...]]:
    """Learn every stream from end to end; the steps of each. What `remember` knows is not done again."""
    watcher = Watcher(how.examiner, how.keeper, how.watch, streams.start, remember)
    watcher.before(streams.tasks)
    length = max(map(len, streams.tasks), default=0)
    for number in range(length):
        live = [stream for stream, tasks in enumerate(streams.tasks) if number < len(tasks)]
        how.progress("edits", number, length, "")
        hold(streams, how)
        for stream, step in zip(live, take_step(streams, live, number, how, remember), strict=True):
            streams.past[stream] += (step,)
        hold(streams, how)
        watcher.after(number, length, live, streams.tasks, streams.past)
    how.progress("edits", length, length, "")
    return streams.past


def take_step(
    streams: Streams, live: Sequence[int], number: int, how: Continual, remember: Remember
) -> list[Step]:
    """One edit of every live stream: written, trained, settled and saved."""
    tasks = [replace(streams.tasks[stream][number], questions=()) for stream in live]
    edits = remember("write", number, lambda: _write(streams, live, tasks, how))
    asked = remember("ask", number, lambda: _ask(tasks, streams.start, how)) if how.keeper.asks else []
    questions = [_questions(trial) for trial in asked] or [()] * len(live)
    steps = [Step(*row) for row in zip(tasks, edits, questions, strict=True)]
    learned = remember("learn", number, lambda: _learn(streams, live, steps, how))
    return [replace(step, trial=trial) for step, trial in zip(steps, learned, strict=True)]


def _write(streams: Streams, live: Sequence[int], tasks: Sequence[Task], how: Continual) -> list[Trial]:
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
                derive_seed(how.seed, "write", stream, passage.id, len(streams.past[stream])),
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


def _ask(tasks: Sequence[Task], start: Update, how: Continual) -> list[Trial]:
    """Questions that the start model writes about each document and answers only with it; kept as examples."""
    examiner = replace(how.examiner, likelihood=False, control=())
    drafted = draft(tasks, start, examiner, how.writing, how.seed)
    kept = sieve([replace(task, questions=own) for task, own in zip(tasks, drafted, strict=True)], start, examiner)
    return [
        Trial(SelfEdit(task.id, "", "", tuple(Example(q.text, q.target) for q in task.questions))) for task in kept
    ]


def _questions(trial: Trial) -> tuple[Question, ...]:
    return tuple(Question(example.prompt, example.target) for example in trial.edit.examples)


def _learn(streams: Streams, live: Sequence[int], steps: Sequence[Step], how: Continual) -> list[Trial]:
    """Train, let the keeper decide, and save what stands. An edit that could not be read leaves its stream as it was."""
    turns = [
        _turn(streams, stream, step, how)
        for stream, step in zip(live, steps, strict=True)
        if step.trial.failure is None
    ]
    prepared = how.keeper.prepare(turns)
    trained = how.engine.train([turn.job for turn in prepared])
    settled = how.keeper.settle(prepared, trained)
    for turn, update in zip(prepared, settled, strict=True):
        if isinstance(update, Update):
            how.engine.save(update, streams.at(turn.stream, len(turn.past)))
    how.engine.release([u for u in (*trained, *settled) if isinstance(u, Update) and u.id not in streams.loaded])
    outcomes = {turn.stream: outcome for turn, outcome in zip(prepared, settled, strict=True)}
    return [_settled(step.trial, outcomes.get(stream)) for stream, step in zip(live, steps, strict=True)]


def _turn(streams: Streams, stream: int, step: Step, how: Continual) -> Turn:
    past = streams.past[stream]
    seed = derive_seed(how.seed, "learn", stream, len(past))
    turn = Turn(stream, streams.start, past, step, Job(streams.start, step.trial.edit.examples, how.inner, seed))
    return replace(turn, job=replace(turn.job, parent=turn.now))


def _settled(trial: Trial, outcome: Update | Failure | None) -> Trial:
    if isinstance(outcome, Failure):
        return replace(trial, failure=outcome)
    return replace(trial, update=outcome)


def hold(streams: Streams, how: Continual) -> None:
    """Have in memory the updates that the streams need now, read from disk, and no others.

    They are always what the disk holds, so that a resumed run goes on as the unbroken one did.
    """
    wanted: dict[str, Path] = {}
    for stream, past in enumerate(streams.past):
        needed = {update.id for update in how.keeper.held(streams.start, past)}
        wanted |= {
            step.trial.update.id: streams.at(stream, number)
            for number, step in enumerate(past)
            if step.trial.update and step.trial.update.id in needed
        }
    how.engine.release([update for name, update in streams.loaded.items() if name not in wanted])
    kept = {name: update for name, update in streams.loaded.items() if name in wanted}
    streams.loaded = kept | {n: how.engine.load(path, worn=True) for n, path in wanted.items() if n not in kept}
    for folder in [] if how.keep_all else streams.folder.glob("stream-*/step-*"):
        if folder not in wanted.values():
            rmtree(folder)
