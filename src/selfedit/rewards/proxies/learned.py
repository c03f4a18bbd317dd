"""A proxy reward fitted on the gains that SEAL measured: what an edit would earn, from the look of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from selfedit.rewards.proxies.features import features
from selfedit.types import Failure, SelfEdit, Task

PARAMETERS = Path(__file__).with_name("learned.json")


class Learned:
    """A weighted sum of features of (passage, edit); it never sees a question. `reproduce.fit_proxy` makes the weights.

    Its unit is accuracy, and only differences between edits of one passage mean anything. It reaches about a third of
    the rank correlation that the noise in SEAL's measurements allows (`selfedit reproduce proxy`).
    """

    def rate(self, edits: Sequence[tuple[Task, SelfEdit]]) -> list[float | Failure]:
        return [self._rate(task, edit) for task, edit in edits]

    def _rate(self, task: Task, edit: SelfEdit) -> float:
        seen = features(task.title, task.context, edit.text, documents_of(task, edit))
        return sum(weight * seen[name] for name, weight in _weights().items())


def documents_of(task: Task, edit: SelfEdit) -> list[str]:
    """The training documents without their titles and without the passage."""
    texts = [example.target.removeprefix(f"{task.title}\n") for example in edit.examples]
    return [text for text in texts if text != task.context]


@cache
def _weights() -> dict[str, float]:
    weights: dict[str, float] = json.loads(PARAMETERS.read_text(encoding="utf-8"))
    return weights
