"""What a stream of documents has learned, in order: adding to it, going back, and taking a document out.

A run of documents keeps three files of its own: `stream.json`, its documents in order, what it was started with and
what came later; `stream-questions.json`, the questions that the model wrote about documents that came without; and
`forgotten.json`, titles and questions of the documents that it had to forget: a control group.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from selfedit.config import Config
from selfedit.errors import InputError
from selfedit.store import Run
from selfedit.types import Task
from selfedit.workflows.data import list_text, stored_tasks, tasks_of, tasks_text

STREAM = "stream-"
"""What the streams are called among a run's tasks."""

FIRST, SECOND = f"{STREAM}00", f"{STREAM}01"

DOCUMENTS, QUESTIONS, FORGOTTEN = "stream.json", "stream-questions.json", "forgotten.json"


def is_parallel(tasks: Mapping[str, Sequence[Task]]) -> bool:
    """Whether there are several streams, which train many adapters at a time."""
    return SECOND in tasks


def documents_of(run: Run) -> list[Task]:
    """The documents of the run, in order. Raises InputError for a run of many streams, or of another command."""
    if (run.path / DOCUMENTS).exists():
        return stored_tasks(run.path / DOCUMENTS)
    tasks = tasks_of(run)
    if "documents" in tasks:
        return tasks["documents"]
    if FIRST not in tasks or is_parallel(tasks):
        raise InputError(
            f"{run.path} is no stream of documents: name a run of `adapt`, or of `continual` with documents"
        )
    return tasks[FIRST]


def write_tasks(run: Run, name: str, tasks: Sequence[Task]) -> None:
    run.write_text(name, list_text(tasks))


def add_documents(run: Run, added: Sequence[Task]) -> None:
    """The next documents of a run of `adapt` or of a stream, which it is from now on."""
    documents = documents_of(run)
    taken = {document.id for document in documents}
    for document in added:
        name, number = document.id, 2
        while name in taken:
            name, number = f"{document.id}-{number}", number + 1
        taken.add(name)
        documents.append(replace(document, id=name))
    run.become("stream")  # first: a run killed in between would hold documents that `adapt` does not look at
    write_tasks(run, DOCUMENTS, documents)


def rollback(run: Run, step: int) -> list[Task]:
    """Take a run back to what it was after so many documents; those that were taken back. It is not run yet."""
    documents, min_step = documents_of(run), len(tasks_of(run).get("documents", []))
    if not min_step <= step < len(documents):
        raise InputError(
            f"{run.path} has learned {len(documents)} documents: STEP can be {min_step} to {len(documents) - 1}"
        )
    write_tasks(run, DOCUMENTS, documents[:step])
    run.become("stream")
    cut_from(run, step)
    return documents[step:]


def forget(run: Run, config: Config, document: str) -> list[Task]:
    """Take a document, by its title or id, out of a run; what is kept of it. It is not run yet.

    What is kept are the questions about it, to see that they are not answered any more, and nothing else.
    """
    documents, tasks = documents_of(run), tasks_of(run)
    adapted = {task.id for task in tasks.get("documents", [])}
    places = [place for place, task in enumerate(documents) if document in (task.title, task.id)]
    if not places:
        raise InputError(f"{run.path} has no document {document!r}; it has {', '.join(t.title for t in documents)}")
    if documents[places[0]].id in adapted:
        raise InputError(f"{document!r} was learned by adapt in one go with others; adapt them again without it")
    if len(places) == len(documents):
        raise InputError(f"{document!r} is all that {run.path} has learned; remove the folder instead")
    gone = [_questions_only(run, documents[place]) for place in places]
    path, names = run.path / FORGOTTEN, {task.id for task in gone}
    write_tasks(run, FORGOTTEN, [*(stored_tasks(path) if path.exists() else []), *gone])
    write_questions(run, {name: halves for name, halves in written_questions(run).items() if name not in names})
    kept = {group: [task for task in of_group if task.id not in names] for group, of_group in tasks.items()}
    run.write_text("tasks.json", tasks_text(kept))
    write_tasks(run, DOCUMENTS, [task for place, task in enumerate(documents) if place not in places])
    run.become("stream")
    for place in reversed(places):
        _forget_step(run, config, place)
    return gone


def _questions_only(run: Run, document: Task) -> Task:
    _, exam = written_questions(run).get(document.id, (document, document))
    return replace(document, context="", questions=document.questions or exam.questions)


LEARNING, OBSERVING = ("write", "ask", "learn"), ("seen", "neutral")
"""Stages with a batch per step: what led to the models, and what was seen of them (`control/…` too)."""


def heal(run: Run, streams: Sequence[Sequence[Task]]) -> None:
    """Cut off what the store holds from the first step on that learned another document than stands there now.

    So the list of documents alone says what a run is: one that is taken out is forgotten by going on without it.
    """
    for number, trials in sorted(run.by_stage().get("learn", {}).items()):
        now = [tasks[number].id for tasks in streams if number < len(tasks)]
        if [trial.edit.task_id for trial in trials] != now:
            return cut_from(run, number)


def cut_from(run: Run, step: int) -> None:
    """Forget all steps from this one on."""
    run.cut([*LEARNING, "before"], step)
    _cut_observations(run, step)


def _forget_step(run: Run, config: Config, step: int) -> None:
    """Forget one step. Adapters of a bank have never seen each other: the others stay. Else all later steps go too."""
    run.cut(["before"], step)
    run.cut(LEARNING, step, step if config.continual.methods == ("bank",) else None)
    _cut_observations(run, step)


def _cut_observations(run: Run, step: int) -> None:
    """Forget what was seen of the models from this step on, and of what had been forgotten before."""
    run.cut([*OBSERVING, *(stage for stage in run.by_stage() if stage.startswith("control/"))], step)
    run.cut(["before/forgotten", "control/forgotten"], 0)


def written_questions(run: Run) -> dict[str, tuple[Task, Task]]:
    """By document: the half for methods, and the half for exams."""
    path = run.path / QUESTIONS
    halves = stored_tasks(path) if path.exists() else []
    return {first.id: (first, second) for first, second in zip(halves[::2], halves[1::2], strict=True)}


def write_questions(run: Run, known: Mapping[str, tuple[Task, Task]]) -> None:
    write_tasks(run, QUESTIONS, [replace(half, context="") for halves in known.values() for half in halves])
