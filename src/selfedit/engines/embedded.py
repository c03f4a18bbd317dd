"""The language models that ship with the package, by name: where their weights lie, and how they are taught."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfedit.config import read_toml

NAMES = ("almanac", "mosaic")
"""Passages about an invented world, and grids."""


def weights(name: str) -> Path | None:
    """The folder with the weights of an embedded model; None for any other model."""
    return Path(__file__).parents[1] / "worlds" / name / "weights" if name in NAMES else None


def recipe(name: str) -> dict[str, Any]:
    """The config tree that an embedded model is taught and reinforced by; empty for any other model."""
    return read_toml(Path(__file__).parents[1] / "worlds" / name / "recipe.toml") if name in NAMES else {}
