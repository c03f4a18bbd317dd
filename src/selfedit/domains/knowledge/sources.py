"""Which files are meant: those that are named, that are in a folder, or that a pattern fits."""

from __future__ import annotations

import glob
import logging
import os
import re
import reprlib
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from selfedit.domains.knowledge.layouts import counted
from selfedit.errors import InputError
from selfedit.files import LARGEST

log = logging.getLogger(__name__)

STDIN = Path("-")
CSV = (".csv", ".tsv")
DATA = (".json", ".jsonl", ".ndjson", *CSV, ".parquet")
MARKDOWN, HTML = (".md", ".markdown", ".mdown", ".qmd", ".rmd"), (".html", ".htm", ".xhtml")
PLAIN = (".txt", ".text", ".rst", ".org", ".adoc", ".asciidoc", ".tex", ".log")
KINDS = (*DATA, *MARKDOWN, *HTML, *PLAIN, ".pdf", ".docx", ".pptx", ".xlsx", ".epub")
"""What is taken from a folder without a filter. A file that is named is read whatever its suffix."""

RUN = "trials.sqlite"
"""What every run's folder holds."""

MAX_FILES = 10_000
"""In the folders that are named, those that are skipped included."""


def find_files(paths: Sequence[Path], include: str) -> Iterator[tuple[Path, bool]]:
    """(file, whether it was named itself), each file once."""
    seen: set[str] = set()
    for path in paths:
        for file in _below(path, include):
            real = os.path.realpath(file) if path != STDIN else "-"
            if real not in seen:
                seen.add(real)
                yield file, file == path


def _below(path: Path, include: str) -> list[Path]:
    try:
        if path.is_dir():
            return _in_folder(path, include)
        if path == STDIN or path.exists() or not glob.has_magic(str(path)):
            return [path]
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True)) if not Path(name).is_dir()]
    except (ValueError, OSError, re.error) as error:
        raise InputError(f"cannot look for {str(path)!r}: {error}") from None
    if not found:
        raise InputError(f"there is no file {path}")
    return found


def _in_folder(folder: Path, include: str) -> list[Path]:
    """The files below a folder, by name, without following links to folders; what is passed over is logged."""
    found, other, hidden, seen, runs = list[Path](), Counter[str](), 0, 0, 0
    for place, folders, files in os.walk(folder):
        kept = sorted(name for name in folders if not _is_hidden(name))
        hidden, folders[:] = hidden + len(folders) - len(kept), kept
        if RUN in files:  # reports and notes of a model are no documents
            folders[:], runs = [], runs + 1
            continue
        for name in sorted(files):
            seen += 1
            file = Path(place, name)
            inner = file.relative_to(folder).as_posix()
            if seen > MAX_FILES:
                raise InputError(f"{folder} holds more than {MAX_FILES} files; name the folders in it that are meant")
            if _is_hidden(name):
                hidden += 1
            elif (fnmatch(name, include) or fnmatch(inner, include)) if include else file.suffix.lower() in KINDS:
                found.append(file)
            else:
                other[file.suffix or "without a suffix"] += 1
    if other or hidden or runs:
        kinds = ", ".join(f"{count} {reprlib.repr(kind)[1:-1]}" for kind, count in other.most_common(5))
        passed = [f"{other.total()} of other kinds ({kinds})"] * bool(other) + [f"{hidden} hidden"] * bool(hidden)
        passed += [counted(runs, "run of selfedit")] * bool(runs)
        log.info("%s: %s; passed over %s", folder, counted(len(found), "file"), ", ".join(passed))
    return found


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "~$")) or name in ("__MACOSX", "__pycache__", "node_modules")


def standard_input() -> bytes:
    data = sys.stdin.buffer.read(LARGEST + 1)
    if len(data) > LARGEST:
        raise InputError(f"standard input gives more than {LARGEST // 2**20} MB; cut it into several files")
    return data
