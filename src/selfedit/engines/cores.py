"""How many cores there are for us, and how many of them are idle."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

CGROUPS = Path("/sys/fs/cgroup")

INTERVAL = 0.25
"""Seconds for which the cores are watched: shorter, and what runs now and then looks idle, or as if it always ran."""

MOSTLY = 0.75
"""The share of its time for which a core must be idle to count as one of ours."""


def cores() -> int:
    """The cores we may use. OMP_NUM_THREADS, which bounds the threads of PyTorch, bounds its processes too."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    if allowed.isdigit() and int(allowed):
        return int(allowed)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _quota() or count)


def _quota() -> int:
    """The cores' worth of time that a container's control group grants, at least one; 0 if it sets no limit."""
    for names in (["cpu.max"], ["cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"]):  # version 2, and version 1
        try:
            quota, period = " ".join((CGROUPS / name).read_text() for name in names).split()
        except (OSError, ValueError):
            continue
        return max(1, int(quota) // int(period)) if quota.isdigit() and int(quota) else 0
    return 0


def usual_threads() -> int:
    """As many as PyTorch takes: one per core, of which hyper-threads are none, or OMP_NUM_THREADS."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return cores() if allowed.isdigit() else min(cores(), psutil.cpu_count(logical=False) or cores())


def idle_threads() -> int:
    """Of the usual threads as many as there are idle cores, watched for a moment, and at least one.

    A thread whose core does other work is waited for by all the others at every operation: two threads on one idle core
    are slower than one. OMP_NUM_THREADS is taken at its word.
    """
    usual = usual_threads()
    if usual == 1 or os.environ.get("OMP_NUM_THREADS", "").isdigit():
        return usual
    busy = psutil.cpu_percent(INTERVAL, percpu=True)
    ours = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(len(busy))
    idle = sum(100 - busy[core] >= 100 * MOSTLY for core in ours if core < len(busy))
    return max(1, min(usual, idle))
