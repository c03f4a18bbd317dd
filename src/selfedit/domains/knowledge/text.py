"""Text files: from bytes to characters, and from a text to its title and its body."""

from __future__ import annotations

import codecs
import json
import logging
import re
import tomllib
import unicodedata

from selfedit.errors import InputError

log = logging.getLogger(__name__)

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16's, with which it begins
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NEWLINE, _BREAK = re.compile("\r\n|[\r\v\x85\u2028]"), re.compile("[\f\u2029]")
_CONTROL = re.compile("[\0-\x08\x0e-\x1a\x1c-\x1f\x7f]")
_TAG = re.compile("<[^<>]*>")
_CHARSET = re.compile(rb"""charset=["']?((?:windows|iso|koi8|gb|big5|shift|euc|utf)[\w-]{0,20})""", re.IGNORECASE)
_HIGH, _ASCII_LETTER = re.compile("[\x80-\uffff]"), re.compile("[A-Za-z]")

MAX_FOREIGN = 1 / 2
"""Largest share of accented letters in a Western text; more in one byte each is another script's code."""

MAX_FRONT, MAX_TITLE = 200, 200
"""Lines that a document's front matter may have, and characters of a title: it stands before every training text."""


def decode(data: bytes, where: str) -> str:
    """The characters of a text file: by its mark, else UTF-8, else what Windows wrote in Western Europe (CP1252).

    Guesses are logged. Lines end in a newline, pages in an empty line. Raises InputError for what looks like no text.
    """
    code = next((code for mark, code in _MARKS.items() if data.startswith(mark)), "")
    if not code and b"\0" in data:
        code = _without_mark(data)
        if code:
            log.warning("%s has no mark of its encoding and looks like %s: read as that", where, code.upper())
    elif not code and not _is_utf8(data):
        code = _declared(data)
    try:
        text = data.decode(code or "utf-8")
    except UnicodeDecodeError:
        if code:
            raise InputError(f"{where} is marked as {code.upper()} and is not; save it as UTF-8") from None
        text = _western(data, where)
    if "\0" in text or len(_CONTROL.findall(text)) > len(text) / 100:
        raise InputError(f"{where} holds control characters, so it is no text; convert it first")
    return _BREAK.sub("\n\n", _NEWLINE.sub("\n", text)).removeprefix("\ufeff")


def _without_mark(data: bytes) -> str:
    """UTF-16 of a mostly Latin text has a zero in every second byte; zeros elsewhere end in a refusal."""
    even, odd = data[::2].count(0), data[1::2].count(0)
    if len(data) % 2 == 0 and max(even, odd) > len(data) / 5 and min(even, odd) == 0:
        return "utf-16-le" if odd else "utf-16-be"
    return ""


def _is_utf8(data: bytes) -> bool:
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def _declared(data: bytes) -> str:
    """The encoding that a web page says it has; "" where it says none, or Latin-1, which on the web means CP1252."""
    found = _CHARSET.search(data[:4096])
    try:
        code = codecs.lookup(found[1].decode()).name if found else ""
    except LookupError:
        return ""
    return "" if code == "iso8859-1" else code


def _western(data: bytes, where: str) -> str:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise InputError(f"{where} is not text in UTF-8; convert it first") from None
    words = _TAG.sub("", text)
    foreign, letters = len(_HIGH.findall(words)), len(_ASCII_LETTER.findall(words))
    if foreign > MAX_FOREIGN * (foreign + letters):
        raise InputError(f"{where} is not text in UTF-8, nor in CP1252 by its look; save it as UTF-8")
    log.warning("%s is not UTF-8: read as CP1252 (Latin-1); where letters look wrong, save it as UTF-8", where)
    return text


# Titles

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_ATX = re.compile(r" {0,3}#[ \t]+(.*)$")
_CLOSING = re.compile(r"(^|[ \t])#+$")
_SETEXT = re.compile(r" {0,3}=+[ \t]*$")
_KEY = re.compile(r"[\w.-]+[ \t]*:(\s|$)|[ \t#-]|$")


def titled(text: str, name: str, is_markdown: bool) -> tuple[str, str]:
    """(title, body) of a document. `name`, made of its file's, is the title where the text says none.

    Markdown says it in its front matter, or in its first heading of the first level, which is then no part of the body.
    Lines in a code block are no headings.
    """
    if not is_markdown:
        return name, text.strip()
    stated, text = _front_matter(text)
    lines = text.split("\n")
    found = None if stated else _heading(lines)
    if found is None or len(found[0]) > MAX_TITLE:
        return stated or name, text.strip()
    title, start, end = found
    body = "\n".join([*lines[:start], "", *lines[end:]]).strip()
    return title, body or text.strip()


