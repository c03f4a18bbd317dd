"""Data files: passages and questions in the layouts that people have them in, recognised by what is in them.

- SEAL's: a list of {title, context, questions: [{question, answer}]}
- SQuAD's own, 1.1 and 2.0: {data: [{title, paragraphs: [{context, qas: [{question, answers: [{text}]}]}]}]}
- one question a record, as Hugging Face has SQuAD: {title, context, question, answers: {text: […]}}, or `answer`
- texts: {title, text}
- questions alone: {question, answer, title}

The records stand in a JSON list, one a line (JSON lines), as rows of CSV below their names, or in a parquet file.
Of several answers the first counts; a question may have a `kind`. What looks like another layout is refused by name.
"""

from __future__ import annotations

import csv
import io
import logging
import re
import reprlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from selfedit.domains.knowledge.text import decode
from selfedit.errors import InputError
from selfedit.files import parse_json
from selfedit.types import Question

log = logging.getLogger(__name__)

ACCEPTED = "accepted are SEAL's layout, SQuAD's, records of title, context, question and answer, or of title and text"

OTHERS: list[tuple[set[str], str]] = [
    ({"instruction", "output"}, "instructions with their outputs (Alpaca)"),
    ({"messages"}, "chats"),
    ({"conversations"}, "chats (ShareGPT)"),
    ({"chosen", "rejected"}, "preferences"),
    ({"prompt", "completion"}, "prompts with completions"),
    ({"prompt", "response"}, "prompts with responses"),
    ({"instruction", "response"}, "instructions with responses (Dolly)"),
    ({"cells", "nbformat"}, "a Jupyter notebook (export it as Markdown)"),
    ({"train", "test"}, "a task of ARC (set domain.name to arc)"),
]
"""Layouts without a document to learn, by the keys that give them away."""

PASSAGE = {"title", "context"}
_ABOUT_QUESTIONS = re.compile(r"question|answer|(^|_)qas?($|_)", re.IGNORECASE)

MAX_ID = 200

MAX_CELLS, MAX_PARQUET = 2**20, 2**30
"""Characters in a cell of CSV, and bytes in a parquet file when unpacked."""


@dataclass(frozen=True, slots=True)
class DataRecord:
    """What one record says. `where` is its place in words. A record without a context has only questions."""

    where: str
    title: str | None
    context: str | None
    questions: tuple[Question, ...]
    unanswerable: int = 0
    id: str | None = None
    is_whole: bool = True
    """The record holds all of its passage's questions: no other belongs to the same passage."""


def is_csv_data(text: str) -> bool:
    """Whether these are rows of passages or questions, below a line with their names."""
    names = _names(_without_mark(text).split("\n", 1)[0])[1]
    return any(keys <= set(names) for keys, _ in OTHERS) or bool({"question", "context", "text"} & set(names))


def entries(data: bytes, where: str, suffix: str = "") -> Iterator[DataRecord]:
    """The passages and questions in a data file, in order. Raises InputError that names the record and the key."""
    if data.startswith(b"PAR1"):
        records = enumerate(_parquet(data, where))
    elif suffix in (".csv", ".tsv"):
        records = enumerate(_rows(decode(data, where), where))
    else:
        records = enumerate(_json(decode(data, where), where))
    for index, record in records:
        yield from _entries(record, f"{where}: record {index}")


def _json(text: str, where: str) -> list[Any]:
    """The records of a JSON list, of an object that has them under `data` or is one itself, or of JSON lines."""
    try:
        content = parse_json(text, where)
    except InputError as error:
        if "Extra data" not in str(error):
            raise
        lines = enumerate(text.split("\n"), start=1)
        content = [parse_json(line, f"{where}, line {number}:") for number, line in lines if line.strip()]
    if isinstance(content, dict) and isinstance(content.get("data"), list):
        content = content["data"]
    if isinstance(content, dict):
        content = [content]
    if not isinstance(content, list) or not content:
        raise InputError(f"{where} should hold a list of records, at least one; {ACCEPTED}")
    return content


