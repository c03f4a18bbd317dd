"""What can be stored: frozen nouns that survive a round trip through JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from selfedit.protocols import NounT
from selfedit.types import Continuation, DraftedQuestions, Drift, ItemScore, Observation, Trial

NOUNS: dict[str, type[Any]] = {
    noun.__name__: noun for noun in (Trial, Observation, DraftedQuestions, Continuation, Drift, ItemScore)
}


def dump(item: Any) -> str:
    return json.dumps(asdict(item), separators=(",", ":"))


def parse(text: str, noun: type[NounT]) -> NounT:
    """The inverse of `dump`."""
    item: NounT = _adapter(noun).validate_python(json.loads(text))  # type: ignore[arg-type]  # a class is hashable
    return item


@cache
def _adapter(noun: Any) -> TypeAdapter[Any]:
    return TypeAdapter(noun)


def columns(item: Any) -> tuple[str | None, float | None, str | None, str]:
    """Task, reward and failure, for those who look into the database, and the item itself."""
    if isinstance(item, Trial):
        return item.edit.task_id, item.reward, item.failure.message if item.failure else None, dump(item)
    return getattr(item, "task_id", None), None, None, dump(item)
