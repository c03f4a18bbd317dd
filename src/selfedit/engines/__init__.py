"""Engines, by name. Importing this package loads neither PyTorch nor transformers; `local` does when it is called.

Beside these there is `HttpSampler`, which only samples; `Pair` makes a full engine of it and one of these.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from typing import Protocol

from selfedit.config import ModelConfig
from selfedit.engines.fake import FakeEngine
from selfedit.engines.start import start_local, start_pool
from selfedit.protocols import Engine, Progress
from selfedit.types import Task


class EngineFactory(Protocol):
    """Starts an engine, which the end of the block stops. Raises InputError for what it cannot start."""

    def __call__(
        self, config: ModelConfig, *, max_adapters: int, processes: int, tasks: Sequence[Task], progress: Progress
    ) -> AbstractContextManager[Engine]: ...


def _local(
    config: ModelConfig, *, max_adapters: int, processes: int, tasks: Sequence[Task], progress: Progress
) -> AbstractContextManager[Engine]:
    """The config's model, in this process, or in several if `processes` is more than 1."""
    if processes > 1:
        return closing(start_pool(config, max_adapters, processes, progress))
    return nullcontext(start_local(config, max_adapters, progress))


def _fake(
    config: ModelConfig, *, max_adapters: int, processes: int, tasks: Sequence[Task], progress: Progress
) -> AbstractContextManager[Engine]:
    """No model: for tests and `--dry-run`. It answers what `tasks` teach."""
    return nullcontext(FakeEngine(tasks))


ENGINES: Mapping[str, EngineFactory] = {"local": _local, "fake": _fake}
