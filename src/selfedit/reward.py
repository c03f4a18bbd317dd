"""Rewards: a trial with both scores -> how good its edit was."""

from __future__ import annotations

from selfedit.protocols import Reward
from selfedit.types import Score, Trial

FLOOR = -1.0
"""Reward of an edit that could not be read or trained through the policy's own fault: no other reward is lower."""


def gain(trial: Trial) -> float:
    """Accuracy after the update minus accuracy before it, on the same questions: in [-1, 1]."""
    return accuracy(trial) - _value(trial.before)


def accuracy(trial: Trial) -> float:
    """Accuracy after the update, in [0, 1]. Within one task it ranks edits as `gain` does (SEAL's code, spec 1.2)."""
    return _value(trial.after)


def binary(trial: Trial) -> float:
    """1 if the update helped, else 0 (SEAL's paper, equation 2)."""
    return float(gain(trial) > 0)


def _value(score: Score | None) -> float:
    value = score.value if score else None
    assert value is not None, "a trial is rewarded only once it is graded in full"
    return value


REWARDS: dict[str, Reward] = {"gain": gain, "accuracy": accuracy, "binary": binary}
