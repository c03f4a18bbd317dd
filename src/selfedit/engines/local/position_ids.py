"""Where tokens stand, for the model's position embeddings: one after another, or at tab stops."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel


class PositionIds:
    """A model whose config has `position_stops`, {token id: stop}, reads its texts as a canvas.

    A token goes to the next multiple of its stop, which is 1 for those that the config does not name: so a row break
    goes to the beginning of the next row, where the next token is to be written, and what begins a grid to the next
    sheet. Places beyond the model's last stay there. Other models count tokens from 0.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        config = model.config.get_text_config()
        stops: dict[str, int] = getattr(config, "position_stops", None) or {}
        self.canvas = bool(stops)
        self.last = int(getattr(config, "max_position_embeddings", 0) or 0) - 1
        self.stops = torch.ones(config.vocab_size if stops else 0, dtype=torch.long, device=model.device)
        for token, stop in stops.items():
            self.stops[int(token)] = stop

    def of(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids, and which of them are text (1, the others 0), [rows, tokens] -> the place of each, [rows, tokens].

        What is no text may stand anywhere.
        """
        if not self.canvas:
            return (mask.cumsum(1) - 1).clamp(min=0)
        place, places = torch.full_like(ids[:, :1], -1), []
        for index in range(ids.shape[1]):
            column = slice(index, index + 1)
            place = torch.where(mask[:, column] > 0, self.after(place, ids[:, column]), place)
            places.append(place)
        return torch.cat(places, dim=1).clamp(min=0)

    def after(self, places: Tensor, ids: Tensor) -> Tensor:
        """Where tokens stand that follow what stands at `places`; both [rows, 1]."""
        if not self.canvas:
            return places + 1
        stops = self.stops[ids]
        return ((places // stops + 1) * stops).clamp(max=self.last)
