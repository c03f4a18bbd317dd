"""Wall time and peak memory of a piece of work."""

from __future__ import annotations

import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(slots=True)
class Span:
    """Seconds that a block took."""

    seconds: float = 0.0


def wait(device: torch.device) -> None:
    """Until the device has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def timed(device: torch.device) -> Iterator[Span]:
    """The wall time of this block, the device's work included."""
    span = Span()
    wait(device)
    began = time.perf_counter()
    yield span
    wait(device)
    span.seconds = time.perf_counter() - began


def reset_peak(device: torch.device) -> None:
    """Forget earlier peaks of memory. On a CPU only Linux can; elsewhere the peak is that of the process so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    elif _RESET.exists():
        try:
            _RESET.write_text("5")  # proc(5): sets the peak to what is resident now
        except OSError:
            return


def peak_memory(device: torch.device) -> float:
    """The most memory since `reset_peak`, in MB: allocated on the GPU, or resident in this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    found = re.search(r"VmHWM:\s+(\d+)", _STATUS.read_text()) if _STATUS.exists() else None
    if found:
        return int(found[1]) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
