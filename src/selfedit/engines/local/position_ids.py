"""Position ids for the model's position embeddings: consecutive, or at tab stops."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel


class PositionIds:
    """Consecutive position ids, or, for a model whose config has `position_stops`, {token id: stop}, a grid's.

    There a token's position is the next multiple of its stop, which is 1 for tokens that the config does not name: so a
    row break goes to the beginning of the next row, where the next token is to be written, and what begins a grid to
    the next sheet. No position is beyond the model's last.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config.get_text_config()
        stops: dict[str, int] = getattr(config, "position_stops", None) or {}
        self.has_stops = bool(stops)
        self.last = int(getattr(config, "max_position_embeddings", 0) or 0) - 1
        self.stops = torch.ones(config.vocab_size if stops else 0, dtype=torch.long, device=model.device)
        for token, stop in stops.items():
            self.stops[int(token)] = stop

    def of(self, ids: Tensor, mask: Tensor, previous: Tensor | None = None) -> Tensor:
        """Token ids and attention mask (1 text, 0 padding), both [rows, tokens] -> position ids [rows, tokens].

        `previous` [rows, 1] are those of the tokens before them, if there are any. Those of padding are arbitrary.
        """
        current = torch.full_like(ids[:, :1], -1) if previous is None else previous
        if not self.has_stops:
            return (current + mask.cumsum(1)).clamp(min=0)
        columns = []
        for index in range(ids.shape[1]):
            column = slice(index, index + 1)
            current = torch.where(mask[:, column] > 0, self._after(current, ids[:, column]), current)
            columns.append(current)
        return torch.cat(columns, dim=1).clamp(min=0)

    def _after(self, previous: Tensor, ids: Tensor) -> Tensor:
        """Position ids of tokens that follow those at `previous`, where there are stops; all [rows, 1]."""
        stops = self.stops[ids]
        return ((previous // stops + 1) * stops).clamp(max=self.last)
