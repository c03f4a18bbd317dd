"""Passages, the self-edits written about them, and how these were written: SEAL's `data` folder (docs/seal.md 7)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, model_validator

from selfedit.errors import InputError
from selfedit.files import read_text
from selfedit.formats.record import Record, parse, read_records
from selfedit.types import Question

_STRING_OR_COMMA = re.compile(r'("(?:[^"\\]|\\.)*+"?)|,(?=\s*[}\]])')


class AskedQuestion(Record):
    question: str
    answer: str


class Passage(Record):
    """One record of `squad_*.json`: a paragraph and its held-out questions."""

    title: str
    context: str
    questions: tuple[AskedQuestion, ...] = ()


class SyntheticPassage(Passage):
    """One record of synthetic data, as it stands in the file: a passage, and what a model wrote when shown `prompt`.

    Most files have `completions`, some a single `completion`. EntiGraph's have `pair_completions`, perhaps
    `triple_completions`, and the entities these are about. No EntiGraph file was released: its keys are as SEAL's
    description has them, and `entities_raw` and `entities` are kept unread.
    """

    completions: tuple[str, ...] = ()
    prompt: str = ""
    completion: str = ""
    pair_completions: tuple[str, ...] = ()
    triple_completions: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _has_texts(self) -> SyntheticPassage:
        if not {"completions", "completion", "pair_completions", "triple_completions"} & self.model_fields_set:
            raise ValueError("should have completions, completion, pair_completions or triple_completions")
        return self

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that was written: `completions`, or what stands in their place, then `triple_completions`."""
        single = (self.completion,) if "completion" in self.model_fields_set else ()
        return (self.completions or single or self.pair_completions) + self.triple_completions


@dataclass(frozen=True, slots=True)
class Completions:
    """The self-edits that somebody's model wrote about one passage, whichever kind of file they stood in.

    A completion can be empty: the edit that holds nothing but the passage (`naive_val.json`).
    """

    title: str
    context: str
    questions: tuple[Question, ...]
    completions: tuple[str, ...]
    prompt: str


class Meta(Record):
    """`X.json.meta`: how the synthetic data in `X.json` was written. `n` counts passages, `k` completions for each.

    Not to be trusted without a look: the released meta of the GPT-4.1 edits names another model (docs/seal.md 7).
    """

    model: str
    dataset_in: str = ""
    dataset_out: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    n: int | None = None
    k: int | None = None
    timestamp: str | None = None

    @property
    def written_at(self) -> datetime | None:
        """`timestamp` as a time. SEAL's ends with two time zones, +00:00 and Z. None where it cannot be read."""
        try:
            return datetime.fromisoformat(re.sub(r"(?<=[+-]\d\d:\d\d)Z$", "", self.timestamp or ""))
        except ValueError:
            return None


def read_passages(path: Path) -> list[Passage]:
    """The passages of a `squad_*.json`, as they stand in the file. Raises InputError with the record and the key."""
    return read_records(path, Passage)


def read_synthetic(path: Path) -> list[SyntheticPassage]:
    """The records of a synthetic data file, as they stand in it. Raises InputError with the record and the key."""
    return read_records(path, SyntheticPassage)


def read_completions(path: Path, at_least: int = 1) -> list[Completions]:
    """The self-edits in a synthetic data file of any kind, in the file's order. A passage may have no questions.

    Raises InputError with the record and the key, and for a record with fewer completions than `at_least`.
    """
    read = [_completions(record) for record in read_synthetic(path)]
    for index, passage in enumerate(read):
        if len(passage.completions) < at_least:
            raise InputError(
                f"{path}: record {index} ({passage.title!r}) has {len(passage.completions)} completions where at least "
                f"{at_least} are needed; ask for fewer, or choose another file"
            )
    return read


def _completions(record: SyntheticPassage) -> Completions:
    questions = tuple(Question(asked.question, asked.answer) for asked in record.questions)
    return Completions(record.title, record.context, questions, record.texts, record.prompt)


def read_meta(data: Path) -> Meta | None:
    """How the synthetic data in the file `data` was written; None where nothing beside it says so.

    For X.json that is X.json.meta, or else X.meta. A comma before a closing bracket is overlooked: a released file has
    one. Raises InputError where the file is damaged otherwise.
    """
    for path in (meta_path(data), data.with_suffix(".meta")):
        if path.exists():
            text = _STRING_OR_COMMA.sub(lambda found: found[1] or "", read_text(path))
            return parse(text, TypeAdapter(Meta), str(path))
    return None


def meta_path(data: Path) -> Path:
    """Where to write the meta of the file `data`: X.json -> X.json.meta."""
    return data.with_name(f"{data.name}.meta")
