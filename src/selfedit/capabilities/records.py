"""The files of the checks: JSON lists, or JSON lines, of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfedit.errors import InputError
from selfedit.files import parse_json, read_text

OWN = Path(__file__).parent / "data"
"""The small sets that ship with the package."""

Record = tuple[str, dict[str, Any]]
"""Where it stands, for errors, and what it holds."""


def read_records(path: Path) -> list[Record]:
    """The records of a JSON list, or of JSON lines, at least one. Raises InputError."""
    text = read_text(path)
    if text.lstrip().startswith("["):
        rows = parse_json(text, str(path))
        found = [(f"record {number} of {path}", row) for number, row in enumerate(rows, start=1)]
    else:
        lines = [(f"line {number} of {path}", line) for number, line in enumerate(text.split("\n"), start=1)]
        found = [(where, parse_json(line, where)) for where, line in lines if line.strip()]
    if not found:
        raise InputError(f"{path} holds no records")
    for where, row in found:
        if not isinstance(row, dict):
            raise InputError(f"{where} is no record: a table of keys and values, such as {{...}}, stands for one")
    return found


def text_of(where: str, record: dict[str, Any], key: str) -> str:
    """A text in the record that is not blank. Raises InputError."""
    value = record.get(key)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{where} needs {key!r}, a text that is not empty")
    return value
