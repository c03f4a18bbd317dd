"""Text files in and out, with errors that say which file and what to do about it."""

from __future__ import annotations

import json
import os
import reprlib
import shutil
from collections import Counter
from math import isinf
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Any

from selfedit.errors import InputError

LARGEST = 256 * 2**20
"""Bytes of a file that is read as a whole; reading one as JSON takes about ten times as much memory."""


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """What a file holds. Raises InputError, also for what has no end, such as a device or a pipe."""
    content = b""
    try:
        about = path.stat()
        if S_ISREG(about.st_mode) and about.st_size <= largest:
            with path.open("rb") as file:
                content = file.read(largest + 1)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:  # a NUL, or half of a character
        raise InputError(f"{str(path)!r} cannot be the name of a file: {error}") from None
    if S_ISDIR(about.st_mode):
        raise InputError(f"{path} is a folder; name the files in it, such as {path}/*")
    if not S_ISREG(about.st_mode):
        raise InputError(f"{path} is no ordinary file; copy what it gives into one")
    if max(about.st_size, len(content)) > largest:
        raise InputError(f"{path} is larger than {largest // 2**20} MB; cut it into several")
    return content


def read_text(path: Path) -> str:
    """A text file in UTF-8, without the mark that editors on Windows put first. Raises InputError."""
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not text in UTF-8; convert it first") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_json(path: Path) -> Any:
    """What a JSON file holds; see `parse_json`. Raises InputError with the line where it is none."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, where: str) -> Any:
    """The value of a JSON text. Raises InputError, which begins with `where`.

    Python's reader takes more than JSON has, or drops it in silence: NaN, numbers past the largest, a key that stands
    twice in one object, half of a surrogate pair. All of these are refused.
    """
    try:
        value = json.loads(text, parse_constant=_constant, parse_float=_finite, object_pairs_hook=_object)
        if "\\ud" in text or "\\uD" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise InputError(f"{where} is not JSON: {error.msg} in line {error.lineno}") from None
    except UnicodeEncodeError:
        raise InputError(f"{where} holds half of a character, a surrogate without its pair; remove it") from None
    except RecursionError:
        raise InputError(f"{where} is nested too deeply to be read") from None
    except ValueError as error:
        raise InputError(f"{where} is not JSON: {str(error).split(';')[0]}") from None
    return value


def _constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _finite(digits: str) -> float:
    if isinf(value := float(digits)):
        raise ValueError("a number is too large")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        ((twice, _),) = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"the key {reprlib.repr(twice)} stands twice in one object")
    return made


def holds(path: Path, text: str) -> bool:
    """Whether the file is there and holds this text. Raises OSError."""
    return path.is_file() and path.read_bytes() == text.encode()


def write_whole(path: Path, text: str) -> None:
    """Write the file whole or not at all, whatever happens to the machine. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8", newline="")
    flush(partial)
    os.replace(partial, path)
    flush(path.parent)


def put_folder(partial: Path, folder: Path) -> None:
    """Make a folder that was written beside it, as `partial`, this one: there is the old or the new one, or none."""
    for path in [*partial.rglob("*"), partial]:
        flush(path)
    remove_folder(folder)
    os.replace(partial, folder)
    flush(folder.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder if it is there, whole or not at all. Raises OSError."""
    if folder.exists():
        removed = folder.with_name(folder.name + ".removed.partial")
        shutil.rmtree(removed, ignore_errors=True)
        os.replace(folder, removed)
        shutil.rmtree(removed)


def flush(path: Path) -> None:
    """Have a file, or the list of names in a folder, on the disk and not only on its way there."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, the same bytes on every system. Raises InputError where it cannot be written.

    Not covered: a kill while it writes leaves part of a file; `write_whole` does not.
    """
    try:
        path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
