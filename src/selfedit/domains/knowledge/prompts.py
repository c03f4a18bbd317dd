"""The wordings a language model sees. The embedded one is pre-trained on `NOTES` and on the two exams."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from zlib import crc32

from selfedit.types import Task

PASSAGE = "Passage:\n{title}\n{context}\n\n"
EXAM = "Answer the question in one short sentence.\n\nTopic: {title}\nQuestion: {question}\nAnswer:"
OPEN_BOOK = PASSAGE + EXAM
QUESTIONS = "Read the passage and write questions about it, each with a short answer.\n\n" + PASSAGE + "Question 1:"
ENTITIES = "Read the passage and list the people, places and things in it, one per line.\n\n" + PASSAGE + "Names:\n"
RELATION = (
    "Read the passage and explain how {first} and {second} are related in it, in a few sentences.\n\n"
    + PASSAGE
    + "{first} and {second}:\n"
)


@dataclass(frozen=True, slots=True)
class Wording:
    """What a self-edit is asked for: words before the passage, and the line after it that the model goes on from."""

    ask: str
    cue: str

    @property
    def template(self) -> str:
        """With {title} and {context} where those go."""
        return f"{self.ask}\n\n{PASSAGE}{self.cue}" if self.ask else f"{PASSAGE}{self.cue}"

    def of(self, task: Task) -> str:
        return self.template.format(title=task.title, context=task.context)


NOTES = Wording("Read the passage and write notes from which it can be learned.", "Notes:\n")
"""This project's own prompt; the embedded model is pre-trained on it."""

PROMPTS: dict[str, Wording] = {
    "notes": NOTES,
    "implications": Wording(
        "Read the passage and list what follows from it, directly or indirectly.", "Implications:\n"
    ),
    "long": Wording("Read the passage and write a long list of what follows from it.", "Implications:\n"),
    "very-long": Wording(
        "Read the passage and write a very long list of what follows from it, leaving nothing out.", "Implications:\n"
    ),
    "rewrite": Wording("Read the passage and say it again in several other ways, one per line.", "Rewritten:\n"),
    "self-qa": Wording("Read the passage and turn it into questions and answers.", "Question 1:"),
    "none": Wording("", ""),
    "chain-of-thought": Wording(
        "Read the passage, think step by step about what it says, then list what follows from it under a line "
        'that says "Implications:".',
        "Thoughts:\n",
    ),
}
"""What a self-edit can be asked for, by SEAL's keys (docs/seal.md 2.2) in our own words. Two more names are read by the
knowledge domain: `entity-pair` asks in two steps (EntiGraph), and `pool` draws one of `POOL` for each edit."""

POOL = ("notes", "implications", "long", "rewrite", "self-qa")
"""The prompts among which `pool` shares a task's edits: diversity where a single prompt would repeat itself."""


def of_pool(task: Task, member: int) -> Wording:
    """The members of a task go through the pool in turn, each task from a place of its own."""
    return PROMPTS[POOL[(crc32(task.id.encode()) + member) % len(POOL)]]


def questions(task: Task) -> str:
    """Asks for an exam on the passage: what self-generated evaluation begins with."""
    return QUESTIONS.format(title=task.title, context=task.context)


def entities(task: Task) -> str:
    """The first step of `entity-pair` (EntiGraph, docs/seal.md 2.4)."""
    return ENTITIES.format(title=task.title, context=task.context)


def relations(task: Task, names: list[str]) -> list[str]:
    """The second step: one prompt for each pair of names."""
    return [
        RELATION.format(title=task.title, context=task.context, first=first, second=second)
        for first, second in combinations(names, 2)
    ]


def exam(task: Task, question: str) -> str:
    """A closed-book question. Like SEAL's it names the title, never the passage (docs/seal.md 1.3)."""
    return EXAM.format(title=task.title, question=question)


def open_book(task: Task, question: str) -> str:
    """The same question with the passage in the prompt: the in-context ceiling."""
    return OPEN_BOOK.format(title=task.title, context=task.context, question=question)
