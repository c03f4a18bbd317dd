"""Wall time and peak memory of a piece of work."""

from __future__ import annotations

import multiprocessing
import os
import re
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import torch


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


def _processes() -> list[Path]:
    """The folders that Linux has for this process and its workers; none on other systems."""
    own = [os.getpid(), *(child.pid for child in multiprocessing.active_children())]
    return [folder for number in own if (folder := Path(f"/proc/{number}")).is_dir()]


def reset_peak(device: torch.device) -> None:
    """Forget earlier peaks of memory. On a CPU only Linux can; elsewhere the peak is that of the process so far."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        for folder in _processes():
            with suppress(OSError):
                (folder / "clear_refs").write_text("5")  # proc(5): sets the peak to what is resident now


def peak_memory(device: torch.device) -> float:
    """The most memory since `reset_peak`, in MB: allocated on the GPU, or resident in this process and its workers."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    found = [re.search(r"VmHWM:\s+(\d+)", (folder / "status").read_text()) for folder in _processes()]
    if found:
        return sum(int(peak[1]) for peak in found if peak) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024  # getrusage(2): bytes on macOS, kilobytes elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
