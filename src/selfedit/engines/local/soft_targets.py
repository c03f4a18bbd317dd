"""Soft targets: the student learns the probabilities that a teacher gives every token, not only which one came next."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from selfedit.engines.local.batch import PackedBatch

TOP_K = 64
"""Tokens that are told apart; the others count as one. Of the embedded model's 2,048 they hold nearly all there is."""

_MIN_REST = 1e-6
"""Probability below which the rest of the vocabulary is not divided by."""


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """At N positions: top tokens [N, k], their probabilities under the teacher [N, k], and which are used [N].

    The loss is the cross-entropy over these tokens and the rest taken together, so its gradient is zero where student
    and teacher agree.
    """

    tokens: Tensor
    probs: Tensor
    used: Tensor

    @property
    def rest(self) -> Tensor:
        """Probability [N] of all other tokens under the teacher."""
        return (1 - self.probs.sum(dim=1)).clamp(min=0)

    def losses(self, log_p: Tensor) -> Tensor:
        """The cross-entropy [N] from the student's log-probabilities [N, vocabulary]."""
        own = log_p.gather(1, self.tokens)
        own_rest = (1 - own.exp().sum(dim=1)).clamp(min=_MIN_REST)
        return -(self.probs * own).sum(dim=1) - self.rest * own_rest.log()

    def write_grad(self, grad_logits: Tensor) -> None:
        """Turn the student's probabilities [N, vocabulary] into the loss's gradient by the logits, where used."""
        own = grad_logits.gather(1, self.tokens)
        own_rest = (1 - own.sum(dim=1)).clamp(min=_MIN_REST)
        grad_logits *= torch.where(self.used, 1 - self.rest / own_rest, 1)[:, None]
        of_top = torch.where(self.used[:, None], own - self.probs, grad_logits.gather(1, self.tokens))
        grad_logits.scatter_(1, self.tokens, of_top)


def soft_targets(batch: PackedBatch, mask: Tensor) -> SoftTargets | None:
    """Those of the positions where the mask is True; None if there are none."""
    if batch.soft_tokens is None or batch.soft_probs is None:
        return None
    probs = batch.soft_probs[mask]
    return SoftTargets(batch.soft_tokens[mask], probs, probs.sum(dim=1) > 0)
