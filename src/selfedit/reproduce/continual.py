"""Keepers compared: SEAL's continual self-edits (spec 4) with and without something done about forgetting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfedit.config import merge, read_toml
from selfedit.continual.summary import StreamRecord, summarise
from selfedit.errors import InputError
from selfedit.reproduce.plan import FOLDER
from selfedit.statistics import paired_interval


class MethodPlan(BaseModel):
    """`recipes/continual.toml`: config trees of all runs, of both lengths of streams, and of every keeper.

    `best` is the keeper of a single model that did best on development streams, where everything here was chosen.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    seeds: int = Field(3, ge=1)
    best: str
    common: dict[str, Any] = {}
    lengths: dict[str, dict[str, Any]]
    keepers: dict[str, dict[str, Any]]

    def tree(self, keeper: str, length: str, seed: int) -> dict[str, Any]:
        """The config tree of one run."""
        return merge(merge(merge(self.common, self.lengths[length]), self.keepers[keeper]), {"seed": seed})


def read_keeper_plan() -> MethodPlan:
    path = FOLDER / "continual.toml"
    try:
        return MethodPlan.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(f"{path} is no plan of keepers: {error.errors()[0]['msg']}") from None


@dataclass(frozen=True)
class Runs:
    """What the runs of one keeper and one length left, one per seed: the records of their streams, their summaries."""

    records: Sequence[Sequence[StreamRecord]]
    summaries: Sequence[Mapping[str, Any]]

    @property
    def streams(self) -> list[StreamRecord]:
        """All streams of all seeds: every one has tasks of its own."""
        return [record for of_seed in self.records for record in of_seed]

    def mean(self, key: str) -> float:
        return fmean(summary[key] for summary in self.summaries)


def row(runs: Mapping[str, Runs]) -> dict[str, Any]:
    """One keeper: retention after the first and the last step of each length, and everything else after the longest.

    `growth` is what training an edit in the last quarter of the stream took, in tokens, against the second quarter.
    """
    of_length = {length: summarise(found.streams) for length, found in runs.items()}
    longest = max(of_length, key=lambda length: of_length[length]["tasks"])
    last, found = of_length[longest], runs[longest]
    shortest = min(of_length.values(), key=lambda summary: summary["tasks"])
    return {
        "just_edited": shortest["just_edited"],
        **{f"retention_{summary['tasks']}": _last(summary["retention"]) for summary in of_length.values()},
        "control": last["control"].get("control"),
        "controls": last["control"],
        "bits": last.get("bits"),
        "kl": last.get("kl"),
        "seconds": found.mean("seconds"),
        "bytes": found.mean("bytes"),
        "tokens": found.mean("tokens"),
        "growth": growth([summary["by_step"]["tokens"] for summary in found.summaries]),
        **({"routing": [s["routing"] for s in found.summaries]} if "routing" in found.summaries[0] else {}),
        "lengths": of_length,
    }


def _last(shares: Mapping[str, Any]) -> Any:
    return shares[max(shares, key=int)] if shares else None


def growth(by_step: Sequence[Sequence[float]]) -> float | None:
    """Mean of the last quarter of the steps against that of the second: 1 where an edit costs the same as before."""
    length = min(map(len, by_step))
    quarter = length // 4
    early = [tokens for steps in by_step for tokens in steps[quarter : 2 * quarter]]
    late = [tokens for steps in by_step for tokens in steps[length - quarter : length]]
    return fmean(late) / fmean(early) if quarter and fmean(early) else None


def summarise_keepers(plan: MethodPlan, found: Mapping[str, Mapping[str, Runs]]) -> dict[str, Any]:
    """The table, the best keeper of a single model, the bank, and every keeper against `merge`, paired by stream."""
    keepers = {name: row(runs) for name, runs in found.items()}
    summary: dict[str, Any] = {"about": plan.about, "seeds": plan.seeds, "keepers": keepers, "best_name": plan.best}
    summary |= {"best": keepers.get(plan.best), "bank": keepers.get("bank")}
    if "merge" in found:
        summary["against_merge"] = {
            name: {
                length: paired_interval(_after(runs[length]), _after(found["merge"][length])).fields for length in runs
            }
            for name, runs in found.items()
            if name != "merge"
        }
    return summary


def _after(runs: Runs) -> list[float]:
    return [record.seen(record.steps[-1]) for record in runs.streams]
