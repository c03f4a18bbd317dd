"""Files in, tasks out: plain documents, SEAL's JSON, and lists of questions."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from selfedit.errors import InputError
from selfedit.files import read_json, read_text
from selfedit.types import Question, Task

Fits = Callable[[str, str], bool]
"""(title, text) -> whether a passage of this text fits the model's context, notes included."""

_CUTS = [(r"\n\n", "\n\n"), (r"\n", "\n"), (r"(?<=[.!?])\s", " "), (r"\s", " ")]
"""Where a long document may be cut, the best places first, and what the pieces are joined with again."""

_HEADING = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)


def read_tasks(path: Path) -> list[Task]:
    """The passages of a JSON file in SEAL's layout: a list of {title, context, questions: [{question, answer}]}.

    A record may have an `id`; without one its place in the file is part of its id. Raises InputError with the record
    and the key that is wrong, and for an id that stands there twice.
    """
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} should hold a list of passages, each with title, context and questions")
    tasks = [_task(record, f"{path}: record {index}", index) for index, record in enumerate(records)]
    seen: set[str] = set()
    for task in tasks:
        if task.id in seen:
            raise InputError(f"{path} has two passages with the id {task.id!r}; give each its own")
        seen.add(task.id)
    return tasks


def _task(record: Any, where: str, index: int) -> Task:
    title, context = _text(record, "title", where), _text(record, "context", where)
    if not context.strip():
        raise InputError(f"{where} has an empty context; there is nothing to learn in it")
    name = f"{index:04d}-{slug(title)}-{crc32(context.encode()):08x}"  # two files' passages must not share an id
    return Task(str(record.get("id", name)), title, context, _questions(record, where))


def _questions(record: Mapping[str, Any], where: str) -> tuple[Question, ...]:
    questions = record.get("questions", [])
    if not isinstance(questions, list):
        given = reprlib.repr(questions)
        raise InputError(f"{where}: questions should be a list of {{question, answer}}; it is {given}")
    return tuple(_question(question, f"{where}, question {number}") for number, question in enumerate(questions))


def _question(record: Any, where: str) -> Question:
    return Question(_text(record, "question", where), _text(record, "answer", where))


def _text(record: Any, key: str, where: str) -> str:
    if not isinstance(record, Mapping):
        raise InputError(f"{where} should be an object with the key {key}; it is a {type(record).__name__}")
    if key not in record:
        raise InputError(f"{where} has no key {key!r}; its keys are {', '.join(map(str, record)) or 'none'}")
    if not isinstance(record[key], str):
        raise InputError(f"{where}: {key} should be text; it is {reprlib.repr(record[key])}")
    return str(record[key])


def read_documents(paths: Sequence[Path]) -> list[Task]:
    """One task per .txt or .md file, and one per record of a .json file in SEAL's layout. Raises InputError."""
    tasks = [task for path in paths for task in (read_tasks(path) if path.suffix == ".json" else [_document(path)])]
    repeated = {task.id for task in tasks if sum(other.id == task.id for other in tasks) > 1}
    if repeated:
        raise InputError(f"two documents have the same name, {sorted(repeated)[0]!r}; rename one of the files")
    return tasks


def _document(path: Path) -> Task:
    text = read_text(path)
    if not text.strip():
        raise InputError(f"{path} is empty; there is nothing to learn in it")
    heading = _HEADING.search(text) if path.suffix == ".md" else None
    title = heading[1] if heading else path.stem.replace("_", " ").replace("-", " ")
    body = (text[: heading.start()] + text[heading.end() :]) if heading else text
    return Task(slug(path.stem), title, body.strip() or text.strip())


def add_questions(tasks: Sequence[Task], path: Path) -> list[Task]:
    """Give the documents the questions of a JSON file: SEAL's layout, or a list of {question, answer, title?}.

    A title says which document a question is about; with one document it can be left out.
    """
    records = read_json(path)
    if not isinstance(records, list) or not records:
        raise InputError(f"{path} should hold a list of questions, each with question and answer")
    asked: dict[str, list[Question]] = {task.title: [] for task in tasks}
    if len(asked) < len(tasks):
        raise InputError(f"{path}: two documents have the same title, so a question cannot say which it is about")
    for title, question in _titled(records, path):
        if title is None and len(tasks) > 1:
            raise InputError(f"{path}: {question.text!r} has no title; with several documents say which it is about")
        name = tasks[0].title if title is None or len(tasks) == 1 else title
        if name not in asked:
            raise InputError(f"{path}: no document is called {name!r}; the documents are {', '.join(asked)}")
        asked[name].append(question)
    return [replace(task, questions=task.questions + tuple(asked[task.title])) for task in tasks]


def _titled(records: Sequence[Any], path: Path) -> Iterator[tuple[str | None, Question]]:
    for index, record in enumerate(records):
        where = f"{path}: record {index}"
        title = _text(record, "title", where) if isinstance(record, Mapping) and "title" in record else None
        if isinstance(record, Mapping) and "questions" in record:
            yield from ((title, question) for question in _questions(record, where))
        else:
            yield title, _question(record, where)


def split(task: Task, fits: Fits) -> list[Task]:
    """Cut a document that does not fit the context into passages that do: at paragraphs, else sentences, else words.

    A word that alone is too long is cut too; texts in some scripts have no spaces. The questions stay with the
    document; the passages have none. A passage that fits is returned as it is.
    """
    if fits(task.title, task.context):
        return [task]
    texts = _pack(task.title, task.context, _CUTS, fits)
    return [Task(f"{task.id}-{number}", task.title, text) for number, text in enumerate(texts, start=1)]


def _pack(title: str, text: str, cuts: Sequence[tuple[str, str]], fits: Fits) -> list[str]:
    if fits(title, text):
        return [text]
    if not cuts:
        return _halve(title, text, fits)
    passages: list[str] = []
    (where, glue), *finer = cuts
    for piece in filter(str.strip, re.split(where, text)):
        joined = f"{passages[-1]}{glue}{piece}" if passages else piece
        if passages and fits(title, joined):
            passages[-1] = joined
        else:
            passages += _pack(title, piece, finer, fits)
    return passages


def _halve(title: str, word: str, fits: Fits) -> list[str]:
    if len(word) == 1:
        raise InputError(f"{title!r}: the model's context has no room for a passage; choose a model with a longer one")
    middle = len(word) // 2
    return [part for half in (word[:middle], word[middle:]) for part in _pack(title, half, (), fits)]


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:40] or "document"
