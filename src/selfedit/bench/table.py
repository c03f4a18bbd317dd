"""The result as tables of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfedit.results import TextTable

LABELS = {
    "seal": "SEAL's recipe",
    "trainer": "Trainer",
    "peft": "plain PEFT",
}


def label(arm: str) -> str:
    """label("engine_8") -> "engine, 8"; label("engine_8_in_2") -> "engine, 8 in 2 processes"."""
    return LABELS.get(arm) or arm.replace("_in_", " in ").replace("_", ", ") + (" processes" if "_in_" in arm else "")


def tables(shape: str, result: Mapping[str, Any]) -> list[TextTable]:
    """Arms, growth and profile of one shape."""
    return [_arms(shape, result), _growth(result), _profile(result)]


def _arms(shape: str, result: Mapping[str, Any]) -> TextTable:
    seconds = ("train\n(s)", "answer\n(s)", "together\n(s)", "lowest to\nhighest")
    columns = ("arm", "edits", *seconds, "edits\n/s", "times", "right")
    shares = result["accuracy"].get("share", {})
    cells = []
    for name, arm in result["arms"].items():
        both = arm["seconds_per_edit"]
        cells.append(
            (
                label(name),
                str(arm["edits"]),
                *(f"{arm[part]['median']:.3f}" for part in ("train_seconds", "answer_seconds", "seconds_per_edit")),
                f"{both['low']:.3f} to {both['high']:.3f}",
                f"{arm['updates_per_second']:.2f}",
                f"{arm['ratio']:.2f}",
                f"{100 * shares[name]:.1f} %" if name in shares else "-",
            )
        )
    return TextTable(f"{shape}: medians per edit", columns, cells)


def _growth(result: Mapping[str, Any]) -> TextTable:
    engine = {name: arm for name, arm in result["arms"].items() if name.startswith("engine_")}
    cells = [
        (
            label(name),
            f"{arm['seconds_per_edit']['median']:.3f}",
            f"{arm['train_gflops']:,.1f}",
            f"{100 * arm['train_gflops'] / result['matmul_gflops']:.1f} %",
            f"{result['peak_memory_mb'][name]:,.0f}",
        )
        for name, arm in engine.items()
    ]
    speed = ("together\n(s per edit)", "GFLOP/s\nin training", "of the\nmachine")
    columns = ("adapters in one call", *speed, "memory\n(MB)")
    return TextTable("Growth", columns, cells)


def _profile(result: Mapping[str, Any]) -> TextTable:
    profile = result["profile"]
    cells = [
        (kind, f"{seconds:.3f}", f"{100 * profile['share'][kind]:.1f} %")
        for kind, seconds in profile["seconds"].items()
    ]
    title = f"Where training time goes ({profile['adapters']} adapters, three documents each, under the profiler)"
    return TextTable(title, ("kind of work", "seconds", "share"), cells)


def remarks(result: Mapping[str, Any]) -> list[str]:
    """What the tables do not say, in sentences."""
    lines = [
        f"This machine's matrix products run at {result['matmul_gflops']:,.0f} GFLOP/s; in training the engine reaches "
        f"{100 * result['flops_share']:.1f} % of that. At the full rate an edit would train in "
        f"{result['floor_seconds']:.4f} s, {100 * result['floor_share']:.1f} % of what it takes with its answers."
    ]
    for name in ("trainer", "seal"):
        gain = result["accuracy"].get(f"engine_minus_{name}")
        if gain:
            mean, low, high = (f"{100 * gain[key]:+.1f}" for key in ("mean", "low", "high"))
            lines.append(
                f"Right answers, engine minus {label(name)}: {mean} points (95 % interval {low} to {high}, "
                f"paired over {gain['n']} edits)."
            )
    return lines + [f"Left out: {label(name)}: {reason}." for name, reason in result["skipped"].items()]
