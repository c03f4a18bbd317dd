"""Config trees that ship, by name: what a model that is not embedded is taught by.

- chat: worked examples as turns, notes that are checked, and sampling as the model's maker has it. The default.
- gentle: the same with smaller steps, and with chat that is replayed.
- seal: SEAL's values.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfedit.config.load import merge, read_toml
from selfedit.errors import InputError

FOLDER = Path(__file__).parent
NAMES = ("chat", "gentle", "seal")
DEFAULT = "chat"


def preset(name: str) -> dict[str, Any]:
    """The config tree of this name. Raises InputError for one that is not there."""
    if name not in NAMES:
        raise InputError(f"there is no preset {name!r}; choose one of {', '.join(NAMES)}")
    tree = read_toml(FOLDER / f"{name}.toml")
    return merge(preset("chat"), tree) if name == "gentle" else tree
