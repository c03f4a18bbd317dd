"""What group-relative credit is trained with: a clipped ratio to the policy that wrote, and a KL to the start."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selfedit.types import Recipe


def has_anchors(recipe: Recipe) -> bool:
    """Whether training compares the policy with those it came from."""
    return bool(recipe.ratio_clip or recipe.kl)


def anchors(old: Sequence[Tensor], start: Sequence[Tensor], recipe: Recipe) -> list[Tensor]:
    """For each row [4, tokens]: the log-probabilities under the parent and under the base, and the recipe's limits."""
    return [
        torch.stack([before, first, torch.full_like(before, recipe.ratio_clip), torch.full_like(before, recipe.kl)])
        for before, first in zip(old, start, strict=True)
    ]


def anchored(log_p: Tensor, advantages: Tensor, anchors: Tensor) -> tuple[Tensor, Tensor]:
    """GRPO's loss of every token [N], and its derivative by the token's log-probability, with the sign turned.

    -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) + kl * (exp(d) - d - 1), where ratio = p / p_old and
    d = log p_start - log p (arXiv 2402.03300, equations 3 and 4; TRL's, before it takes the mean). Without a clip the
    ratio is 1 with the gradient of log p: plain policy gradient. Not covered: the divergence times the ratio, which is
    TRL's default since DeepSeek-V3.2 (`use_bias_correction_kl`).
    """
    old, start, clip, kl = anchors
    ratio = torch.where(clip > 0, log_p - old, 0.0).exp()
    limited = torch.minimum(torch.maximum(ratio, 1 - clip), 1 + clip)
    rewarded = torch.minimum(ratio * advantages, limited * advantages)
    drift = torch.where(kl > 0, start - log_p, 0.0)
    losses = -rewarded + kl * (drift.exp() - drift - 1)
    is_clipped = (ratio * advantages > rewarded) & (clip > 0)
    return losses, torch.where(is_clipped, 0.0, ratio * advantages) - kl * (1 - drift.exp())
