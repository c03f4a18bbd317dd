"""What sampling and search share: a batch of texts that grow by a token a step, with a key-value cache."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel
from transformers.cache_utils import DynamicLayer

from selfedit.engines.local.forward import run
from selfedit.engines.local.lora import Adapter, attached, head_only_at, stack
from selfedit.engines.local.position_ids import PositionIds
from selfedit.engines.local.prefixes import PrefillStage, stages


class GenerationBatch(ExitStack):
    """Texts in generation: the tokens to read next [rows, tokens], and keys and values of those that were read.

    `adapters`, one for each group of as many rows, are attached until the batch is closed; or there are none.
    `capacity` is for how many new tokens the cache has room at first. If it is not `cached`, the whole texts are read
    again for every token; else what prompts share is read once, and with `gaps` they need not be equal for that.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        prompts: Sequence[list[int]],
        adapters: Sequence[Adapter],
        capacity: int,
        cached: bool,
        gaps: bool = False,
    ) -> None:
        super().__init__()
        self.model, self.position_ids = model, PositionIds(model)
        self._attach(adapters)
        groups = max(1, len(adapters))
        first, *others = stages(prompts, groups, not gaps) if cached else [PrefillStage([], list(prompts))]
        self.cache = make_cache(model, sum(s.width for s in (first, *others)) + capacity) if cached else None
        self.ids, self.mask = self._padded(first.texts)
        self.positions = self.position_ids.of(self.ids, self.mask)
        for stage in others:
            self.logits()
            self.select(stage.rows, range(groups))
            self.extend(stage.texts)

    def _padded(self, texts: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
        """Ids and mask [rows, tokens], with the padding on the left."""
        longest = max(map(len, texts))
        ids = torch.tensor([[0] * (longest - len(text)) + text for text in texts])
        mask = torch.tensor([[0] * (longest - len(text)) + [1] * len(text) for text in texts])
        return ids.to(self.model.device), mask.to(self.model.device)

    def _attach(self, adapters: Sequence[Adapter]) -> None:
        """In place of those that were attached."""
        self.close()
        self.adapters = adapters
        if adapters:
            self.enter_context(attached(self.model, *stack(adapters)))

    def logits(self) -> Tensor:
        """Of the next token [rows, vocabulary]."""
        inputs = {"input_ids": self.ids, "attention_mask": self.mask, "position_ids": self.positions}
        with head_only_at(self.model, None):
            return run(self.model, **inputs, past_key_values=self.cache, use_cache=self.cache is not None)

    @property
    def cache_bytes(self) -> int:
        """What the cache holds now."""
        storages = {}
        for layer in self.cache.layers if self.cache else ():
            for value in vars(layer).values():
                for tensor in value.values() if isinstance(value, dict) else [value]:
                    if isinstance(tensor, Tensor):
                        storages[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return sum(storages.values())

    def append(self, tokens: Tensor) -> None:
        """The next token of every row [rows]."""
        self._extend(tokens[:, None], torch.ones_like(tokens[:, None]))

    def extend(self, texts: Sequence[list[int]]) -> None:
        """The next tokens of every row, one at least."""
        self._extend(*self._padded(texts))

    def _extend(self, ids: Tensor, mask: Tensor) -> None:
        positions = self.position_ids.of(ids, mask, self.positions[:, -1:])
        self.mask = torch.cat([self.mask, mask], dim=1)
        whole = self.cache is None
        self.ids = torch.cat([self.ids, ids], dim=1) if whole else ids
        self.positions = torch.cat([self.positions, positions], dim=1) if whole else positions

    def select(self, rows: Sequence[int], groups: Sequence[int]) -> None:
        """Go on with these rows, which may repeat, and with the adapters of these groups."""
        indices = torch.tensor(rows, device=self.ids.device)
        for layer in self.cache.layers if self.cache else ():
            layer.reorder_cache(indices)  # type: ignore[arg-type]  # states have no batch_select_indices
        self.ids, self.mask, self.positions = self.ids[indices], self.mask[indices], self.positions[indices]
        if len(groups) < len(self.adapters):
            self._attach([self.adapters[group] for group in groups])


def make_cache(model: PreTrainedModel, capacity: int) -> DynamicCache:
    """With room for `capacity` tokens at first. Layers with a sliding window keep transformers' own cache."""
    cache = DynamicCache(config=model.config)
    cache.layers = [PreallocatedLayer(capacity) if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


class PreallocatedLayer(DynamicLayer):
    """Keys and values [rows, heads, capacity, width] written in place; transformers copies its own for every token."""

    def __init__(self, capacity: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.capacity, self.used = capacity, 0

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.all_keys, self.all_values = key_states[:, :, :0], value_states[:, :, :0]
        new = slice(self.used, self.used + key_states.shape[2])
        if new.stop > self.all_keys.shape[2]:
            self.capacity = max(2 * self.used, new.stop, self.capacity)
            self.all_keys, self.all_values = self._enlarged(self.all_keys), self._enlarged(self.all_values)
        self.all_keys[:, :, new], self.all_values[:, :, new] = key_states, value_states
        self.used = new.stop
        self.keys, self.values = self.all_keys[:, :, : self.used], self.all_values[:, :, : self.used]
        return self.keys, self.values

    def _enlarged(self, states: Tensor) -> Tensor:
        rows, heads, _, width = states.shape
        enlarged = states.new_empty(rows, heads, self.capacity, width)
        enlarged[:, :, : self.used] = states[:, :, : self.used]
        return enlarged

    def reorder_cache(self, beam_idx: Tensor) -> None:
        self.all_keys, self.all_values = self.all_keys[beam_idx], self.all_values[beam_idx]
        self.keys, self.values = self.all_keys[:, :, : self.used], self.all_values[:, :, : self.used]
