"""A published table as a plan: arms that differ in a few config keys, each run with several seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfedit.config import merge, read_toml
from selfedit.errors import InputError
from selfedit.loops.evaluate import across_seeds, paired_across_seeds
from selfedit.rewards import REWARDS
from selfedit.statistics import reliability
from selfedit.types import Trial

FOLDER = Path(__file__).with_name("recipes")


class ArmsPlan(BaseModel):
    """One file of `recipes/`. All trees are config trees, laid over the model's own recipe.

    `policy`, if any, is trained once per seed, and every arm begins from it with no outer loop of its own. Arms are
    compared with the `reference`, passage by passage. `published` holds SEAL's numbers for the same rows, in percent.
    With `teacher`, the almanac's passages have edits by somebody who knows its world (`teacher.py`).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str
    seeds: int = Field(3, ge=1)
    teacher: bool = False
    reference: str = ""
    common: dict[str, Any] = {}
    policy: dict[str, Any] = {}
    arms: dict[str, dict[str, Any]]
    published: dict[str, dict[str, float]] = {}

    def tree(self, arm: str, seed: int, policy: str = "") -> dict[str, Any]:
        """The config tree of one run."""
        tree = merge(merge(self.common, self.arms[arm]), {"seed": seed})
        return merge(tree, {"outer": {"policy": policy, "rounds": 0}}) if policy else tree

    def policy_tree(self, seed: int) -> dict[str, Any]:
        """That of the outer loop whose policy the arms share."""
        return merge(merge(self.common, self.policy), {"seed": seed, "data": {"eval": ""}})


def read_plan(name: str) -> ArmsPlan:
    path = FOLDER / f"{name}.toml"
    try:
        return ArmsPlan.model_validate(read_toml(path))
    except ValidationError as error:
        raise InputError(f"{path} is no plan of a table: {error.errors()[0]['msg']}") from None


Runs = Mapping[str, Sequence[Mapping[str, Sequence[Trial]]]]
"""Arm -> seed -> stage or condition -> trials."""


def summarise_arms(plan: ArmsPlan, rows: Runs, rounds: Runs) -> dict[str, Any]:
    """Every arm's conditions with intervals over passages, and its differences from the reference, paired.

    `rows` are the conditions of the final table, `rounds` the stages of the outer loop, with their mean reward and, for
    every reward that can be computed from the trials, how reliable it is.
    """
    summary: dict[str, Any] = {
        "about": plan.about,
        "arms": {arm: across_seeds(runs).to_json() for arm, runs in rows.items() if runs[0]},
    }
    base = rows.get(plan.reference)
    if base:
        summary["against"] = plan.reference
        summary["differences"] = {
            arm: {row: paired_across_seeds(runs, base, row).fields for row in runs[0] if row in base[0]}
            for arm, runs in rows.items()
            if arm != plan.reference
        }
    summary["rounds"] = {arm: _rounds(runs) for arm, runs in rounds.items() if runs[0]}
    if plan.published:
        summary["published"] = plan.published
    return summary


def _rounds(runs: Sequence[Mapping[str, Sequence[Trial]]]) -> list[dict[str, Any]]:
    return [_round(stage, [trial for run in runs for trial in run[stage]]) for stage in runs[0]]


def _round(stage: str, trials: Sequence[Trial]) -> dict[str, Any]:
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    return {
        "stage": stage,
        "trials": len(trials),
        "mean_reward": sum(rewards) / len(rewards) if rewards else None,
        "tokens": sum(trial.update.tokens for trial in trials if trial.update),
        "reliability": reliabilities(trials),
    }


def reliabilities(trials: Sequence[Trial]) -> dict[str, Any]:
    """How reliable each reward is on these trials, where edits were tried more than once: the same tries for all."""
    found: dict[str, Any] = {}
    for name, reward in REWARDS.items():
        groups: dict[str, dict[int, list[float]]] = {}
        for trial in trials:
            measured = trial.after and ("likelihood" in trial.after.measurements or name != "likelihood")
            if trial.failure is None and measured:
                groups.setdefault(trial.edit.task_id, {}).setdefault(trial.member, []).append(reward(trial))
        result = reliability([list(of_task.values()) for of_task in groups.values()])
        if result:
            found[name] = asdict(result)
    return found
