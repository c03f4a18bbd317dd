"""Answers on disk, so that none is asked for, or paid for, twice."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from selfedit.errors import InputError

Body = dict[str, Any]
"""What is sent to an endpoint, its address included: everything that an answer depends on, and nothing secret."""

MAX_BYTES = 64_000_000
"""Of a file: more than any request with its answer."""


def key_of(body: Body) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def is_text(text: str) -> bool:
    """Whether it can be stored: halves of surrogate pairs, which JSON can spell, are no characters."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class AnswerCache:
    """One file per request in `folder`, or no memory at all without a folder. A damaged file counts as not there."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def read(self, body: Body) -> str | None:
        path = self._path(body)
        try:
            there = path is not None and path.is_file() and path.stat().st_size <= MAX_BYTES
            stored = json.loads(path.read_text(encoding="utf-8")) if path and there else None
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(stored, dict) or stored.get("request") != body:
            return None
        text = stored.get("text")
        return text if isinstance(text, str) and is_text(text) else None

    def write(self, body: Body, text: str) -> None:
        """Whole or not at all. Raises InputError where the disk refuses."""
        path = self._path(body)
        if not path:
            return
        partial = path.with_suffix(f".{os.getpid()}.partial")  # other processes may be writing the same answer
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"request": body, "text": text}, indent=1) + "\n", encoding="utf-8")
            os.replace(partial, path)
        except OSError as error:
            raise InputError(f"cannot write to {self.folder}: {error.strerror}; free some space, then resume") from None

    def _path(self, body: Body) -> Path | None:
        """Two letters of the key name a folder, so that no folder holds too many files."""
        key = key_of(body)
        return self.folder / key[:2] / f"{key}.json" if self.folder else None
