"""Files in, tasks out: documents of many kinds, data files of passages, and lists of questions.

What a file is follows from what is in it; its name decides only between kinds of plain text.
"""

from __future__ import annotations

import logging
import re
import reprlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from selfedit.domains.knowledge.convert import Converter, converter, kind_of_zip
from selfedit.domains.knowledge.layouts import counted, entries, is_csv_data, table, tell
from selfedit.domains.knowledge.sources import CSV, DATA, HTML, KINDS, MARKDOWN, STDIN, find_files, standard_input
from selfedit.domains.knowledge.text import decode, slug, titled
from selfedit.errors import InputError
from selfedit.files import parse_json, read_bytes
from selfedit.types import Task

log = logging.getLogger(__name__)

Fits = Callable[[str, str], bool]
"""(title, text) -> whether a passage of this text fits the model's context, notes included."""

_CUTS = [(r"\n\n", "\n\n"), (r"\n", "\n"), (r"(?<=[.!?])\s", " "), (r"\s", " ")]
"""Where a long document may be cut, the best places first, and what the pieces are joined with again."""

BINARY = {
    b"\xd0\xcf\x11\xe0": "an old Office file; save it as DOCX, PPTX or XLSX",
    b"{\\rtf": "RTF; save it as DOCX",
    b"\x1f\x8b": "compressed; unpack it",
    b"BZh": "compressed; unpack it",
    b"\xfd7zXZ": "compressed; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed; unpack it",
    b"7z\xbc\xaf": "compressed; unpack it",
    b"Rar!": "compressed; unpack it",
    b"\x89PNG": "a picture; write down what it says",
    b"\xff\xd8\xff": "a picture; write down what it says",
    b"GIF8": "a picture; write down what it says",
    b"SQLite format 3": "a database; export the texts",
    b"\x7fELF": "a program",
    b"ARROW1": "an Arrow file; save it as JSON lines or parquet",
    b"%!PS": "PostScript; save it as PDF",
}
"""What files begin with that hold no text."""


_PAGE = re.compile(rb"<!doctype html|<html|<\?xml[^>]*>\s*(<!doctype html|<html)", re.IGNORECASE)
_FRAGMENT = re.compile(rb"<(head|body|title|meta|h[1-6]|p|div|span|table|ul|ol|article|main)[\s>]", re.IGNORECASE)


# Passages with questions


def read_tasks(path: Path) -> list[Task]:
    """The passages of a data file with their questions, in any layout of `layouts`, in the file's order.

    A record may have an `id`; without one its place in the file is part of its id. Questions stand as they are in the
    file, but for those that are marked as having no answer. What was read is logged. Raises InputError with the record
    and the key that is wrong, and for an id that stands there twice.
    """
    return _passages(read_bytes(path), str(path), path)


def _passages(data: bytes, where: str, path: Path) -> list[Task]:
    found = list(entries(data, where, path.suffix.lower()))
    if bare := [entry.where for entry in found if entry.context is None]:
        raise InputError(f"{bare[0]} has questions and no context; name the document, and this file with --questions")
    tasks, places, name = list[Task](), dict[tuple[str | None, str], int](), _name(path)
    for entry in found:
        context = str(entry.context)
        if not entry.is_whole and (place := places.get((entry.title, context))) is not None:
            tasks[place] = replace(tasks[place], questions=tasks[place].questions + entry.questions)
            continue
        if not entry.is_whole:
            places[entry.title, context] = len(tasks)
        title = name if entry.title is None else entry.title
        # Two files' passages must not share an id. Seeds come from it, so it stays as it is.
        own = f"{len(tasks):04d}-{slug(title)}-{crc32(context.encode()):08x}"
        tasks.append(Task(entry.id or own, title, context, entry.questions))
    twice = [name for name, count in Counter(task.id for task in tasks).items() if count > 1]
    if twice:
        raise InputError(f"{where} has two passages with the id {reprlib.repr(twice[0])}; give each its own")
    tell(where, "passage", len(tasks), [q for t in tasks for q in t.questions], sum(e.unanswerable for e in found))
    return tasks


# Documents


def read_documents(paths: Sequence[Path], include: str = "") -> list[Task]:
    """One task per document, one per passage of a data file. A path may be a folder, a pattern, or `-`: standard input.

    In folders, hidden files, those of other kinds than `KINDS`, or than the pattern `include`, and those that cannot be
    read are skipped; how many is logged. Different documents with the same id get a hash behind it; of equal ones
    one is kept. Raises InputError.
    """
    tasks, skipped = list[Task](), list[InputError]()
    with converter() as convert:
        for path, is_named in find_files(paths, include):
            try:
                tasks += _read(path, convert)
            except InputError as error:
                if is_named:
                    raise
                skipped.append(error)
    if skipped:
        log.warning(
            "skipped %s that could not be read, the first because %s", counted(len(skipped), "file"), skipped[0]
        )
    if not tasks:
        raise skipped[0] if skipped else InputError(f"{_listed(paths)}: no document there; read are {' '.join(KINDS)}")
    return _told_apart(tasks)


