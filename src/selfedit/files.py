"""Text files in and out, with errors that say which file and what to do about it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from selfedit.errors import InputError


def read_text(path: Path) -> str:
    """A text file in UTF-8, without the mark that editors on Windows put first. Raises InputError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except IsADirectoryError:
        raise InputError(f"{path} is a folder; name the files in it, such as {path}/*") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; convert it first") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def read_json(path: Path) -> Any:
    """What a JSON file holds. Raises InputError with the line where it is none."""
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error.msg} in line {error.lineno}") from None


def write_whole(path: Path, text: str) -> None:
    """Write the file whole or not at all. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, the same bytes on every system. Raises InputError where it cannot be written.

    Not covered: a kill while it writes leaves part of a file; `write_whole` does not.
    """
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
