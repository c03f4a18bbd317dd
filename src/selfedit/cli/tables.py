"""Tables of results that are no experiments of ours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from selfedit.cli.screen import narrow_table


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
