"""Engines, by name. Importing this package loads neither PyTorch nor transformers: a row does, when it is called.

Beside these there is `HttpSampler`, which only samples; `Pair` makes a full engine of it and one of these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Protocol

from selfedit.config import ModelConfig
from selfedit.protocols import Engine, Progress
from selfedit.types import Task


class EngineFactory(Protocol):
    """Starts an engine, and stops it at the end of the block. It raises InputError for what it cannot start."""

    def __call__(
        self, config: ModelConfig, *, max_adapters: int, processes: int, tasks: Sequence[Task], progress: Progress
    ) -> AbstractContextManager[Engine]: ...


@contextmanager
def _local(
    config: ModelConfig, *, max_adapters: int, processes: int, tasks: Sequence[Task], progress: Progress
) -> Iterator[Engine]:
    """The config's model, in this process, or in several if `processes` is more than 1."""
    from selfedit.engines.start import start_local, start_pool

    if processes > 1:
        with closing(start_pool(config, max_adapters, processes, progress)) as pool:
            yield pool
    else:
        yield start_local(config, max_adapters, progress)


@contextmanager
def _fake(
    config: ModelConfig, *, max_adapters: int, processes: int, tasks: Sequence[Task], progress: Progress
) -> Iterator[Engine]:
    """No model: for tests and `--dry-run`. It answers what `tasks` teach."""
    from selfedit.engines.fake import FakeEngine

    yield FakeEngine(tasks)


ENGINES: Mapping[str, EngineFactory] = {"local": _local, "fake": _fake}
