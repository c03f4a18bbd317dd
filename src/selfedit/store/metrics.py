"""What was computed, batch by batch, and what it came to, stage by stage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from selfedit.statistics import Reliability, reliability, rewarded
from selfedit.types import Trial


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """What was computed in one step of a stage, and the seconds it took. `trials` are those of its items."""

    stage: str
    step: int
    seconds: float
    items: list[Any]

    @property
    def trials(self) -> list[Trial]:
        return [item for item in self.items if isinstance(item, Trial)]


def stage_metrics(batches: Sequence[StoredBatch]) -> list[dict[str, Any]]:
    """One row per stage: items, trials among them, mean reward, failures by blame, trained tokens, seconds."""
    stages: dict[str, list[StoredBatch]] = {}
    for batch in batches:
        stages.setdefault(batch.stage, []).append(batch)
    return [{"stage": stage, **_metrics(of_stage)} for stage, of_stage in stages.items()]


def _metrics(batches: Sequence[StoredBatch]) -> dict[str, Any]:
    trials = [trial for batch in batches for trial in batch.trials]
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    blames = [trial.failure.blame for trial in trials if trial.failure]
    return {
        "items": sum(len(batch.items) for batch in batches),
        "trials": len(trials),
        "mean_reward": sum(rewards) / len(rewards) if rewards else None,
        "reliability": asdict(found) if (found := reward_reliability(trials)) else None,
        "policy_failures": blames.count("policy"),
        "system_failures": blames.count("system"),
        "trained_tokens": sum(trial.update.tokens for trial in trials if trial.update),
        "seconds": round(sum(batch.seconds for batch in batches), 3),
    }


def reward_reliability(trials: Sequence[Trial]) -> Reliability | None:
    """How reliable the rewards of these trials are, where edits were tried more than once."""
    return reliability([[[t.reward or 0.0 for t in repeats] for repeats in edits] for edits in rewarded(trials)])