def _names(header: str) -> tuple[str, list[str]]:
    """(the character between the fields, their names in lower case)"""
    between = max(",;\t|", key=header.count)
    return between, [name.strip().lower() for name in next(csv.reader([header], delimiter=between), [])]


def _without_mark(text: str) -> str:
    """Without the line that tells Excel what stands between the fields."""
    return re.sub(r"\A\s*sep=.\n", "", text).lstrip("\n")


def _rows(text: str, where: str) -> list[dict[str, str]]:
    text = _without_mark(text)
    between, names = _names(text.split("\n", 1)[0])
    if len(set(names)) < len(names):
        raise InputError(f"{where}: two columns have the same name; the names are {_listed(names)}")
    csv.field_size_limit(MAX_CELLS)
    try:
        rows = [row for row in csv.reader(io.StringIO(text, newline=""), delimiter=between, strict=True) if any(row)]
    except csv.Error as error:
        raise InputError(f"{where} is no CSV: {error}") from None
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise InputError(f"{where}: row {number} has {len(row)} fields and the first row {len(names)} names")
    if len(rows) < 2:
        raise InputError(f"{where} has no rows below the names of its columns")
    optional = ("title", "id")  # an empty cell of these is no title, and no id
    records = [zip(names, row, strict=True) for row in rows[1:]]
    return [{name: cell for name, cell in record if cell.strip() or name not in optional} for record in records]


def table(content: str, where: str) -> str:
    """Rows of CSV as a table in Markdown. Raises InputError."""
    rows = _rows(content, where)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    log.info("%s: read as a table of %s", where, _listed(rows[0]))
    return "\n".join("| " + " | ".join(" ".join(cell.split()) for cell in line) + " |" for line in lines)


