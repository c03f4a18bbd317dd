"""Rewards: a trial with both scores -> how good its edit was."""

from __future__ import annotations

from collections.abc import Sequence

from selfedit.protocols import Reward
from selfedit.types import Failure, Score, Trial

FLOOR = -1.0
"""Reward of an edit that could not be read or trained through the policy's own fault: no gain in accuracy is lower."""


def gain(trial: Trial) -> float:
    """Accuracy after the update minus accuracy before it, on the same questions: in [-1, 1]."""
    return accuracy(trial) - _value(trial.before)


def accuracy(trial: Trial) -> float:
    """Accuracy after the update, in [0, 1]. Within one task it ranks edits as `gain` does (SEAL's code, spec 1.2)."""
    return _value(trial.after)


def binary(trial: Trial) -> float:
    """1 if the update helped, else 0 (SEAL's paper, equation 2)."""
    return float(gain(trial) > 0)


def solved(trial: Trial) -> float:
    """1 if every question is answered right after the update, else 0 (SEAL's few-shot reward, spec 3.4)."""
    return float(accuracy(trial) == 1)


def likelihood(trial: Trial) -> float:
    """What the update added to the log-likelihood of the right answers, in nats per token. Dense, and judge-free."""
    return _mean(_whole(trial.after).likelihoods) - _mean(_whole(trial.before).likelihoods)


def forgetting(trial: Trial) -> float:
    """What the update took from the log-likelihood of texts that it is not about, in nats per token."""
    return _mean(_whole(trial.before).control) - _mean(_whole(trial.after).control)


def lost(trial: Trial) -> float:
    """What the update took from the accuracy on tasks that were learned before it."""
    return _mean(_whole(trial.before).earlier) - _mean(_whole(trial.after).earlier)


def with_costs(reward: Reward, forgetting_weight: float, token_weight: float, retention_weight: float = 0.0) -> Reward:
    """The reward minus forgetting_weight * forgetting, minus token_weight for every thousand trained tokens, minus
    retention_weight * what was lost of earlier tasks.
    """

    def charged(trial: Trial) -> float:
        forgot = forgetting_weight * forgetting(trial) if forgetting_weight else 0.0
        forgot += retention_weight * lost(trial) if retention_weight else 0.0
        tokens = trial.update.tokens if trial.update else 0
        return reward(trial) - forgot - token_weight * tokens / 1000

    return charged if forgetting_weight or token_weight or retention_weight else reward


def _value(score: Score | None) -> float:
    value = _whole(score).value
    assert value is not None, "a trial is rewarded only once it is graded in full"
    return value


def _whole(score: Score | None) -> Score:
    assert score is not None, "a trial is rewarded only once it was examined"
    return score


def _mean(values: Sequence[float | Failure]) -> float:
    measured = [value for value in values if not isinstance(value, Failure)]
    assert measured and len(measured) == len(values), "this reward needs something that was not measured"
    return sum(measured) / len(measured)


REWARDS: dict[str, Reward] = {
    "gain": gain,
    "accuracy": accuracy,
    "binary": binary,
    "solved": solved,
    "likelihood": likelihood,
}
