"""Continual methods compared: SEAL's continual self-edits (docs/seal.md 4), and what can be done about forgetting."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfedit.config import merge, read_toml
from selfedit.continual.summary import StreamRecord, records, summarise_streams
from selfedit.errors import InputError
from selfedit.reproduce.options import Options, slug
from selfedit.reproduce.plan import FOLDER
from selfedit.results import StreamCosts, StreamSummary, TextTable
from selfedit.statistics import paired_interval
from selfedit.workflows.engine import open_engine
from selfedit.workflows.runs import start
from selfedit.workflows.stream import almanac_streams, observed_in, run_continual


class MethodPlan(BaseModel):
    """`recipes/continual.toml`: config trees of all runs, of both lengths of streams, and of every method.

    `best` is the method for a single model that did best on development streams, where everything here was chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    seeds: int = Field(3, ge=1)
    best: str
    common: dict[str, Any] = {}
    lengths: dict[str, dict[str, Any]]
    methods: dict[str, dict[str, Any]]

    def tree(self, method: str, length: str, seed: int) -> dict[str, Any]:
        """The config tree of one run."""
        return merge(merge(merge(self.common, self.lengths[length]), self.methods[method]), {"seed": seed})


def read_method_plan() -> MethodPlan:
    path = FOLDER / "continual.toml"
    try:
        return MethodPlan.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(f"{path} is no plan of methods: {error.errors()[0]['msg']}") from None


@dataclass(frozen=True)
class Runs:
    """What the runs of one method and one length left, one per seed: the records of their streams, their summaries."""

    records: Sequence[Sequence[StreamRecord]]
    summaries: Sequence[StreamSummary]

    @property
    def streams(self) -> list[StreamRecord]:
        """All streams of all seeds: every one has tasks of its own."""
        return [record for of_seed in self.records for record in of_seed]

    @property
    def costs(self) -> list[StreamCosts]:
        return [summary.costs for summary in self.summaries if summary.costs]


def continual(options: Options) -> dict[str, Any]:
    """Every method of `recipes/continual.toml` on streams of both lengths."""
    plan, began = read_method_plan(), time.monotonic()
    found: dict[str, dict[str, Runs]] = {}
    with open_engine(options.config(plan.common), options.progress, parallel=True) as engine:
        for length in plan.lengths:
            for method in plan.methods:
                of_method, summaries = list[list[StreamRecord]](), list[StreamSummary]()
                for seed in range(plan.seeds):
                    config = options.config(plan.tree(method, length, seed))
                    path = options.folder / slug(method) / slug(length) / f"seed-{seed}"
                    tasks = almanac_streams(config)
                    with start("stream", path, config, tasks, "reproduce") as run:
                        summaries.append(run_continual(run, config, tasks, engine, options.progress))
                        of_method.append(records(observed_in(run)))
                found.setdefault(method, {})[length] = Runs(of_method, summaries)
    return {**summarise_methods(plan, found), "wall_seconds": round(time.monotonic() - began, 1)}


def row(runs: Mapping[str, Runs]) -> dict[str, Any]:
    """One method: retention after the first and the last step of each length, and everything else after the longest.

    `growth` is what training an edit in the last quarter of the stream took, in tokens, against the second quarter.
    """
    of_length = {length: summarise_streams(found.streams) for length, found in runs.items()}
    longest = max(of_length, key=lambda length: of_length[length].tasks)
    last, found = of_length[longest], runs[longest]
    shortest = min(of_length.values(), key=lambda summary: summary.tasks)
    routing = [s.routing.fields for s in found.summaries if s.routing]
    of_last = last.to_json()
    return {
        "just_edited": shortest.to_json()["just_edited"],
        **{f"retention_{s.tasks}": s.retention[max(s.retention)].fields for s in of_length.values() if s.retention},
        "control": of_last["control"].get("control"),
        "controls": of_last["control"],
        "bits": of_last.get("bits"),
        "kl": of_last.get("kl"),
        "seconds": fmean(costs.seconds for costs in found.costs),
        "bytes": fmean(costs.bytes for costs in found.costs),
        "tokens": fmean(costs.tokens for costs in found.costs),
        "growth": growth([costs.by_step["tokens"] for costs in found.costs]),
        **({"routing": routing} if routing else {}),
        "lengths": {length: summary.to_json() for length, summary in of_length.items()},
    }


def growth(by_step: Sequence[Sequence[float]]) -> float | None:
    """Mean of the last quarter of the steps against that of the second: 1 where an edit costs the same as before."""
    length = min(map(len, by_step))
    quarter = length // 4
    early = [tokens for steps in by_step for tokens in steps[quarter : 2 * quarter]]
    late = [tokens for steps in by_step for tokens in steps[length - quarter : length]]
    return fmean(late) / fmean(early) if quarter and fmean(early) else None


def summarise_methods(plan: MethodPlan, found: Mapping[str, Mapping[str, Runs]]) -> dict[str, Any]:
    """The table, the best method for a single model, the bank, and every method against `sequential`, paired by stream.

    Methods are called keepers in the result, as in version 0.1.
    """
    rows = {name: row(runs) for name, runs in found.items()}
    summary: dict[str, Any] = {"about": plan.about, "seeds": plan.seeds, "keepers": rows, "best_name": plan.best}
    summary |= {"best": rows.get(plan.best), "bank": rows.get("bank")}
    if "sequential" in found:
        base = found["sequential"]
        summary["against_sequential"] = {
            name: {length: paired_interval(_after(runs[length]), _after(base[length])).fields for length in runs}
            for name, runs in found.items()
            if name != "sequential"
        }
    return summary


def _after(runs: Runs) -> list[float]:
    return [record.seen(record.steps[-1]) for record in runs.streams]


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    """One row per method, in percent, what is kept with the share it is on all tasks; control in points, bits against
    the start.
    """
    columns = (
        "method",
        "just\nedited",
        "kept after 8\n(of all)",
        "kept after 64\n(of all)",
        "control",
        "known",
        "bits",
        "s",
        "kB",
    )
    rows = []
    for name, row in summary["keepers"].items():
        after = {of["tasks"]: of["after"]["mean"] for of in row.get("lengths", {}).values() if "after" in of}
        kept = [
            f"{100 * row[key]['mean']:.0f}" + (f" ({100 * after[done]:.1f})" if done in after else "")
            if row.get(key := f"retention_{done}")
            else "-"
            for done in (8, 64)
        ]
        points = [
            f"{100 * row['controls'][group]['mean']:+.1f}" if group in row["controls"] else "-"
            for group in ("control", "known")
        ]
        cells = [f"{name} *" if name == summary["best_name"] else name, f"{100 * row['just_edited']['mean']:.1f}"]
        bits = f"{100 * row['bits']['mean']:.1f}" if row["bits"] else "-"
        rows.append([*cells, *kept, *points, bits, f"{row['seconds']:.2f}", f"{row['bytes'] / 1000:.0f}"])
    return [TextTable("Streams of self-edits", columns, rows)]
