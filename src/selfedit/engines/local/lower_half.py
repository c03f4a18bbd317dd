"""The frozen lower half of a model, run once per row (for `top_layers`): in training its output does not change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from selfedit.engines.local.batch import PackedBatch, pack_rows
from selfedit.engines.local.forward import accepted
from selfedit.engines.local.targets import upper_half
from selfedit.engines.local.text import TokenRow


def has_lower_half(model: PreTrainedModel) -> bool:
    """Whether there is one that can run alone. Models that mix kinds of layers choose masks by the index of a layer."""
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or [""])
    return len(kinds) == 1 and upper_half(model)[1] > 0


class LowerHalfCache:
    """Hidden states [tokens, width] that enter the upper half, by row. Not covered: models that mix kinds of layers."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.name, self.first = upper_half(model)
        self.layers: Any = model.get_submodule(self.name)
        self._cached: dict[tuple[tuple[int, ...], int], Tensor] = {}

    @contextmanager
    def skipped(self, batch: PackedBatch) -> Iterator[None]:
        """Within this block the model runs its upper half only, on the lower half's output for this batch."""
        hidden = self._hidden(batch)

        def enter(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
            return (hidden, *inputs[1:])

        with self.layers[self.first].register_forward_pre_hook(enter), self._only(self.layers[self.first :]):
            yield

    def _hidden(self, batch: PackedBatch) -> Tensor:
        rows = {_key(span.row): span.row for spans in batch.spans for span in spans}
        self._compute([row for key, row in rows.items() if key not in self._cached])
        width = next(iter(self._cached.values())).shape[1]
        hidden = torch.zeros(len(batch.spans), batch.ids.numel() // len(batch.spans), width)
        hidden = hidden.to(self.model.device, self.model.dtype)
        for k, spans in enumerate(batch.spans):
            for span in spans:
                hidden[k, span.tokens] = self._cached[_key(span.row)]
        return hidden.view(*batch.ids.shape, width)

    @torch.no_grad()
    def _compute(self, rows: Sequence[TokenRow]) -> None:
        if not rows:
            return
        batch, found = pack_rows([[row] for row in rows], self.model), list[Tensor]()

        def leave(layer: nn.Module, inputs: Any, output: Tensor | tuple[Tensor, ...]) -> None:
            found.append(output if isinstance(output, Tensor) else output[0])

        inputs = {"input_ids": batch.ids, "attention_mask": batch.attention_mask, "position_ids": batch.positions}
        with self.layers[self.first - 1].register_forward_hook(leave), self._only(self.layers[: self.first]):
            self.model.base_model(**accepted(self.model.base_model, inputs), use_cache=False)
        self._cached |= {_key(row): found[0][k, : len(row.ids)].clone() for k, row in enumerate(rows)}

    @contextmanager
    def _only(self, layers: nn.ModuleList) -> Iterator[None]:
        parent, _, attribute = self.name.rpartition(".")
        owner = self.model.get_submodule(parent)
        setattr(owner, attribute, layers)
        try:
            yield
        finally:
            setattr(owner, attribute, self.layers)


def _key(row: TokenRow) -> tuple[tuple[int, ...], int]:
    return tuple(row.ids), row.padding
