"""Notes as training documents, by SEAL's rules, and the questions in a text that a model wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from selfedit.thoughts import answer_in
from selfedit.types import Question

_QUESTION, _ANSWER = re.compile(r"Question \d+:"), "Answer:"
_NUMBER = re.compile(r"Question(?: \d+)?:")


def parse_questions(text: str) -> Iterator[Question]:
    """The questions in a text of the form `Question 1: …`, `Answer: …`; what has no answer is left out. An answer may
    stand on the line below its mark. Thoughts are not read.
    """
    asked = ""
    lines = iter([line.strip() for line in answer_in(text).split("\n") if line.strip()])
    for line in lines:
        if not (asked and line.startswith(_ANSWER)):
            asked = _NUMBER.sub("", line, count=1).lstrip() if _NUMBER.match(line) else line
            continue
        answer = line.removeprefix(_ANSWER).strip() or next(lines, "")
        if answer and asked.endswith("?"):
            yield Question(asked, answer)
        asked = ""


def build_documents(title: str, context: str, notes: str, split_newlines: bool = True) -> list[str]:
    """The training documents of a self-edit, by SEAL's rules (docs/seal.md 1.3); the passage itself is the last.

    Notes are cut at `---` and, with `split_newlines`, at each line; a numbered line keeps its number, and where the
    second line begins with "1." the first is a preamble and is dropped. Notes with "Question n:" and "Answer:" are
    cut at each question instead, so that a question and its answer stay together. Each begins with the title.

    build_documents("Apollo", "It landed.", "It flew.") -> ["Apollo\\nIt flew.", "Apollo\\nIt landed."]
    """
    return [f"{title}\n{part}" for part in [*segments(notes, split_newlines), context]]


def segments(notes: str, split_newlines: bool = True) -> list[str]:
    """The parts of notes that are documents: lines, or each question with its answer."""
    return _questions(notes) if _QUESTION.search(notes) and _ANSWER in notes else _lines(notes, split_newlines)


def joined(parts: Sequence[str]) -> str:
    """Notes of which these are the segments. Questions are numbered anew; where the first is one there is nothing else,
    and no question where it is none, as one text cannot be cut both ways.
    """
    asks = bool(_QUESTION.match(parts[0]))
    alike = [part for part in parts if bool(_QUESTION.match(part)) == asks]
    return "\n".join(_QUESTION.sub(f"Question {number}:", part, count=1) for number, part in enumerate(alike, 1))


_MARK = re.compile(r"^(?:[-*•–]|\(?\d{1,2}[.)])\s+")


def statements(notes: str) -> list[str]:
    """The lines of notes without bullets and numbers. What was cut off, having no end mark, is left out."""
    lines = [_MARK.sub("", line.strip()) for line in answer_in(notes).split("\n")]
    return [line for line in lines if line and line[-1] in '.!?"”’)']


def _questions(notes: str) -> list[str]:
    """Cut before each `Question n:`. What stands before the first is the rest of a question begun in the prompt."""
    starts = [found.start() for found in _QUESTION.finditer(notes)]
    parts = [notes[: starts[0]].strip()] + [
        notes[start:end].strip() for start, end in zip(starts, [*starts[1:], len(notes)], strict=True)
    ]
    if parts[0]:
        parts[0] = f"Question 1: {parts[0]}"
    return [part for part in parts if part]


def _lines(notes: str, split_newlines: bool) -> list[str]:
    whole = _without_preamble(notes).split("---")
    parts = [line for segment in whole for line in segment.split("\n")] if split_newlines else whole
    return [part.strip() for part in parts if part.strip()]


def _without_preamble(notes: str) -> str:
    lines = [line for line in notes.split("\n") if line.strip()]
    numbered = len(lines) > 1 and lines[1].startswith("1.")
    return "\n".join(lines[1:]) if numbered else notes
