"""Credit assignment: the rewards of one task's trials -> the weight of each in the policy update."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from selfedit.protocols import Credit


def rest_em(rewards: Sequence[float]) -> list[float]:
    """ReST-EM as SEAL runs it on passages (docs/seal.md 1.1): imitate the best edit of the group, of equals the first.

    rest_em([0.2, 0.6, 0.6]) -> [0.0, 1.0, 0.0]
    """
    return top(rewards, 1)


def top(rewards: Sequence[float], count: int) -> list[float]:
    """Imitate the best `count` edits of the group alike; of equal ones those that come first.

    top([0.2, 0.6, 0.6], 2) -> [0.0, 1.0, 1.0]
    """
    ranked = sorted(range(len(rewards)), key=lambda index: -rewards[index])
    return [float(index in ranked[:count]) for index in range(len(rewards))]


def threshold(rewards: Sequence[float]) -> list[float]:
    """ReST-EM as SEAL's paper states it: imitate every edit that helped at all (docs/seal.md 1.1).

    threshold([0.2, 0.0, -0.4]) -> [1.0, 0.0, 0.0]
    """
    return [float(reward > 0) for reward in rewards]


def group_relative(rewards: Sequence[float]) -> list[float]:
    """GRPO: how many standard deviations an edit lies above its group's mean (arXiv 2402.03300, section 4.1.2).

    Imitate what was better than its group, avoid what was worse; a group of equals teaches nothing. The standard
    deviation is the sample's (n - 1), as in TRL.

    group_relative([0.0, 1.0]) -> [-0.7071..., 0.7071...]
    """
    mean = math.fsum(rewards) / len(rewards)
    deviation = math.sqrt(math.fsum((reward - mean) ** 2 for reward in rewards) / max(1, len(rewards) - 1))
    return [(reward - mean) / deviation if deviation > 1e-12 else 0.0 for reward in rewards]


def best_by_advantage(rewards: Sequence[float]) -> list[float]:
    """Imitate the best edit of the group by the square of its advantage over the group's mean.

    A winner that is hardly better than its group won by chance and says little of how to write. Weighed so, what is
    learned is mostly where writing made a difference; advantage-weighted regression (arXiv 1910.00177) weighs by an
    exponential, whose temperature would have to be set. Squares of rewards up to 1 need none.

    best_by_advantage([0.2, 0.6, 0.4]) -> [0.0, 0.04..., 0.0]
    """
    mean = math.fsum(rewards) / len(rewards)
    return [weight * (reward - mean) ** 2 for weight, reward in zip(rest_em(rewards), rewards, strict=True)]


CREDITS: dict[str, Credit] = {
    "rest_em": rest_em,
    "best_by_advantage": best_by_advantage,
    "top2": partial(top, count=2),
    "threshold": threshold,
    "group_relative": group_relative,
}
