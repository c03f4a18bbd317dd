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
    from selfedit.engines.local.engine import LocalEngine

    if config.threads:
        import torch

        torch.set_num_threads(config.threads)
    return LocalEngine.from_config(config, max_adapters, progress)


def start_pool(config: ModelConfig, max_adapters: int, processes: int, progress: Progress = silent) -> Pool:
    """Local engines in `processes` processes, which share the memory there is."""
    memory = (config.memory_bytes or psutil.virtual_memory().available) // processes
    config = config.model_copy(update={"memory": str(memory)})
    return Pool(partial(start_local, config, max_adapters), processes, progress)


def usual_processes(model: ModelConfig) -> int:
    """One per core (at most MAX_PROCESSES) for a small model on a CPU, else one.

    Without asking PyTorch: importing it takes seconds, which the workers spend at the same time.
    """
    size = _weights(model)
    gpu = sys.platform == "darwin" or shutil.which("nvidia-smi") is not None
    on_cpu = model.device == "cpu" or (model.device == "auto" and not gpu)
    return min(cores(), MAX_PROCESSES) if on_cpu and 0 < size < SMALL else 1


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


def cores() -> int:
    """The cores we may use. OMP_NUM_THREADS, which bounds the threads of PyTorch, bounds its processes too."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdigit() and int(allowed):
        return int(allowed)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def usual_threads() -> int:
    """As many as PyTorch takes: one per core, of which hyper-threads are none, or OMP_NUM_THREADS."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return cores() if allowed.isdigit() else min(cores(), psutil.cpu_count(logical=False) or cores())


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
