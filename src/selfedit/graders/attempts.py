"""The grader of ARC: a test grid is solved if one of the attempts is it, cell for cell."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from selfedit.types import Failure, Question


class Attempts:
    """1 if the target, JSON, is an element of the answer, a JSON list; an answer that is no such list is wrong."""

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        return [float(json.loads(question.target) in _attempts(answer)) for question, answer in pairs]


def _attempts(answer: str) -> list[Any]:
    try:
        attempts = json.loads(answer)
    except (ValueError, RecursionError):
        return []
    return attempts if isinstance(attempts, list) else []
