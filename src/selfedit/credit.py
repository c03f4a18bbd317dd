"""Credit assignment: the rewards of one task's trials -> the weight of each in the policy update."""

from __future__ import annotations

from collections.abc import Sequence

from selfedit.protocols import Credit


def rest_em(rewards: Sequence[float]) -> list[float]:
    """ReST-EM as SEAL runs it on passages: imitate the best edit of the group, the first where several tie (spec 1.1).

    rest_em([0.2, 0.6, 0.6]) -> [0.0, 1.0, 0.0]
    """
    best = max(range(len(rewards)), key=lambda index: rewards[index])
    return [float(index == best) for index in range(len(rewards))]


def threshold(rewards: Sequence[float]) -> list[float]:
    """ReST-EM as SEAL's paper states it: imitate every edit that helped at all (spec 1.1).

    threshold([0.2, 0.0, -0.4]) -> [1.0, 0.0, 0.0]
    """
    return [float(reward > 0) for reward in rewards]


CREDITS: dict[str, Credit] = {"rest_em": rest_em, "threshold": threshold}
