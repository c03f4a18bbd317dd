"""How well a model still reads texts that are about nothing it was taught: bits per token."""

from __future__ import annotations

import math
from collections.abc import Sequence

from selfedit.capabilities.compare import Measure
from selfedit.loops.examine import batched, per_token
from selfedit.protocols import Scorer
from selfedit.types import Failure, ItemScore, LikelihoodRequest, Update, Value

MEASURES = {"bits": Measure("neutral text, bits per token", "bits")}


def score_neutral(texts: Sequence[str], scorer: Scorer, updates: Sequence[Update]) -> list[list[ItemScore]]:
    """The bits per token of every text under every update, read in one batch. Of a text that is longer than the model's
    context only the beginning is read.
    """
    requests = [[LikelihoodRequest(update, "", text) for text in texts] for update in updates]
    return [
        [ItemScore(text, {"bits": (_bits(per_token(one)),)}) for text, one in zip(texts, found, strict=True)]
        for found in batched(requests, scorer.likelihood)
    ]


def _bits(nats: Value) -> Value:
    return nats if isinstance(nats, Failure) else -nats / math.log(2)
