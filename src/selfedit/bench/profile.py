"""Where the time of training goes, by kind of work."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import torch
from torch._C._autograd import DeviceType
from torch.profiler import ProfilerActivity

from selfedit.bench.clock import timed

KINDS = {
    "optimizer": ("optimizer", "adam", "foreach", "lerp", "addcmul", "addcdiv"),
    "attention": ("attention",),
    "softmax and loss": ("softmax", "nll_loss", "cross_entropy", "logsumexp"),
    "adapter products": ("bmm",),
    "base products": ("mm", "linear", "matmul"),
    "copies and concatenation": (
        *("copy", "cat", "clone", "contiguous", "::to", "stack", "index", "gather", "scatter", "embedding", "repeat"),
        *("pad", "split", "roll", "fill", "zero", "empty", "arange", "bincount"),
    ),
    "elementwise and norms": (
        *("mul", "add", "sub", "div", "silu", "gelu", "sigmoid", "rsqrt", "sqrt", "mean", "pow", "neg", "sum", "norm"),
        *("cos", "sin", "clamp", "::ne", "::eq", "where", "maximum", "minimum", "reciprocal", "tanh", "exp"),
    ),
}
"""Parts of operators' names; the first kind that fits counts. What fits none is Python, dispatch and the rest."""

REST = "Python, dispatch, the rest"


def kind_of(operator: str) -> str:
    """kind_of("aten::addmm") -> "base products"."""
    name = operator.lower()
    if not name.startswith(("aten::", "optimizer")):  # autograd's nodes bear the names of operators, and only call them
        return REST
    return next((kind for kind, parts in KINDS.items() if any(part in name for part in parts)), REST)


def profiled(work: Callable[[], object], device: torch.device) -> dict[str, Any]:
    """Seconds of this work by kind, and in all, as measured under the profiler, which slows small operators down.

    On a GPU they are the seconds of the kernels each operator started; the rest is then what the GPU stood idle.
    """
    os.environ.setdefault("KINETO_LOG_LEVEL", "6")  # the profiler would write lines of its own among the progress
    on_gpu = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with torch.profiler.profile(activities=activities) as profiler, timed(device) as span:
        work()
    seconds = dict.fromkeys([*KINDS, REST], 0.0)
    for event in profiler.key_averages():
        if event.device_type == DeviceType.CPU and kind_of(event.key) != REST:  # a GPU's kernels are listed once more
            spent = event.self_device_time_total if on_gpu else event.self_cpu_time_total
            seconds[kind_of(event.key)] += spent / 1e6
    wall = max(span.seconds, sum(seconds.values()))
    seconds[REST] = wall - sum(seconds.values())
    return {"wall_seconds": wall, "seconds": seconds, "share": {kind: s / wall for kind, s in seconds.items()}}
