"""`continual`, `adapt --into`, `rollback` and `forget`: a model that goes on learning, and can take it back."""

from __future__ import annotations

import json as json_module
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer

from selfedit.cli import screen, tables
from selfedit.cli.common import (
    Json,
    Memory,
    Model,
    Output,
    Set,
    as_task,
    config_of,
    engine_for_many,
    load_update,
    make_config,
    make_engine,
    print_json,
    resumable,
    start_run,
    tasks_of,
    update_folder,
    write_report,
)
from selfedit.cli.cutting import cutter
from selfedit.config import Config
from selfedit.continual.evaluate import READING
from selfedit.domains.knowledge.reader import add_questions, read_documents, read_tasks
from selfedit.errors import InputError
from selfedit.files import read_text
from selfedit.loops.questions import self_exams
from selfedit.protocols import Engine, Progress
from selfedit.store import Run, read_json
from selfedit.types import BASE, Question, Task
from selfedit.workflows.stream import NEUTRAL, STREAM, StreamStart, cut_from, forget_step, run_continual, stands_on
from selfedit.workflows.train import make_examiner, make_outer
from selfedit.worlds.almanac import world
from selfedit.worlds.almanac.documents import known_entries

DOCUMENTS = "stream.json"
"""The documents of a run that goes on learning, in order: what it was started with and what came later."""

QUESTIONS = "stream-questions.json"
"""The questions that the model wrote about documents that came without."""

FORGOTTEN = "forgotten.json"
"""Titles and questions of the documents that it had to forget: a control group."""

Tasks = dict[str, list[Task]]


def continual(
    documents: Annotated[
        list[Path] | None, typer.Argument(help=".txt, .md, or .json in SEAL's layout; none: the almanac", metavar="DOC")
    ] = None,
    keeper: Annotated[
        str | None,
        typer.Option(
            "--keeper", "-k", help="merge, replay, distil, ortho, ewc, gate, bank, consolidate; several with commas"
        ),
    ] = None,
    model: Model = None,
    questions: Annotated[Path | None, typer.Option("--questions", "-q", help="JSON list of {question, answer}")] = None,
    control: Annotated[
        Path | None, typer.Option("--control", help="passages with questions that are never taught, JSON")
    ] = None,
    neutral: Annotated[
        Path | None, typer.Option("--neutral", help="texts that are about none of it: a JSON list, or a file")
    ] = None,
    policy: Annotated[Path | None, typer.Option("--policy", help="begin with this trained run's policy")] = None,
    overrides: Set = None,
    memory: Memory = None,
    output: Output = None,
    json: Json = False,
) -> None:
    """Learn documents one after another, and see after each what is still known of the earlier ones.

    Without documents it learns streams of almanac passages (continual.streams, continual.tasks), to compare keepers.

    Example: selfedit continual --keeper replay,gate --set continual.streams=4 --set continual.tasks=8

    Example: selfedit continual january.md february.md march.md --model path/to/model -o runs/year
    """  # fmt: skip
    named = {"continual.keepers": keeper.split(",") if keeper else None, "continual.neutral": neutral and str(neutral)}
    sets = [f"{key}={json_module.dumps(value)}" for key, value in named.items() if value]
    config = make_config(model, [*sets, *(overrides or [])], memory=memory)
    taught = read_documents(documents) if documents else []
    if questions:
        taught = add_questions(taught, questions)
    tasks = _of_documents(config, taught, control) if documents else almanac_tasks(config)
    folder = str(update_folder(policy)) if policy else ""
    with start_run("continual", output, config, tasks, policy=folder) as run:
        go_on(run, tasks_of(run), json)


def _of_documents(config: Config, taught: list[Task], control: Path | None) -> Tasks:
    texts = read_neutral(Path(config.continual.neutral)) if config.continual.neutral else []
    return {
        f"{STREAM}00": taught,
        "control": read_tasks(control) if control else [],
        NEUTRAL: _neutral(texts, config.continual.neutral_texts),
    }


def almanac_tasks(config: Config, split: world.Split = "exam") -> Tasks:
    """Streams of unseen passages; of three control groups: passages never taught, closed book (`control`) and with the
    passage in the prompt (`reading`), and entries the embedded model knows by heart (`known`).
    """
    continual = config.continual
    count, others = continual.streams * continual.tasks, continual.control
    tasks = world.tasks(split, count + 2 * others, config.seed)
    texts = [
        f"{task.title}\n{task.context}"
        for task in world.tasks(split, count + 2 * others + continual.neutral_texts, config.seed)[count + 2 * others :]
    ]
    rng = Random(config.seed)
    known = [world.task(entry, rng) for entry in known_entries()[:others]]
    given = read_neutral(Path(continual.neutral)) if continual.neutral else texts
    return {
        **{
            f"{STREAM}{number:02d}": tasks[number * continual.tasks : (number + 1) * continual.tasks]
            for number in range(continual.streams)
        },
        "control": tasks[count : count + others],
        READING: tasks[count + others : count + 2 * others],
        "known": known,
        NEUTRAL: _neutral(given, continual.neutral_texts),
    }


