"""What the records of SEAL's files have in common, and how JSON becomes one: checked, and errors name the place."""

from __future__ import annotations

import json
import re
import reprlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from selfedit.errors import InputError
from selfedit.files import read_text, write_text

MAX_KEYS = 30
"""How many an error names."""


class Record(BaseModel):
    """A frozen JSON object. Keys that SEAL's later versions added are kept, so what is read is written again whole.

    Values are not converted: text in place of a number is an error. A key that was absent stays absent.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False, protected_namespaces=())

    def plain(self) -> dict[str, Any]:
        """This record as JSON has it: lists and objects, without the keys that were not given."""
        return self.model_dump(mode="json", exclude_unset=True)


Kind = TypeVar("Kind", bound=Record)
Value = TypeVar("Value")


def read_record(path: Path, kind: type[Kind]) -> Kind:
    """A file that holds one record. Raises InputError with the file and the key."""
    return parse(read_text(path), TypeAdapter(kind), str(path))


def read_records(path: Path, kind: type[Kind]) -> list[Kind]:
    """A file that holds a list of records, at least one. Raises InputError with the file, the record and the key."""
    records = parse(read_text(path), TypeAdapter(list[kind]), str(path))  # type: ignore[valid-type]
    if not records:
        raise InputError(f"{path} holds an empty list; there should be at least one record in it")
    return records


def write_record(path: Path, record: Record) -> None:
    """Write one record as SEAL does, JSON indented by two. Raises InputError where the file cannot be written."""
    write_text(path, _dump(record.plain()))


def write_records(path: Path, records: Sequence[Record]) -> None:
    """Write a list of records as SEAL does, JSON indented by two. Raises InputError like `write_record`."""
    write_text(path, _dump([record.plain() for record in records]))


def _dump(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)


def parse(text: str, adapter: TypeAdapter[Value], where: str) -> Value:
    """Read JSON text. Raises InputError that begins with `where` and names the record and the key."""
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    if problem["type"] == "json_invalid":
        raise InputError(f"{where} is not JSON: {problem['msg'].removeprefix('Invalid JSON: ')}")
    *outer, last = [*problem["loc"]] or [""]
    if problem["type"] == "missing":
        keys = [reprlib.repr(key)[1:-1] for key in list(problem["input"])[:MAX_KEYS]]
        shown = ", ".join(keys) + (", …" if len(problem["input"]) > MAX_KEYS else "") or "none"
        raise InputError(f"{_place(where, outer)} has no key {last!r}; its keys are {shown}")
    # A pydantic message may be long or say only what it should be; what it is must be shown, but not in full.
    given = reprlib.repr(problem["input"])
    raise InputError(f"{_place(where, [*outer, last])}: {_sentence(problem['msg'])}; it is {given}")


def _place(where: str, keys: Sequence[int | str]) -> str:
    """("x.json", [3, "questions", 0, "answer"]) -> x.json: record 3, questions 0, answer"""
    words = [f"record {keys[0]}", *keys[1:]] if keys and isinstance(keys[0], int) else list(keys)
    shown = [word if isinstance(word, int) else reprlib.repr(word)[1:-1] for word in words if word != ""]
    joined = re.sub(r", (\d+)", r" \1", ", ".join(map(str, shown)))
    return f"{where}: {joined}" if joined else where


def _sentence(message: str) -> str:
    """Pydantic's "Input should be a valid string" -> "should be a valid string"."""
    return message.removeprefix("Value error, ").removeprefix("Input ")
