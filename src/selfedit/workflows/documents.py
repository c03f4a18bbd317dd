"""The documents that people name, with the questions they have about them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfedit.domains.knowledge.questions import add_questions
from selfedit.domains.knowledge.reader import read_documents
from selfedit.types import Task


def documents_with_questions(paths: Sequence[Path], questions: Path | None = None, include: str = "") -> list[Task]:
    """One task per document; of folders those that the pattern `include` fits. Raises InputError."""
    documents = read_documents(paths, include)
    return add_questions(documents, questions) if questions else documents
