"""How likely a model finds given texts, many adapters at once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from transformers import PreTrainedModel

from selfedit.engines.local.batch import lay_out
from selfedit.engines.local.sampling import Ask
from selfedit.engines.local.stack import Adapter, adapter_dtype, attached, head_only_at, stack
from selfedit.engines.local.text import Row


@torch.no_grad()
def read_together(model: PreTrainedModel, groups: Sequence[tuple[Adapter | None, Sequence[Ask]]]) -> list[list[float]]:
    """The mean log-probability (nats) of the tokens of every target, group by group.

    Either every group has an adapter or none has. The first token of a text without a prompt is not counted: nothing
    stands before it.
    """
    rows = [[Row(ask.ids, len(ask.ids) - ask.read, 1.0) for ask in asks] for _, asks in groups]
    batch = lay_out(rows, model.device)
    scored = batch.weights != 0
    adapters = [adapter for adapter, _ in groups if adapter]
    with attached(model, *stack(adapters)) if adapters else nullcontext(), head_only_at(model, scored):
        logits = model(input_ids=batch.ids, position_ids=batch.positions, use_cache=False).logits
    log_p = logits.to(adapter_dtype(model)).log_softmax(dim=-1).gather(1, batch.ids.roll(-1, dims=1)[scored][:, None])
    each = log_p.new_zeros(scored.shape).masked_scatter_(scored, log_p[:, 0]).view(len(groups), -1).cpu()
    return [
        [float(values[start + max(row.start - 1, 0) : start + len(row.ids) - 1].mean()) for start, row in spans]
        for values, spans in zip(each, batch.spans, strict=True)
    ]
