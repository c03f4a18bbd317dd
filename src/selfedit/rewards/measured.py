"""Rewards: a trial with both scores -> how good its edit was."""

from __future__ import annotations

from selfedit.protocols import Reward
from selfedit.statistics import required_mean
from selfedit.types import Score, Trial


def gain(trial: Trial) -> float:
    """Accuracy after the update minus accuracy before it, on the same questions: in [-1, 1]."""
    return accuracy(trial) - _value(trial.before)


def accuracy(trial: Trial) -> float:
    """Accuracy after the update, in [0, 1]. Within one task it ranks edits as `gain` does (docs/seal.md 1.2)."""
    return _value(trial.after)


def binary(trial: Trial) -> float:
    """1 if the update helped, else 0 (SEAL's paper, equation 2)."""
    return float(gain(trial) > 0)


def solved(trial: Trial) -> float:
    """1 if every question is answered right after the update, else 0 (SEAL's few-shot reward, docs/seal.md 3.4)."""
    return float(accuracy(trial) == 1)


def likelihood(trial: Trial) -> float:
    """What the update added to the log-likelihood of the right answers, in nats per token. Dense, and judge-free."""
    return -lost(trial, "likelihood")


def lost(trial: Trial, measurement: str) -> float:
    """By how much the mean of a measurement fell. Raises EngineError where it was not taken."""
    before, after = (
        required_mean(_examined(score).measurements.get(measurement, ()), f"the reward needs {measurement}")
        for score in (trial.before, trial.after)
    )
    return before - after


def with_costs(reward: Reward, forgetting_weight: float, token_weight: float, retention_weight: float = 0.0) -> Reward:
    """The reward minus forgetting_weight * what texts lost that the edit is not about (nats per token), minus
    token_weight for every thousand trained tokens, minus retention_weight * the accuracy lost on tasks learned before.
    """

    def charged(trial: Trial) -> float:
        forgot = forgetting_weight * lost(trial, "control") if forgetting_weight else 0.0
        forgot += retention_weight * lost(trial, "retention") if retention_weight else 0.0
        tokens = trial.update.tokens if trial.update else 0
        return reward(trial) - forgot - token_weight * tokens / 1000

    return charged if forgetting_weight or token_weight or retention_weight else reward


def _value(score: Score | None) -> float:
    value = _examined(score).value
    assert value is not None, "a trial is rewarded only once it is graded in full"
    return value


def _examined(score: Score | None) -> Score:
    assert score is not None, "a trial is rewarded only once it was examined"
    return score


REWARDS: dict[str, Reward] = {
    "gain": gain,
    "accuracy": accuracy,
    "binary": binary,
    "solved": solved,
    "likelihood": likelihood,
}