def _parquet(data: bytes, where: str) -> list[Any]:
    try:
        from pyarrow import ArrowException, BufferReader, parquet
    except ImportError:
        raise InputError(f"{where}: reading parquet needs pyarrow: pip install pyarrow") from None
    try:
        file = parquet.ParquetFile(BufferReader(data))
        about = file.metadata
        size = sum(about.row_group(number).total_byte_size for number in range(about.num_row_groups))
        if size > MAX_PARQUET:
            raise InputError(f"{where} unpacks to more than {MAX_PARQUET // 2**20} MB; cut it into several")
        records = file.read().to_pylist()
    except (ArrowException, OSError, ValueError, KeyError, OverflowError, MemoryError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{where} is a damaged parquet file: {str(error).splitlines()[0]}") from None
    if not records:
        raise InputError(f"{where} has no rows")
    return [{key: value for key, value in record.items() if value is not None} for record in records]


# One record


def _entries(record: Any, where: str) -> Iterator[DataRecord]:
    if not isinstance(record, Mapping):
        text(record, "title", where)  # says what it is instead
    for keys, name in OTHERS:
        if keys <= record.keys() and not {"question", "questions"} & record.keys() and not record.keys() >= PASSAGE:
            raise InputError(f"{where} looks like {name}, which holds no document to learn; {ACCEPTED}")
    if "paragraphs" in record:
        yield from _paragraphs(record, where)
        return
    title = text(record, "title", where) if "title" in record else None
    own = _id(record.get("id"), where)
    if "question" in record:
        context = _context(record, "context", where) if "context" in record else None
        asked = question(record, where)
        yield DataRecord(where, title, context, (asked,) if asked else (), 0 if asked else 1, is_whole=False)
    elif "context" in record or "text" not in record:
        if "questions" in record and "context" not in record:
            yield DataRecord(where, title, None, *_questions(record, where))
            return
        named = text(record, "title", where)
        yield DataRecord(where, named, _context(record, "context", where), *_questions(record, where), own)
    else:
        yield DataRecord(where, title, _context(record, "text", where), *_questions(record, where), own)


def _id(given: Any, where: str) -> str | None:
    if given is None:
        return None
    if isinstance(given, bool) or not isinstance(given, (str, int)) or not 0 < len(str(given).strip()) <= MAX_ID:
        shown = reprlib.repr(given)
        raise InputError(f"{where}: id should be a number or text of 1 to {MAX_ID} characters; it is {shown}")
    return str(given)


def _paragraphs(record: Mapping[str, Any], where: str) -> Iterator[DataRecord]:
    """SQuAD's own layout."""
    title, paragraphs = text(record, "title", where), record["paragraphs"]
    if not isinstance(paragraphs, list):
        raise InputError(f"{where}: paragraphs should be a list; it is {reprlib.repr(paragraphs)}")
    for number, paragraph in enumerate(paragraphs):
        place = f"{where}, paragraph {number}"
        yield DataRecord(place, title, _context(paragraph, "context", place), *_questions(paragraph, place))


def _context(record: Any, key: str, where: str) -> str:
    context = text(record, key, where)
    if not context.strip():
        raise InputError(f"{where} has an empty {key}; there is nothing to learn in it")
    return context


def _questions(record: Mapping[str, Any], where: str) -> tuple[tuple[Question, ...], int]:
    """(those that have an answer, how many have none). Raises InputError for keys that look like questions unread."""
    key = "qas" if "qas" in record else "questions"
    if key not in record and (others := [name for name in record if _ABOUT_QUESTIONS.search(name)]):
        raise InputError(f"{where}: what stands under {_listed(others)} is not read; call it questions; {ACCEPTED}")
    records = record.get(key, [])
    if not isinstance(records, list):
        raise InputError(f"{where}: {key} should be a list of {{question, answer}}; it is {reprlib.repr(records)}")
    asked = [question(one, f"{where}, question {number}") for number, one in enumerate(records)]
    found = tuple(one for one in asked if one)
    return found, len(asked) - len(found)


def question(record: Any, where: str) -> Question | None:
    """A question and the first of its answers; None where it is marked as one that has none (SQuAD 2.0)."""
    asked = text(record, "question", where)
    key = "answers" if "answers" in record and "answer" not in record else "answer"
    given = record.get(key)
    if isinstance(given, Mapping) and "text" in given:
        given = given["text"]
    if record.get("is_impossible") is True or (key == "answers" and given == []):
        return None
    if isinstance(given, list) and given:
        given = given[0]["text"] if isinstance(given[0], Mapping) and "text" in given[0] else given[0]
    target = given if isinstance(given, str) else text(record, key, where)
    for name, value in (("question", asked), ("answer", target)):
        if not value.strip():
            raise InputError(f"{where} has a blank {name}; write one or take the question out")
    if key == "answers" and target is record[key] and target.startswith("{'text'"):
        raise InputError(
            f"{where}: answers should be text; it is Python's {reprlib.repr(target)}; save it as JSON lines"
        )
    return Question(asked, target, text(record, "kind", where) if "kind" in record else "")


def text(record: Any, key: str, where: str) -> str:
    """The text that a record has under a key. Raises InputError."""
    if not isinstance(record, Mapping):
        raise InputError(f"{where} should be an object with the key {key}; it is a {type(record).__name__}")
    if key not in record:
        raise InputError(f"{where} has no key {key!r}; its keys are {_listed(record)}; {ACCEPTED}")
    if not isinstance(record[key], str):
        raise InputError(f"{where}: {key} should be text; it is {reprlib.repr(record[key])}")
    return str(record[key])


def _listed(names: Any, most: int = 12) -> str:
    shown = [reprlib.repr(str(name)).strip("'") for name in list(names)[:most]]
    return ", ".join(shown) + (", …" if len(names) > most else "") or "none"


def tell(where: str, what: str, count: int, questions: Sequence[Question], unanswerable: int) -> None:
    """Log what was read: so many of `what`, and questions."""
    left_out = f"; {unanswerable} without an answer left out" if unanswerable else ""
    log.info("%s: %s, %s%s", where, counted(count, what), counted(len(questions), "question"), left_out)


def counted(count: int, noun: str) -> str:
    """counted(2, "file") -> "2 files" """
    first, *rest = noun.split(" ", 1)
    return " ".join([f"{count} {first}" + "s" * (count != 1), *rest])