def read_neutral(path: Path) -> list[str]:
    """A JSON list of texts, or the paragraphs of a plain file. Raises InputError."""
    text = read_text(path)
    if path.suffix != ".json":
        return [part.strip() for part in text.split("\n\n") if part.strip()]
    try:
        texts = json_module.loads(text)
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(texts, list) or not all(isinstance(one, str) and one.strip() for one in texts):
        raise InputError(f"{path} should hold a list of texts, none of them empty")
    return texts


def _neutral(texts: Sequence[str], count: int) -> list[Task]:
    return [Task(f"{NEUTRAL}-{number}", "", text) for number, text in enumerate(texts[:count])]


def learn_into(path: Path, added: list[Task], json: bool) -> None:
    """The next edits of a run of `adapt` or `continual`."""
    with Run.resume(path) as run:
        documents = documents_of(run)
        taken = {document.id for document in documents}
        for document in added:
            name, number = document.id, 2
            while name in taken:
                name, number = f"{document.id}-{number}", number + 1
            taken.add(name)
            documents.append(replace(document, id=name))
        write_documents(run, documents)
        go_on(run, tasks_of(run), json)


def documents_of(run: Run) -> list[Task]:
    """The documents of the run, in order. Raises InputError for a run of many streams, or of another command."""
    if (run.path / DOCUMENTS).exists():
        return [as_task(row) for row in read_json(run.path / DOCUMENTS)]
    tasks = tasks_of(run)
    if "documents" in tasks:
        return tasks["documents"]
    if set(tasks) & {f"{STREAM}00", f"{STREAM}01"} != {f"{STREAM}00"}:
        raise InputError(
            f"{run.path} is no stream of documents: name a run of `adapt`, or of `continual` with documents"
        )
    return tasks[f"{STREAM}00"]


def write_documents(run: Run, documents: Sequence[Task]) -> None:
    run.write_json(DOCUMENTS, [asdict(document) for document in documents])


def go_on(run: Run, tasks: Mapping[str, list[Task]], json: bool) -> None:
    """Learn what the run has not learned yet; then the tables, and the report."""
    config = config_of(run)
    with resumable("resume", run.path), screen.bars() as progress:
        if f"{STREAM}01" in tasks:
            with engine_for_many(config, progress) as engine:
                begun = StreamStart(load_update(engine, run.config.get("policy")))
                summary = run_continual(run, config, tasks, engine, progress, begun)
        else:
            tasks, summary = _documents(run, config, dict(tasks), progress)
    report = write_report(run, summary, [task for of_group in tasks.values() for task in of_group])
    if json:
        return print_json({"run": str(run.path), **summary})
    for table in tables.continual(summary):
        screen.out.print(table)
    for remark in summary["remarks"]:
        screen.out.print(remark, soft_wrap=True)
    screen.out.print(f"Report: {report}", soft_wrap=True)


def _documents(run: Run, config: Config, tasks: Tasks, progress: Progress) -> tuple[Tasks, dict[str, Any]]:
    """One stream: on top of what `adapt` made, if that began the run."""
    engine = make_engine(config, progress)
    cut = cutter(config, engine)
    adapted = tasks.pop("documents", [])
    begun = (
        stands_on(run, config, adapted, engine, cut)
        if adapted
        else StreamStart(load_update(engine, run.config.get("policy")))
    )
    documents, questions = with_questions(run, config, documents_of(run), engine, progress)
    tasks[f"{STREAM}00"] = documents
    if (run.path / FORGOTTEN).exists():
        tasks["forgotten"] = [task for row in read_json(run.path / FORGOTTEN) if (task := as_task(row)).questions]
    return tasks, run_continual(run, config, tasks, engine, progress, begun, cut, questions)


