"""What a stream of documents has learned, in order: adding to it, going back, and taking a document out.

A run of documents keeps three files of its own: `stream.json`, its documents in order, what it was started with and
what came later; `stream-questions.json`, the questions that the model wrote about documents that came without; and
`forgotten.json`, titles and questions of the documents that it had to forget: a control group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfedit.errors import InputError
from selfedit.store import REPORT, Run
from selfedit.types import Task
from selfedit.workflows.data import TASKS, list_text, stored_tasks, tasks_of, tasks_text

STREAM = "stream-"
"""What the streams are called among a run's tasks."""

FIRST, SECOND = f"{STREAM}00", f"{STREAM}01"

DOCUMENTS, QUESTIONS, FORGOTTEN = "stream.json", "stream-questions.json", "forgotten.json"

RESULTS = ("summary.json", "matrix.json", "metrics.jsonl", REPORT)


def is_parallel(tasks: Mapping[str, Sequence[Task]]) -> bool:
    """Whether there are several streams, which train many adapters at a time."""
    return SECOND in tasks


def kind_of(run: Run) -> str:
    """Which workflow carries the run out: one that learned its documents in one go, and then more, is a stream."""
    return "stream" if run.read_text(DOCUMENTS) is not None else run.kind


def documents_of(run: Run) -> list[Task]:
    """The documents of the run, in order. Raises InputError for a run of many streams, or of another command."""
    documents = stored_tasks(run, DOCUMENTS)
    if documents is not None:
        return documents
    tasks = tasks_of(run)
    if "documents" in tasks:
        return tasks["documents"]
    if FIRST not in tasks or is_parallel(tasks):
        raise InputError(
            f"{run.path} is no stream of documents: name a run of `adapt`, or of `continual` with documents"
        )
    return tasks[FIRST]


def add_documents(run: Run, added: Sequence[Task]) -> list[Task]:
    """The next documents of a run of `adapt` or of a stream, which it is from now on; those that are new.

    One that is the same, text and questions, as the last of its title is there already: a command that is said again
    teaches nothing twice. Raises InputError for a run of `adapt` that has not finished.
    """
    documents = documents_of(run)
    if kind_of(run) == "adapt" and "exam" not in run.by_stage():
        raise InputError(f"{run.path} has not finished; first go on with it: selfedit resume {run.path}")
    first, taken = len(documents), {document.id for document in documents}
    last = {document.title: _content(document) for document in documents}
    for document in added:
        if last.get(document.title) == _content(document):
            continue
        name, number = document.id, 2
        while name in taken:
            name, number = f"{document.id}-{number}", number + 1
        taken.add(name)
        last[document.title] = _content(document)
        documents.append(replace(document, id=name))
    if documents[first:]:
        _change(run, {DOCUMENTS: list_text(documents)})
    return documents[first:]


def _content(document: Task) -> Task:
    return replace(document, id="")


def rollback(run: Run, step: int) -> list[Task]:
    """Take a run back to what it was after so many documents; those that were taken back. It is not run yet."""
    documents, min_step = documents_of(run), max(1, len(tasks_of(run).get("documents", [])))
    if step != len(documents) and not min_step <= step < len(documents):
        can = f"STEP can be {min_step} to {len(documents) - 1}" if min_step < len(documents) else "there is no way back"
        raise InputError(f"{run.path} has learned {len(documents)} documents: {can}")
    if documents[step:]:
        _change(run, {DOCUMENTS: list_text(documents[:step])})
    return documents[step:]


def forget(run: Run, document: str) -> list[Task]:
    """Take a document, by its title or id, out of a run; what is kept of it. It is not run yet.

    What is kept are the questions about it, to see that they are not answered any more, and nothing else.
    """
    documents, tasks, forgotten = documents_of(run), tasks_of(run), stored_tasks(run, FORGOTTEN) or []
    adapted = {task.id for task in tasks.get("documents", [])}
    places = [place for place, task in enumerate(documents) if document in (task.title, task.id)]
    if not places:
        if before := [task for task in forgotten if document in (task.title, task.id)]:
            return before
        raise InputError(f"{run.path} has no document {document!r}; it has {', '.join(t.title for t in documents)}")
    if documents[places[0]].id in adapted:
        raise InputError(f"{document!r} was learned by adapt in one go with others; adapt them again without it")
    if len(places) == len(documents):
        raise InputError(f"{document!r} is all that {run.path} has learned; remove the folder instead")
    gone = [_questions_only(run, documents[place]) for place in places]
    names, known = {task.id for task in gone}, written_questions(run)
    kept = {group: [task for task in of_group if task.id not in names] for group, of_group in tasks.items()}
    texts = {
        FORGOTTEN: list_text([*(task for task in forgotten if task.id not in names), *gone]),
        QUESTIONS: questions_text({name: halves for name, halves in known.items() if name not in names}),
        TASKS: tasks_text(kept),
        DOCUMENTS: list_text([task for place, task in enumerate(documents) if place not in places]),
    }
    _change(run, texts)
    return gone


def _change(run: Run, texts: Mapping[str, str]) -> None:
    """What the run should have learned, from now on: all of it, or it is as it was. Its results are gone with it.

    What it did learn is cut to that when it goes on (`heal`), however often it is stopped.
    """
    with run.transaction():
        for name, text in texts.items():
            run.keep_text(name, text)
        for name in RESULTS:
            run.keep_text(name, None)


def _questions_only(run: Run, document: Task) -> Task:
    _, exam = written_questions(run).get(document.id, (document, document))
    return replace(document, context="", questions=document.questions or exam.questions)


LEARNING, OBSERVING = ("write", "ask", "learn"), ("seen", "neutral")
"""Stages with a batch per step: what led to the models, and what was seen of them (`control/…` too)."""


def heal(run: Run, streams: Sequence[Sequence[Task]], steps_depend: bool) -> None:
    """Cut off what the store holds from the first step on that learned another document than stands there now.

    So the list of documents alone says what a run is: one that is taken out is forgotten by going on without it. Where
    no step depends on those before it, the step of a document that is gone is cut out, and the others stay.
    """
    wanted, place = {task.id for tasks in streams for task in tasks}, None
    for number, trials in sorted(run.by_stage().get("learn", {}).items()):
        place = number if place is None else place
        learned = [trial.edit.task_id for trial in trials]
        if learned == [tasks[place].id for tasks in streams if place < len(tasks)]:
            place += 1
        elif steps_depend or not wanted.isdisjoint(learned):
            return _cut(run, place)
        else:
            _cut(run, place, place)


def _cut(run: Run, step: int, last: int | None = None) -> None:
    """Forget what was learned from this step on, to the last; and all that was seen of the models since, and before of
    what had been forgotten.
    """
    with run.transaction():
        run.cut(LEARNING, step, last)
        control = [stage for stage in run.by_stage() if stage.startswith("control/")]
        run.cut(["before", *OBSERVING, *control], step)
        run.cut(["before/forgotten", "control/forgotten"], 0)


def written_questions(run: Run) -> dict[str, tuple[Task, Task]]:
    """By document: the half for methods, and the half for exams."""
    halves = stored_tasks(run, QUESTIONS) or []
    return {first.id: (first, second) for first, second in zip(halves[::2], halves[1::2], strict=True)}


def questions_text(known: Mapping[str, tuple[Task, Task]]) -> str:
    return list_text([replace(half, context="") for halves in known.values() for half in halves])
