"""EM_SFT files: the (prompt, completion) pairs that ReST-EM imitates, one JSON object a line (docs/seal.md 7)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from pydantic import TypeAdapter

from selfedit.files import read_text, write_text
from selfedit.formats.record import Record, parse


class ImitationRow(Record):
    """What the policy was shown, and the completion it is to imitate."""

    prompt: str
    completion: str


def read_imitation(path: Path) -> list[ImitationRow]:
    """The rows of an EM_SFT file; empty lines are overlooked. Raises InputError with the line and the key."""
    adapter = TypeAdapter(ImitationRow)
    # Not splitlines(): characters such as U+2028 may stand in a JSON text as they are.
    lines = enumerate(read_text(path).split("\n"), start=1)
    return [parse(line, adapter, f"{path}, line {number}") for number, line in lines if line.strip()]


def write_imitation(path: Path, rows: Iterable[ImitationRow]) -> None:
    """Write an EM_SFT file, named sft_best<kept>of<tried>_<tag>.jsonl by custom. Raises InputError."""
    write_text(path, "".join(json.dumps(row.plain(), ensure_ascii=False) + "\n" for row in rows))
