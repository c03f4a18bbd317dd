"""How the local engine starts, in the process of a command or in one of its workers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from selfedit.config import ModelConfig
from selfedit.protocols import Progress

if TYPE_CHECKING:
    from selfedit.engines.local.engine import LocalEngine


def start_local(config: ModelConfig, wave: int, progress: Progress) -> LocalEngine:
    """The local engine with this model, and nothing printed. Importing it takes seconds, so it happens only here."""
    quieten()
    from selfedit.engines.local.engine import LocalEngine

    return LocalEngine.from_config(config, wave, progress)


def quieten() -> None:
    """Settings of the libraries that must stand before they are imported; their loading bars would garble ours."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads spin only briefly for each other. With the default, other work on the machine made training four times
    # slower; when they never spin, two threads are slower than one (LOG.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
