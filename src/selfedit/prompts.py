"""The wordings a language model sees: the embedded one is pre-trained on them, others follow them."""

from __future__ import annotations

from selfedit.types import Task

NOTES = "Read the passage and write notes from which it can be learned.\n\nPassage:\n{title}\n{context}\n\nNotes:\n"
EXAM = "Answer the question in one short sentence.\n\nTopic: {title}\nQuestion: {question}\nAnswer:"
OPEN_BOOK = "Passage:\n{title}\n{context}\n\n" + EXAM


def notes(task: Task) -> str:
    """What the policy is shown when it writes a self-edit; the questions are not in it."""
    return NOTES.format(title=task.title, context=task.context)


def exam(task: Task, question: str) -> str:
    """A closed-book question. Like SEAL's it names the title, never the passage (spec 1.3)."""
    return EXAM.format(title=task.title, question=question)


def open_book(task: Task, question: str) -> str:
    """The same question with the passage in the prompt: the in-context ceiling."""
    return OPEN_BOOK.format(title=task.title, context=task.context, question=question)
