"""The tables of `reproduce`, for a terminal of 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from selfedit.cli.screen import narrow_table, percent
from selfedit.report.contents import GRID_LABELS


def released_table(summary: Mapping[str, Any]) -> Table:
    """What `reproduce.released.released` found, a row per check: as published, as found, and whether these agree."""
    checks = summary["checks"]
    agree = sum(check["equal"] for check in checks)
    table = narrow_table(f"SEAL's released data: {agree} of {len(checks)} checks agree", "check", "published", "found")
    table.columns[0].overflow = "fold"  # a long name goes on in the next line, whole
    table.add_column("")
    for check in checks:
        verdict = Text("equal", style="green") if check["equal"] else Text("differs", style="bold red")
        table.add_row(check["name"], _numbers(check["expected"]), _numbers(check["found"]), verdict)
    return table


def _numbers(value: float | list[float]) -> str:
    """[8.6, 7.0, 57] -> 8.6 / 7.0 / 57"""
    return " / ".join(str(number) for number in (value if isinstance(value, list) else [value]))


def grader(summary: Mapping[str, Any]) -> list[Table]:
    """Agreement with the judge by row, by file and in ranking edits."""
    rows = narrow_table("Distinct rows of passages that were held out", "grader", "agreement", "kappa", "rows")
    for name, row in summary["graders"].items():
        if row["n"]:
            rows.add_row(name, percent(row["agreement"]), f"{row['kappa']:.3f}", f"{row['n']:,}")
        else:
            rows.add_row(name, "-", "-", "0")
    files = narrow_table("Mean scores of each file, in percent", "file", "judge", "calibrated", "differs", "contains")
    files.columns[0].overflow = "fold"
    for name, row in summary["files"].items():
        means = [f"{row[key]:.1f}" for key in ("judge", "calibrated")]
        files.add_row(name, *means, f"{row['difference']:+.1f}", f"{row['contains']:.1f}")
    ranks = narrow_table("Ranking the edits of a passage", "passages", "Spearman", "interval\n(95 %)", "n", "left out")
    for name, row in summary["ranking"].items():
        if row["passages"]:
            interval = f"{row['low']:.2f} to {row['high']:.2f}"
            ranks.add_row(name, f"{row['spearman']:.3f}", interval, str(row["passages"]), str(row["left_out"]))
    return [rows, files, ranks]


def proxy(summary: Mapping[str, Any]) -> list[Table]:
    """How the learned proxy ranks edits, beside simple ones and the ceiling."""
    ranks = narrow_table("Ranking the edits of a passage", "rated by", "Spearman", "interval\n(95 %)", "passages")
    rows = {
        "learned, held-out passages": summary["heldout"],
        "learned, cross-validated": summary["cross_validated"],
        **summary["baselines"],
    }
    for name, row in rows.items():
        if row["passages"]:
            ranks.add_row(
                name, f"{row['spearman']:.3f}", f"{row['low']:.2f} to {row['high']:.2f}", str(row["passages"])
            )
    if summary["ceiling"]:
        share = f"{percent(summary['share_of_ceiling'])} of it reached" if summary["share_of_ceiling"] else ""
        ranks.add_row("the most that noise allows", f"{summary['ceiling']['spearman']:.3f}", share, "")
    picked = narrow_table("Gain of the edit that is picked, over its passage's mean", "picked", "points")
    for name, points in summary["picked"].items():
        picked.add_row(name, f"{points:+.1f}")
    return [ranks, picked]


OF_DATA: dict[str, Callable[[Mapping[str, Any]], list[Table]]] = {
    "released": lambda summary: [released_table(summary)],
    "grader": grader,
    "proxy": proxy,
}


def arms(summary: Mapping[str, Any], title: str) -> list[Table]:
    """The arms of a plan: what each reached in every condition, how far from the reference, and its rounds."""
    scores = narrow_table(
        title, "arm", "condition", "correct", "interval\n(95 %)", "blank", "against\nreference", "SEAL"
    )
    scores.columns[1].justify = "left"
    for arm, rows in summary["arms"].items():
        for row, cells in rows.items():
            if "n" in cells:
                difference = summary.get("differences", {}).get(arm, {}).get(row)
                published = summary.get("published", {}).get(arm, {}).get(row)
                scores.add_row(
                    arm,
                    row,
                    percent(cells["mean"]),
                    f"{100 * cells['low']:.1f} to {100 * cells['high']:.1f}",
                    f"{100 * cells['blank']:.1f}",
                    _difference(difference) if difference else "",
                    f"{published:.1f}" if published else "",
                )
                arm = ""
    rounds = narrow_table("Rounds of the outer loop", "arm", "mean reward, round by round", "reliability\n(ICC)")
    for arm, stages in summary["rounds"].items():
        means = ", ".join("-" if s["mean_reward"] is None else f"{s['mean_reward']:.2f}" for s in stages)
        measured = stages[0]["reliability"]
        rounds.add_row(arm, means, ", ".join(f"{name} {row['icc']:.2f}" for name, row in measured.items()))
    return [scores, *([rounds] if summary["rounds"] else []), *_ranking(summary)]


def _ranking(summary: Mapping[str, Any]) -> list[Table]:
    if "ranking" not in summary:
        return []
    rows = {name: row for name, row in summary["ranking"].items() if isinstance(row, Mapping)}
    table = narrow_table(
        "Rank correlation of a passage's edits by questions the model wrote and by those given "
        f"({summary['ranking']['questions_per_passage']:.1f} written per passage)",
        "measured by", "Spearman", "interval\n(95 %)", "passages",
    )  # fmt: skip
    for name, row in rows.items():
        table.add_row(name, f"{row['spearman']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}", str(row["n"]))
    return [table]


def _difference(interval: Mapping[str, float]) -> str:
    mean, low, high = (round(100 * interval[key], 1) + 0.0 for key in ("mean", "low", "high"))
    return f"{mean:+.1f}\n({low:+.1f} to {high:+.1f})"


def arc(summary: Mapping[str, Any]) -> list[Table]:
    """Solved trials of every row, and what a plan costs."""
    scores = narrow_table(
        f"Tasks solved in two attempts ({summary['in_context']['n']} of {summary['given']} tasks fit the model)",
        "row", "solved", "interval\n(95 %)", "unreadable", "tokens\nper trial", "s per\ntrial", "s per\ntask",
    )  # fmt: skip
    for name, label in GRID_LABELS.items():
        if row := summary.get(name):
            scores.add_row(
                label,
                percent(row["mean"]),
                f"{100 * row['low']:.1f} to {100 * row['high']:.1f}",
                percent(row["unreadable"]),
                f"{row['tokens']:,}",
                f"{row['seconds_per_trial']:.2f}",
                f"{row['seconds_per_task']:.2f}",
            )
    if clock := summary["time"]:
        scores.caption = (
            f"{clock['plans']} plans together {clock['seconds_per_plan_together']:.2f} s each, one after another "
            f"{clock['seconds_per_plan_alone']:.2f} s: {clock['times_as_fast']:.1f} times as fast"
        )
    return [scores]


def continual(summary: Mapping[str, Any]) -> list[Table]:
    """A stream, or streams of one keeper: how much was kept, what else changed, and what an edit cost."""
    table = narrow_table(f"Keeper: {', '.join(summary['keepers'])}", "", "mean", "interval\n(95 %)")
    rows = {"before the first edit": "before", "just edited": "just_edited", "after the last edit": "after"}
    for label, key in rows.items():
        if key in summary:
            _interval_row(table, label, summary[key])
    for edits, share in summary.get("retention", {}).items():
        _interval_row(table, f"kept after {edits} edits", share)
    for group, change in summary.get("control", {}).items():
        _interval_row(table, f"change of control: {group}", change)
    if "bits" in summary:
        _interval_row(table, "neutral text, bits of the start", summary["bits"])
    if "routing" in summary:
        _interval_row(table, "questions sent to their document", summary["routing"])
    table.add_row("seconds per edit", f"{summary['seconds']:.2f}", "")
    table.add_row("bytes kept per edit", f"{summary['bytes']:,.0f}", "")
    return [table]


def _interval_row(table: Table, label: str, cells: Mapping[str, float]) -> None:
    known = cells["low"] < cells["high"]
    interval = f"{100 * cells['low']:.1f} to {100 * cells['high']:.1f}" if known else ""
    table.add_row(label, percent(cells["mean"]), interval)


def keepers(summary: Mapping[str, Any]) -> list[Table]:
    """The table of `reproduce continual`: one row per keeper, in percent; control in points, bits against the start."""
    columns = ("just\nedited", "kept\nafter 8", "kept\nafter 64", "control", "known", "bits", "s", "kB")
    table = narrow_table("Streams of self-edits", "keeper", *columns)
    for name, row in summary["keepers"].items():
        kept = [f"{100 * row[key]['mean']:.0f}" if row.get(key) else "-" for key in ("retention_8", "retention_64")]
        points = [
            f"{100 * row['controls'][group]['mean']:+.1f}" if group in row["controls"] else "-"
            for group in ("control", "known")
        ]
        table.add_row(
            f"{name} *" if name == summary["best_name"] else name,
            f"{100 * row['just_edited']['mean']:.1f}",
            *kept,
            *points,
            f"{100 * row['bits']['mean']:.1f}" if row["bits"] else "-",
            f"{row['seconds']:.2f}",
            f"{row['bytes'] / 1000:.0f}",
        )
    return [table]