def with_questions(
    run: Run, config: Config, documents: list[Task], engine: Engine, progress: Progress
) -> tuple[list[Task], dict[str, tuple[Question, ...]]]:
    """The documents, those without questions with some that the model wrote; and others of these, for keepers."""
    known = written_questions(run)
    new = [document for document in documents if not document.questions and document.id not in known]
    if new:
        progress("questions", 0, len(new), "")
        exams = self_exams(new, BASE, make_examiner(config, engine), make_outer(config).writing, config.seed)
        for document, exam in zip(new, exams, strict=True):
            known[document.id] = [[asdict(q) for q in half.questions] for half in (exam.reward, exam.report)]
        run.write_json(QUESTIONS, known)
        progress("questions", len(new), len(new), "")
    halves = {name: [_questions(half) for half in row] for name, row in known.items()}
    asked = [replace(d, questions=d.questions or halves[d.id][1]) for d in documents]
    return asked, {name: own[0] for name, own in halves.items()}


def written_questions(run: Run) -> dict[str, Any]:
    """By document: the questions for keepers, and those for exams, as plain data."""
    path = run.path / QUESTIONS
    return dict(read_json(path)) if path.exists() else {}


def _questions(rows: Sequence[Mapping[str, Any]]) -> tuple[Question, ...]:
    return tuple(Question(**row) for row in rows)


def rollback(
    path: Annotated[Path, typer.Argument(help="a run of continual, or of adapt --into", metavar="RUN")],
    step: Annotated[int, typer.Argument(min=0, help="how many documents it should have learned", metavar="STEP")],
    json: Json = False,
) -> None:
    """Take a run back to what it was after so many documents, to the bit; it goes on learning from there.

    Example: selfedit rollback runs/year 2
    """
    with Run.resume(path) as run:
        documents = documents_of(run)
        least = len(tasks_of(run).get("documents", []))
        if not least <= step < len(documents):
            raise InputError(
                f"{path} has learned {len(documents)} documents: STEP can be {least} to {len(documents) - 1}"
            )
        write_documents(run, documents[:step])
        cut_from(run, step)
        screen.err.print(f"Back to step {step}; taken back: {_titles(documents[step:])}.", soft_wrap=True)
        go_on(run, tasks_of(run), json)


def forget(
    path: Annotated[Path, typer.Argument(help="a run of continual, or of adapt --into", metavar="RUN")],
    document: Annotated[str, typer.Argument(help="its title, or its id", metavar="DOCUMENT")],
    json: Json = False,
) -> None:
    """Make a run as if it had never learned this document, and check that it is gone.

    A bank drops the document's adapter, which no other has seen. Other keepers learn what came after it once more,
    without it: what is left is to the bit what a run without the document would have made.

    Example: selfedit forget runs/year "February"
    """
    with Run.resume(path) as run:
        documents = documents_of(run)
        adapted = {task.id for task in tasks_of(run).get("documents", [])}
        places = [place for place, task in enumerate(documents) if document in (task.title, task.id)]
        if not places:
            raise InputError(
                f"{path} has no document {document!r}; it has {', '.join(task.title for task in documents)}"
            )
        if documents[places[0]].id in adapted:
            raise InputError(f"{document!r} was learned by adapt in one go with others; adapt them again without it")
        if len(places) == len(documents):
            raise InputError(f"{document!r} is all that {path} has learned; remove the folder instead")
        gone = note_forgotten(run, [documents[place] for place in places])
        write_documents(run, [task for place, task in enumerate(documents) if place not in places])
        for place in reversed(places):
            forget_step(run, config_of(run), place)
        asked = (
            "its questions are asked again" if any(task.questions for task in gone) else "it has no questions to check"
        )
        screen.err.print(f"Forgotten: {_titles(gone)}; {asked}.", soft_wrap=True)
        go_on(run, tasks_of(run), json)


def _titles(documents: Sequence[Task]) -> str:
    return ", ".join(repr(document.title) for document in documents)


def note_forgotten(run: Run, documents: Sequence[Task]) -> list[Task]:
    """Keep the questions about these documents, to see that they are not answered any more, and nothing else.

    Returns what is kept.
    """
    path, written = run.path / FORGOTTEN, written_questions(run)
    known = read_json(path) if path.exists() else []
    exams = [written.pop(document.id, ((), ()))[1] for document in documents]
    gone = [
        replace(document, context="", questions=document.questions or _questions(exam))
        for document, exam in zip(documents, exams, strict=True)
    ]
    run.write_json(FORGOTTEN, [*known, *map(asdict, gone)])
    run.write_json(QUESTIONS, written)
    names, tasks = {task.id for task in gone}, tasks_of(run)
    kept = {group: [asdict(t) for t in of_group if t.id not in names] for group, of_group in tasks.items()}
    run.write_json("tasks.json", kept)
    return gone
