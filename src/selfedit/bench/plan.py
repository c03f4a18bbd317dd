"""How much is run, and with which recipe: a shape's defaults under what was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from selfedit.config import Config, load_config
from selfedit.engines import embedded
from selfedit.errors import InputError


@dataclass(frozen=True, slots=True)
class ShapePlan:
    """How much is run: adapter counts of the engine, edits of the unpadded baselines and of SEAL's recipe (0: none).

    All arms train for `epochs`, which every library knows, and not for the recipe's tokens.
    """

    adapters: tuple[int, ...]
    baseline_edits: int
    seal_edits: int
    epochs: int = 3


@dataclass(frozen=True, slots=True)
class BenchOptions:
    """What was asked for; None and () leave the shape's default. `edits`: a file in SEAL's released layout."""

    device: str = "auto"
    adapters: tuple[int, ...] = ()
    baseline_edits: int | None = None
    seal_edits: int | None = None
    rank: int | None = None
    epochs: int | None = None
    learning_rate: float | None = None
    edits: Path | None = None

    def plan(self, default: ShapePlan) -> ShapePlan:
        """Raises InputError where nothing would be run."""
        if (self.baseline_edits is not None and self.baseline_edits < 1) or min(self.adapters, default=1) < 1:
            raise InputError("there is nothing to measure with 0 edits; --baseline-edits and --adapters begin at 1")
        if self.seal_edits is not None and self.seal_edits < 0:
            raise InputError(f"--seal-edits is {self.seal_edits}; it can be 0, which leaves SEAL's recipe out, or more")
        return replace(
            default,
            adapters=tuple(sorted(set(self.adapters))) or default.adapters,
            baseline_edits=default.baseline_edits if self.baseline_edits is None else self.baseline_edits,
            seal_edits=default.seal_edits if self.seal_edits is None else self.seal_edits,
            epochs=default.epochs if self.epochs is None else self.epochs,
        )

    def config(self, plan: ShapePlan) -> Config:
        """The embedded model's recipe, by epochs, under these options; alpha keeps its ratio to the rank.

        Raises InputError.
        """
        config = load_config(None, [], embedded.recipe("almanac"))
        values = {"rank": self.rank, "epochs": plan.epochs, "tokens": 0, "learning_rate": self.learning_rate}
        if self.rank:
            values["alpha"] = config.inner.alpha / config.inner.rank * self.rank
        chosen = [f"inner.{key}={value}" for key, value in values.items() if value is not None]
        return load_config(None, chosen, embedded.recipe("almanac"))
