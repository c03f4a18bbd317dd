"""Reading and writing SEAL's files. Every reader raises InputError with the file, the record and the key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from selfedit.errors import InputError
from selfedit.formats.models import Meta, SftRow, Written

Record = TypeVar("Record", bound=BaseModel)
Value = TypeVar("Value")


def read(path: Path, kind: type[Record]) -> Record:
    """A file that holds one record, such as `Results` or `ContinualSummary`."""
    return _validated(TypeAdapter(kind), _text(path), path)


def read_list(path: Path, kind: type[Record]) -> list[Record]:
    """A file that holds a list of records, such as `Passage` or `Written`."""
    return _validated(TypeAdapter(list[kind]), _text(path), path)  # type: ignore[valid-type]


def read_written(path: Path, at_least: int = 1) -> list[Written]:
    """Passages with self-edits. Raises InputError where one has fewer than `at_least`."""
    records = read_list(path, Written)
    for index, record in enumerate(records):
        if len(record.texts) < at_least:
            raise InputError(
                f"{path}: record {index} ({record.title!r}) has {len(record.texts)} completions and {at_least} are "
                "asked for; write more, or ask for fewer"
            )
    return records


def read_sft(path: Path) -> list[SftRow]:
    """An EM_SFT file, one JSON object a line."""
    adapter = TypeAdapter(SftRow)
    lines = enumerate(_text(path).splitlines(), start=1)
    return [_validated(adapter, line, f"{path}, line {number}") for number, line in lines if line.strip()]


def read_meta(path: Path) -> Meta:
    """How the data in `path` was written; empty where no meta file is beside it.

    SEAL names them `X.json.meta`, once `X.meta`, and one has a comma too many.
    """
    for beside in (path.with_name(path.name + ".meta"), path.with_suffix(".meta")):
        if beside.exists():
            return _validated(TypeAdapter(Meta), re.sub(r",(\s*})", r"\1", _text(beside)), beside)
    return Meta()


def write(path: Path, record: BaseModel | Sequence[BaseModel]) -> None:
    """Write a record, or a list of them, as SEAL does: indented JSON."""
    rows = record.model_dump() if isinstance(record, BaseModel) else [row.model_dump() for row in record]
    _write(path, json.dumps(rows, indent=2, ensure_ascii=False) + "\n")


def write_sft(path: Path, rows: Iterable[SftRow]) -> None:
    _write(path, "".join(json.dumps(row.model_dump(), ensure_ascii=False) + "\n" for row in rows))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _validated(adapter: TypeAdapter[Value], text: str, where: object) -> Value:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"{where}: {f'{place}: ' if place else ''}{problem['msg']}") from None
