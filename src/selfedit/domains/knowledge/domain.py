"""Knowledge incorporation: read a passage, write notes about it, be asked about it without the passage."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from selfedit.config import Config, lookup
from selfedit.domains.knowledge import prompts
from selfedit.errors import BadEdit
from selfedit.types import Example, Question, Recipe, SelfEdit, Task

_QUESTION, _ANSWER = re.compile(r"Question \d+:"), "Answer:"
_CONCLUSION = re.compile(r"^\W*Implications:\W*$", re.MULTILINE | re.IGNORECASE)

MOST_NAMES = 4
"""Names that an `entity-pair` edit relates to each other: six pairs. EntiGraph takes all of a passage's, at a cost that
grows with their square; SEAL's budget is a handful of texts a passage (spec 2.3)."""


@dataclass(frozen=True, slots=True)
class Knowledge:
    """SEAL's knowledge domain.

    `prompt_name` is a key of `prompts.PROMPTS`, `pool` or `entity-pair`. `split_newlines`: each line of the notes is a
    document of its own (spec 1.3). `passage`: the passage is the last document. `most` caps the documents that come
    from the notes, 0 for no cap (SEAL's later code has 30). `recipe` is how every edit is trained.
    """

    split_newlines: bool = True
    prompt_name: str = "notes"
    passage: bool = True
    most: int = 0
    recipe: Recipe = field(default_factory=Recipe)

    @classmethod
    def from_config(cls, config: Config) -> Knowledge:
        """Raises InputError for a prompt that is not there."""
        names = {**prompts.PROMPTS, "pool": None, "entity-pair": None}
        lookup(names, config.outer.prompt, "outer.prompt")
        documents, recipe = config.documents, config.inner.recipe()
        passage = documents.passage != "none"
        return cls(documents.split_newlines, config.outer.prompt, passage, documents.most, recipe)

    def prompt(self, task: Task, member: int = 0) -> str:
        if self.prompt_name == "entity-pair":
            return prompts.entities(task)
        if self.prompt_name == "pool":
            return prompts.of_pool(task, member).of(task)
        return prompts.PROMPTS[self.prompt_name].of(task)

    def follow_ups(self, task: Task, text: str) -> list[str]:
        """`entity-pair` asks how the names that were listed, and that do stand in the passage, are related."""
        if self.prompt_name != "entity-pair":
            return []
        return prompts.relations(task, _names(task, text)[:MOST_NAMES])

    def parse(self, task: Task, text: str, member: int = 0) -> SelfEdit:
        if not text.strip():
            raise BadEdit("the notes are empty")
        conclusion = _CONCLUSION.search(text)  # what comes before it was thinking aloud (spec 1.3)
        notes = text[conclusion.end() :] if conclusion else text
        *documents, passage = build_documents(task.title, task.context, notes, self.split_newlines)
        documents = documents[: self.most or None] + [passage] * self.passage
        if not documents:
            raise BadEdit("there is nothing to learn in the notes")
        examples = tuple(Example("", document) for document in documents)
        return SelfEdit(task.id, self.prompt(task, member), text, examples, self.recipe)

    def without_edit(self, task: Task) -> SelfEdit:
        return SelfEdit(task.id, "", "", (Example("", f"{task.title}\n{task.context}"),), self.recipe)

    def exam(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        return [prompts.exam(task, question.text)]

    def open_book(self, task: Task, question: Question) -> list[str]:
        return [prompts.open_book(task, question.text)]

    def answer(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> str:
        ((text,),) = texts
        return text

    def own_exams(self, tasks: Sequence[Task]) -> list[Task] | None:
        return None

    def targets(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        """A gold answer may be a mere name where a model answers in sentences, so none."""
        return []


def _names(task: Task, text: str) -> list[str]:
    """The listed names that stand in the passage, each once, without the list's numbers and dashes."""
    lines = [re.sub(r"^[\s\-*\d.)]+", "", line).strip() for line in re.split(r"[\n,;]", text)]
    return list(dict.fromkeys(line for line in lines if line and line in f"{task.title}\n{task.context}"))


def build_documents(title: str, context: str, notes: str, split_newlines: bool = True) -> list[str]:
    """The training documents of a self-edit, by SEAL's rules (spec 1.3); the passage itself is the last.

    Notes are cut at `---` and, with `split_newlines`, at each line; a numbered line keeps its number, and where the
    second line begins with "1." the first is a preamble and is dropped. Notes with "Question n:" and "Answer:" are
    cut at each question instead, so that a question and its answer stay together. Each begins with the title.

    build_documents("Apollo", "It landed.", "It flew.") -> ["Apollo\\nIt flew.", "Apollo\\nIt landed."]
    """
    parts = _questions(notes) if _QUESTION.search(notes) and _ANSWER in notes else _lines(notes, split_newlines)
    return [f"{title}\n{part}" for part in [*parts, context]]


def _questions(notes: str) -> list[str]:
    """Cut before each `Question n:`. What stands before the first is the rest of a question begun in the prompt."""
    starts = [found.start() for found in _QUESTION.finditer(notes)]
    segments = [notes[: starts[0]].strip()] + [
        notes[start:end].strip() for start, end in zip(starts, [*starts[1:], len(notes)], strict=True)
    ]
    if segments[0]:
        segments[0] = f"Question 1: {segments[0]}"
    return [segment for segment in segments if segment]


def _lines(notes: str, split_newlines: bool) -> list[str]:
    segments = _without_preamble(notes).split("---")
    parts = [line for segment in segments for line in segment.split("\n")] if split_newlines else segments
    return [part.strip() for part in parts if part.strip()]


def _without_preamble(notes: str) -> str:
    lines = [line for line in notes.split("\n") if line.strip()]
    numbered = len(lines) > 1 and lines[1].startswith("1.")
    return "\n".join(lines[1:]) if numbered else notes
