"""Soft targets: the student learns how likely a teacher finds every token, not only which one came next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from selfedit.engines.local.batch import PackedBatch

LIKELY = 64
"""Tokens that are told apart; the others count as one. Of the embedded model's 2,048 they hold nearly all there is."""

_LEAST = 1e-6
"""Probability below which the rest of the vocabulary is not divided by."""


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """At N places: likely tokens [N, k], their probabilities under the teacher, and where those are to be learned.

    The loss is the cross-entropy over these tokens and the rest taken together, so its gradient is zero where student
    and teacher agree.
    """

    tokens: Tensor
    chances: Tensor
    used: Tensor

    @property
    def rest(self) -> Tensor:
        """Probability [N] of all other tokens under the teacher."""
        return (1 - self.chances.sum(dim=1)).clamp(min=0)

    def losses(self, log_p: Tensor) -> Tensor:
        """The cross-entropy [N] from the student's log-probabilities [N, vocabulary]."""
        own = log_p.gather(1, self.tokens)
        others = (1 - own.exp().sum(dim=1)).clamp(min=_LEAST)
        return -(self.chances * own).sum(dim=1) - self.rest * others.log()

    def subtract(self, slope: Tensor) -> None:
        """Make the student's probabilities [N, vocabulary] the gradient by the logits, at the places that are used."""
        own = slope.gather(1, self.tokens)
        others = (1 - own.sum(dim=1)).clamp(min=_LEAST)
        slope *= torch.where(self.used, 1 - self.rest / others, 1)[:, None]
        soft = torch.where(self.used[:, None], own - self.chances, slope.gather(1, self.tokens))
        slope.scatter_(1, self.tokens, soft)


def soft_targets(batch: PackedBatch, scored: Tensor) -> SoftTargets | None:
    """Those of the places where the mask is True; None if there are none."""
    if batch.soft is None:
        return None
    tokens, chances = (part[scored] for part in batch.soft)
    return SoftTargets(tokens, chances, chances.sum(dim=1) > 0)
