"""The loss of group-relative credit: a ratio to the policy that wrote, clipped, and a KL divergence from the base."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from selfedit.types import Recipe


def needs_references(recipe: Recipe) -> bool:
    """Whether training compares the policy with those it came from."""
    return bool(recipe.ratio_clip or recipe.kl)


def reference_logprobs(old: Sequence[Tensor], base: Sequence[Tensor], recipe: Recipe) -> list[Tensor]:
    """For each row [tokens, 4]: the log-probabilities under the parent and under the base, and the recipe's limits."""
    clip, kl = recipe.ratio_clip, recipe.kl
    return [
        torch.stack([of_old, of_base, torch.full_like(of_old, clip), torch.full_like(of_old, kl)], dim=1)
        for of_old, of_base in zip(old, base, strict=True)
    ]


def grpo_loss(log_p: Tensor, advantages: Tensor, references: Tensor) -> tuple[Tensor, Tensor]:
    """GRPO's loss of every token [N], and minus its derivative by the token's log-probability.

    -min(ratio * A, clip(ratio, 1 - clip, 1 + clip) * A) + kl * (exp(d) - d - 1), where ratio = p / p_old and
    d = log p_base - log p (arXiv 2402.03300, equations 3 and 4; TRL's, before it takes the mean). Without a clip the
    ratio is 1 with the gradient of log p: plain policy gradient. Not covered: the divergence times the ratio, which is
    TRL's default since DeepSeek-V3.2 (`use_bias_correction_kl`).
    """
    old, base, clip, kl = references.T.contiguous()
    ratio = torch.where(clip > 0, log_p - old, 0.0).exp()
    clipped = torch.minimum(torch.maximum(ratio, 1 - clip), 1 + clip)
    objective = torch.minimum(ratio * advantages, clipped * advantages)
    drift = torch.where(kl > 0, base - log_p, 0.0)
    losses = -objective + kl * (drift.exp() - drift - 1)
    is_clipped = (ratio * advantages > objective) & (clip > 0)  # there the objective is constant
    return losses, torch.where(is_clipped, 0.0, ratio * advantages) - kl * (1 - drift.exp())
