"""Office files, PDF, web pages and e-books as Markdown, by `markitdown`, in a process of its own.

That process has limits of memory and time, takes no network and loads no plug-in: such files are programs, nearly, and
their readers hang, crash and grow. It is asked with a line of JSON and the bytes, and answers with a line of JSON.
"""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selfedit.errors import InputError

CONVERTERS = {
    "PDF": "PdfConverter",
    "DOCX": "DocxConverter",
    "PPTX": "PptxConverter",
    "XLSX": "XlsxConverter",
    "HTML": "HtmlConverter",
    "EPUB": "EpubConverter",
}

MAX_UNPACKED, MAX_MEMBERS = 512 * 2**20, 20_000
"""Bytes and files in an archive: DOCX, PPTX, XLSX and EPUB are ZIP files, and a small one can hold a very large one."""

SECONDS, MEMORY = 120.0, 4 * 2**30
"""For one file. A thousand pages of PDF take about a minute."""


def kind_of_zip(data: bytes, where: str) -> str:
    """DOCX, PPTX, XLSX or EPUB. Raises InputError for another archive, and for one that unpacks to too much."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = {member.filename: member.file_size for member in archive.infolist()}
            count = len(archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError, UnicodeError, OverflowError, MemoryError):
        raise InputError(f"{where} is a damaged ZIP archive, or an office file that was cut off") from None
    if sum(members.values()) > MAX_UNPACKED or count > MAX_MEMBERS:
        raise InputError(f"{where} unpacks to more than {MAX_UNPACKED // 2**20} MB; save its text in another file")
    for kind, member in {
        "DOCX": "word/document.xml",
        "PPTX": "ppt/presentation.xml",
        "XLSX": "xl/workbook.xml",
    }.items():
        if member in members:
            return kind
    if "META-INF/container.xml" in members:
        return "EPUB"
    if {"mimetype", "content.xml"} <= members.keys():
        raise InputError(f"{where} is an OpenDocument file; save it as DOCX, PPTX or XLSX")
    raise InputError(f"{where} is a ZIP archive and no DOCX, PPTX, XLSX or EPUB; unpack it and name what is in it")


class Converter:
    """Converts one file after another; its process starts with the first."""

    def __init__(self, seconds: float = SECONDS) -> None:
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __call__(self, kind: str, data: bytes, where: str) -> tuple[str, str]:
        """(title or "", Markdown). Raises InputError."""
        if importlib.util.find_spec("markitdown") is None:
            raise InputError(f"{where}: reading {kind} needs the extra `documents`: pip install 'selfedit[documents]'")
        self._process = self._process or _start()
        answer = self._ask(self._process, kind, data)
        if answer is None:
            self.close()
            raise InputError(
                f"{where} could not be read as {kind} within {self.seconds:.0f} s and {MEMORY // 2**30} GB"
            )
        if "error" in answer:
            raise InputError(f"{where} could not be read as {kind}: {answer['error']}")
        return str(answer["title"]), str(answer["text"])

    def _ask(self, process: subprocess.Popen[bytes], kind: str, data: bytes) -> dict[str, Any] | None:
        """None where the process died, or was killed because its time was over."""
        assert process.stdin and process.stdout
        clock = threading.Timer(self.seconds, process.kill)
        clock.start()
        try:
            process.stdin.write(json.dumps({"kind": kind, "size": len(data)}).encode() + b"\n" + data)
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            return None
        finally:
            clock.cancel()
        return dict(json.loads(line)) if line.endswith(b"\n") else None

    def close(self) -> None:
        if self._process:
            self._process.kill()
            self._process.communicate()
            self._process = None


@contextmanager
def converter() -> Iterator[Converter]:
    opened = Converter()
    try:
        yield opened
    finally:
        opened.close()


def _start() -> subprocess.Popen[bytes]:
    # -P: a file in the current folder that has a library's name must not be run.
    command = [sys.executable, "-P", "-W", "ignore", "-m", __name__]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


# The process itself


def serve() -> None:
    out = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever the libraries print is no answer
    _limit()
    for line in sys.stdin.buffer:
        asked = json.loads(line)
        answer = _convert(asked["kind"], sys.stdin.buffer.read(asked["size"]))
        out.write(json.dumps(answer).encode() + b"\n")
        out.flush()


def _limit() -> None:
    import socket

    def refuse(*_: object, **__: object) -> None:
        raise OSError("documents are read without a network")

    socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse  # type: ignore
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    except (ImportError, ValueError, OSError):
        pass  # not on Windows


def _convert(kind: str, data: bytes) -> dict[str, str]:
    try:
        from markitdown import StreamInfo, converters

        extension, charset = f".{kind.lower()}", "utf-8" if kind == "HTML" else None
        found = getattr(converters, CONVERTERS[kind])().convert(
            io.BytesIO(data), StreamInfo(extension=extension, charset=charset)
        )
        return {"title": found.title or "", "text": found.markdown}
    except Exception as error:
        name = type(error).__name__
        if "Password" in name or "Password" in repr(error) or "encrypted" in str(error):
            return {"error": "it is protected by a password; save it without one"}
        return {"error": f"it is damaged, or not what it says ({name}); open and save it again"}


if __name__ == "__main__":
    serve()
