"""How likely a model finds the tokens of given texts, many adapters at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor
from transformers import PreTrainedModel

from selfedit.engines.local.batch import lay_out, logits_at
from selfedit.engines.local.stack import Adapter, adapter_dtype, attached, stack
from selfedit.engines.local.text import Row


@torch.no_grad()
def read_together(model: PreTrainedModel, groups: Sequence[tuple[Adapter | None, Sequence[Row]]]) -> list[list[Tensor]]:
    """The log-probabilities [row.scored] (nats, on the CPU) of the target tokens of every row, group by group.

    Either every group has an adapter or none has. They are at least in float32. A row of weight 0 is not read.
    """
    batch = lay_out([rows for _, rows in groups], model)
    scored = batch.weights != 0
    adapters = [adapter for adapter, _ in groups if adapter]
    with attached(model, *stack(adapters)) if adapters else nullcontext():
        logits = logits_at(model, batch, scored).to(adapter_dtype(model))
    # Not log_softmax, which would be a second array as large as the logits.
    log_p = logits.gather(1, batch.ids.roll(-1, dims=1)[scored][:, None])[:, 0] - logits.logsumexp(dim=-1)
    each = log_p.new_zeros(scored.shape).masked_scatter_(scored, log_p).view(len(groups), -1).cpu()
    return [
        [values[start + max(row.start - 1, 0) : start + len(row.ids) - 1] for start, row in spans]
        for values, spans in zip(each, batch.spans, strict=True)
    ]
