"""What a reproduction is asked for: where to, which model, which data, which keys are set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from selfedit.config import Config, merge
from selfedit.engines import embedded
from selfedit.protocols import Progress
from selfedit.results import Summary
from selfedit.store import Run
from selfedit.workflows.configure import make_config

OnRun = Callable[[Run, Summary], object]
"""Called with each run that has ended, and what it found: to write a report."""


@dataclass(frozen=True, slots=True)
class Options:
    name: str
    folder: Path
    progress: Progress
    on_run: OnRun
    overrides: tuple[str, ...] = ()
    model: str | None = None
    data: Path | None = None
    tasks: Path | None = None

    def config(self, tree: dict[str, Any], embedded_model: str = "almanac", preset: str = "seal") -> Config:
        """The config of one run: the model's recipe or a preset, `tree` over it, and what the user sets over both."""
        model = self.model or embedded_model
        base = merge(embedded.recipe(model), tree)
        return make_config(model, list(self.overrides), base=base, preset=preset)


def slug(text: str) -> str:
    """A folder's name for an arm: letters and digits, joined by dashes."""
    return "-".join("".join(letter if letter.isalnum() else " " for letter in text.lower()).split())
