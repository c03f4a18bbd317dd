"""Documents that are longer than a model's context, in passages that fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from selfedit.cli import screen
from selfedit.config import Config
from selfedit.domains.knowledge.reader import split
from selfedit.types import Task
from selfedit.workflows.train import make_domain

if TYPE_CHECKING:
    from selfedit.engines.local.engine import LocalEngine


def cutter(config: Config, engine: LocalEngine) -> Callable[[Task], list[Task]]:
    """What cuts a document up that would not leave room for notes in the model's context."""
    domain = make_domain(config)
    room = engine.text.context - min(config.outer.writing.max_new_tokens, engine.text.context // 2)

    def fits(title: str, text: str) -> bool:
        return len(engine.text.prompt(domain.prompt(Task("", title, text)))) <= room

    def cut(document: Task) -> list[Task]:
        return split(replace(document, questions=()), fits)

    return cut


def passages(documents: list[Task], config: Config, engine: LocalEngine) -> list[Task]:
    """The documents, cut where they must be; says so."""
    cut, found = cutter(config, engine), []
    for document in documents:
        parts = cut(document)
        if len(parts) > 1:
            screen.err.print(f"{document.title!r} is longer than the model's context: split into {len(parts)} passages")
        found += parts
    return found