def _heading(lines: list[str]) -> tuple[str, int, int] | None:
    """(text, first line, line after it) of the first heading of the first level (CommonMark 4.2 and 4.3)."""
    fence = ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if fence:
            if mark and mark[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif mark:
            fence = mark[1]
        elif found := _ATX.match(line):
            if title := _CLOSING.sub("", found[1].strip()).strip():
                return title, number, number + 1
        elif number and _SETEXT.match(line) and lines[number - 1].strip():
            before = lines[number - 1]
            is_text = not before.startswith(("    ", "\t")) and not re.match(
                r"\s*([#>|`~]|[-*+=][ =]|[-*_=]{3})", before
            )
            if is_text:
                return before.strip(), number - 1, number + 1
    return None


def _front_matter(text: str) -> tuple[str, str]:
    """(title, the text after it) of a text that begins with `key: value` lines between `---`, or with TOML in `+++`."""
    lines = text.lstrip("\n").split("\n", MAX_FRONT)
    mark = lines[0].rstrip()
    if mark not in ("---", "+++"):
        return "", text
    end = next((n for n, line in enumerate(lines[1:MAX_FRONT], start=1) if line.rstrip() in {mark, "..."}), 0)
    front = lines[1:end]
    if not end:
        return "", text
    if mark == "+++":
        try:
            title = tomllib.loads("\n".join(front)).get("title")
        except (tomllib.TOMLDecodeError, RecursionError):
            return "", text
    elif any(line.strip() for line in front) and all(map(_KEY.match, front)):
        title = next((_plain(line.partition(":")[2].strip()) for line in front if line.startswith("title:")), "")
    else:
        return "", text
    title = " ".join(title.split()) if isinstance(title, str) else ""
    return title if len(title) <= MAX_TITLE else "", "\n".join(lines[end + 1 :])


def _plain(value: str) -> str:
    """A YAML scalar of one line as text; one that goes on in other lines is none."""
    if quoted := re.match(r'"(?:[^"\\]|\\.)*"', value):
        try:
            return str(json.loads(quoted[0]))
        except ValueError:
            return quoted[0][1:-1]
    if quoted := re.match(r"'(?:[^']|'')*'", value):
        return quoted[0][1:-1].replace("''", "'")
    return "" if value[:1] in ("|", ">", "[", "{", "&", "*", "!") else re.split(r"\s#", value, maxsplit=1)[0]


def slug(text: str, any_letters: bool = False) -> str:
    """A name for files and keys: lower case, at most 40 letters and digits, in one word.

    slug("Staff_handbook 2!") -> "staff-handbook-2"
    """
    kept = unicodedata.normalize("NFC", text).lower() if any_letters else text.lower()
    return re.sub(r"[\W_]+" if any_letters else r"[^a-z0-9]+", "-", kept).strip("-")[:40] or "document"


_SENTENCE_END = re.compile(
    r"""(?:(?<=[.!?])|(?<=[.!?]["”’)\]]))\s+(?=["“‘(\[]?[A-Z0-9])|\s*\n\s*\n\s*|\n\s*(?=["“‘A-Z#*•-])"""
)
_ABBREVIATED = re.compile(
    r"(?:\b(?:St|Mr|Mrs|Ms|Dr|Jr|Sr|Prof|Gen|Col|No|Nos|vs|etc|ca|approx|Inc|Ltd|Co|Mt|e\.g|i\.e)|\b[A-Za-z])\.$"
)


def sentences(text: str) -> list[str]:
    """The sentences of an English text, in order.

    By end marks before a capital letter or a digit, and by line breaks before a capital letter or a bullet; initials
    and common abbreviations end none, and neither does a piece of fewer than three words. Not covered: languages
    without such marks, whose text comes back whole or by its lines.
    """
    found = list[str]()
    for piece in _SENTENCE_END.split(text):
        piece = piece.strip()
        if found and piece and (_ABBREVIATED.search(found[-1]) or len(found[-1].split()) < 3):
            found[-1] += f" {piece}"
        elif piece:
            found.append(piece)
    return found
