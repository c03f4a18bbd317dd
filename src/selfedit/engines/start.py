"""Starting the local engine: in this process, or in several."""

from __future__ import annotations

import os
import shutil
import sys
from functools import partial
from logging import ERROR, getLogger
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from selfedit.config import ModelConfig
from selfedit.engines import embedded, fetched, gguf
from selfedit.engines.cores import cores, idle_threads, usual_threads
from selfedit.engines.pool import Pool
from selfedit.protocols import Progress, silent

if TYPE_CHECKING:
    from selfedit.engines.local.engine import LocalEngine

SMALL = 100_000_000
"""Bytes of weights up to which a second process is worth more than a second thread."""

MAX_PROCESSES = 8
"""Each holds PyTorch and the model, and in more there would be few of the adapters for each."""


PROCESS_BYTES = 500_000_000
"""Of memory for each: what PyTorch, transformers and peft take before there is a model."""

log = getLogger(__name__)


def start_local(config: ModelConfig, max_adapters: int, progress: Progress) -> LocalEngine:
    """The local engine with this model. Nothing is printed. It is imported here only: importing it takes seconds."""
    quieten()
    import torch

    from selfedit.engines.local.engine import LocalEngine

    threads = threads_for(config)
    if config.threads or threads < torch.get_num_threads():  # which a program may have lowered
        torch.set_num_threads(threads)
    return LocalEngine.from_config(config, max_adapters, progress)


def start_pool(config: ModelConfig, max_adapters: int, processes: int, progress: Progress = silent) -> Pool:
    """Local engines in `processes` processes, which share the memory there is."""
    memory = (config.memory_bytes or psutil.virtual_memory().available) // processes
    config = config.model_copy(update={"memory": str(memory), "threads": threads_for(config)})
    return Pool(partial(start_local, config, max_adapters), processes, progress)


def usual_processes(model: ModelConfig) -> int:
    """One per core (at most MAX_PROCESSES) for a small model on a CPU, else one.

    Without asking PyTorch: importing it takes seconds, which the workers spend at the same time.
    """
    return min(cores(), MAX_PROCESSES) if _is_on_cpu(model) and _is_small(model) else 1


def threads_for(model: ModelConfig) -> int:
    """As many as the config says, or as there are idle cores for a model that runs on them.

    A small model has the usual number whatever else runs: its processes share the cores, and what it computes, which
    depends on the number in its last digits, is then the same in every run on a machine.
    """
    if model.threads:
        return model.threads
    return idle_threads() if model.engine == "local" and _is_on_cpu(model) and not _is_small(model) else usual_threads()


def _is_on_cpu(model: ModelConfig) -> bool:
    gpu = sys.platform == "darwin" or shutil.which("nvidia-smi") is not None
    return model.device == "cpu" or (model.device == "auto" and not gpu)


def _is_small(model: ModelConfig) -> bool:
    return 0 < _weights(model) < SMALL


def _weights(model: ModelConfig) -> int:
    """Bytes of the model's weights: of a GGUF file those unpacked to float32. 0 of one that is not here."""
    folder = embedded.weights(model.name) or fetched.folder_of(model.name)
    if not folder and (path := gguf.file_of(model.name)):
        return 4 * gguf.read_header(path).numbers
    folder = folder or Path(model.name)
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def processes_for(model: ModelConfig) -> int:
    """As many as the config says, or as are usual; but no more than the machine has room for, which is then said.

    Results depend on the number, so one that is only slow is granted: up to MAX_PROCESSES on fewer cores.
    """
    wanted, room = model.processes or usual_processes(model), psutil.virtual_memory().total
    possible = max(1, min(room // (PROCESS_BYTES + _weights(model)), max(MAX_PROCESSES, os.cpu_count() or 1)))
    if wanted > possible:
        log.warning("model.processes is %d, and this machine has room for %d: so many are started", wanted, possible)
    return min(wanted, possible)


def quieten() -> None:
    """Settings of the libraries that must be made before they are imported; their progress bars would garble ours."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads spin only briefly for each other. With the default, other work on the machine made training four times
    # slower; when they never spin, two threads are slower than one (LOG.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    from transformers.utils import logging

    logging.set_verbosity_error()
    getLogger("huggingface_hub").setLevel(ERROR)  # it counts its tries aloud; we say how they ended
    getLogger("bitsandbytes").setLevel(ERROR)  # peft imports it, and it has much to say about processors
    logging.disable_progress_bar()