def _listed(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths))


def _told_apart(tasks: list[Task]) -> list[Task]:
    distinct = list(dict.fromkeys(tasks))
    if len(distinct) < len(tasks):
        log.warning("%s given more than once, and learned once", counted(len(tasks) - len(distinct), "document"))
    count = Counter(task.id for task in distinct)
    return [replace(t, id=f"{t.id}-{crc32(repr(t).encode()):08x}") if count[t.id] > 1 else t for t in distinct]


def _read(path: Path, convert: Converter) -> list[Task]:
    """A file's documents, by what is in it."""
    where = "standard input" if path == STDIN else str(path)
    data = standard_input() if path == STDIN else read_bytes(path)
    suffix, start = path.suffix.lower(), data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n")
    what = next((what for mark, what in BINARY.items() if data.startswith(mark)), "")
    if what:
        raise InputError(f"{where} is {what}")
    if data.startswith(b"PAR1") or (suffix in DATA and suffix not in CSV):
        return _passages(data, where, path)
    if data.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return [_converted(kind_of_zip(data, where), data, where, path, convert)]
    if b"%PDF-" in data[:1024]:
        return [_converted("PDF", data, where, path, convert)]
    text = decode(data, where)
    if suffix in CSV:
        return (
            _passages(data, where, path)
            if is_csv_data(text)
            else [_document(_name(path), table(text, where), where, path)]
        )
    if suffix in HTML or _PAGE.match(start) or (_FRAGMENT.match(start) and suffix not in MARKDOWN):
        return [_converted("HTML", text.encode(), where, path, convert)]
    if start.startswith((b"<?xml", b"<svg")):
        raise InputError(f"{where} is XML; save its text as HTML, Markdown or plain text")
    if _is_json(text, suffix in MARKDOWN):
        return _passages(data, where, path)
    return [_document(*titled(text, _name(path), suffix in MARKDOWN or path == STDIN), where, path)]


def _is_json(text: str, is_markdown: bool) -> bool:
    """Whether the text is a JSON object or a list of them, whatever the file is called; Markdown may begin like one."""
    if not re.match(r'\s*(\{\s*("|\})|\[\s*\{\s*")', text):
        return False
    try:
        return not is_markdown or parse_json(text, "") is not None
    except InputError:
        return False


def _converted(kind: str, data: bytes, where: str, path: Path, convert: Converter) -> Task:
    stated, text = convert(kind, data, where)
    text = re.sub(
        r"<!-- Slide number: \d+ -->\n?|!\[[^][\n]{0,500}\]\([^()\n]{0,500}\)", "", decode(text.encode(), where)
    )
    if not text.strip():
        advice = "; if its pages are pictures, recognise their text (OCR) first" if kind == "PDF" else ""
        raise InputError(f"{where} holds no text{advice}")
    heading, body = titled(text, "", is_markdown=True)
    if stated := " ".join(stated.split()):
        return _document(stated, text.strip(), where, path)
    return _document(heading or _name(path), body, where, path)


def _document(title: str, body: str, where: str, path: Path) -> Task:
    if not re.search(r"\w", body):
        raise InputError(f"{where} is empty; there is nothing to learn in it")
    return Task(slug(path.stem, any_letters=True), title, body)


def _name(path: Path) -> str:
    stem = path.stem.encode("utf-8", "replace").decode()  # a file's name may be no text
    return stem.replace("_", " ").replace("-", " ").strip() or "document"


# Cutting


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
    (where, glue), *finer = cuts
    pieces, passages, place = [piece for piece in re.split(where, text) if piece.strip()], list[str](), 0
    while place < len(pieces):
        *done, begun = _pack(title, pieces[place], finer, fits)
        count, filled = _fill(title, begun, glue, pieces, place + 1, fits)
        passages += [*done, filled]
        place += 1 + count
    return passages


def _fill(title: str, begun: str, glue: str, pieces: Sequence[str], place: int, fits: Fits) -> tuple[int, str]:
    """(how many pieces from this place on fit behind what is begun, the passage that they make)

    Found in steps that double and then halve: a long document has many pieces, and to measure a passage takes time.
    """

    def joined(count: int) -> str:
        return glue.join([begun, *pieces[place : place + count]])

    def holds(count: int) -> bool:
        return place + count <= len(pieces) and fits(title, joined(count))

    count, step = 0, 1
    while holds(count + step):
        count, step = count + step, 2 * step
    while step := step // 2:
        count += step * holds(count + step)
    return count, joined(count)


def _halve(title: str, word: str, fits: Fits) -> list[str]:
    if len(word) == 1:
        raise InputError(
            f"{title!r}: the model's context has no room for a passage and what is asked about it; choose a model with "
            "a longer one, or ask without worked examples (--preset seal)"
        )
    middle = len(word) // 2
    return [part for half in (word[:middle], word[middle:]) for part in _pack(title, half, (), fits)]
