"""The questions that people have about their documents."""

from __future__ import annotations

import logging
import reprlib
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from selfedit.domains.knowledge.layouts import DataRecord, counted, entries, tell
from selfedit.errors import InputError
from selfedit.files import read_bytes
from selfedit.types import Question, Task

log = logging.getLogger(__name__)


def add_questions(tasks: Sequence[Task], path: Path) -> list[Task]:
    """Give the documents the questions of a data file, in any layout of `layouts`; contexts in it are not looked at.

    A title says which document a question is about: the document's title, whatever its capitals and spaces, or its id.
    With one document it can be left out. A question that stands there twice is asked once; one that stands there with
    two answers is refused. What was read is logged. Raises InputError.
    """
    found = list(entries(read_bytes(path), str(path), path.suffix.lower()))
    asked: list[dict[str, Question]] = [{} for _ in tasks]
    others, twice = set[str](), 0
    for entry in found:
        place = _document_of(entry, tasks, path)
        if entry.title is not None and len(tasks) == 1 and _alike(entry.title) != _alike(tasks[0].title):
            others.add(entry.title)
        for question in entry.questions:
            key = _alike(question.text)
            before = asked[place].setdefault(key, question)
            if _alike(before.target) != _alike(question.target):
                given = f"{reprlib.repr(before.target)} and {reprlib.repr(question.target)}"
                raise InputError(f"{entry.where} asks {reprlib.repr(question.text)} again: answers {given}; keep one")
            twice += before is not question
    if others:
        example = reprlib.repr(sorted(others)[0])
        log.warning("%s names %s, and the only document is %r: asked of it", path, example, tasks[0].title)
    if twice:
        log.warning("%s: %s twice: asked once", path, counted(twice, "question"))
    questions = [question for of_task in asked for question in of_task.values()]
    if not questions:
        raise InputError(f"{path} should hold a list of questions, each with question and answer; it has none")
    tell(str(path), "document", len(tasks), questions, sum(entry.unanswerable for entry in found))
    return [replace(t, questions=t.questions + tuple(own.values())) for t, own in zip(tasks, asked, strict=True)]


def _document_of(entry: DataRecord, tasks: Sequence[Task], path: Path) -> int:
    """Which document a record's questions are about."""
    if len(tasks) == 1:
        return 0
    if entry.title is None:
        asked = reprlib.repr(entry.questions[0].text) if entry.questions else "it"
        raise InputError(f"{entry.where}: {asked} has no title; with several documents say which it is about")
    name = _alike(entry.title)
    found = [place for place, task in enumerate(tasks) if name in (_alike(task.title), _alike(task.id))]
    if len(found) > 1:
        raise InputError(f"{path}: two documents have the same title, {entry.title!r}; name them by their ids")
    if not found:
        titles = reprlib.repr([task.title for task in tasks])[1:-1]
        raise InputError(f"{path}: no document is called {reprlib.repr(entry.title)}; the documents are {titles}")
    return found[0]


def _alike(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
