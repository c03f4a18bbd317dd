"""The updates that a local engine holds in memory: attached to the model, or merged into its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from selfedit.engines.local import files
from selfedit.engines.local.chain import AdapterChain, concatenate, extend_chain, scale_chain
from selfedit.engines.local.effect import TOKENS, Effect, gap_between, logits_in_peft, logits_of, mean_kl
from selfedit.engines.local.lora import Adapter, FullWeights, adapter_dtype, attached, stack
from selfedit.engines.local.memory import is_out_of_memory
from selfedit.engines.local.merging import MergedWeights, merged_weights
from selfedit.engines.local.peft_files import MERGE
from selfedit.engines.local.targets import find_targets
from selfedit.errors import EngineError, InputError
from selfedit.types import BASE, Job, Update


class AdapterRegistry:
    """`chains` are attached to the model while used, many at a time; `loaded` updates are merged, one at a time.

    An adapter that was trained here becomes a chain, one that was loaded only if it is one of many. Full weights are
    always merged.
    """

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
        self.model, self.tokenizer, self.name = model, tokenizer, name
        self.chains: dict[str, AdapterChain] = {}
        self.loaded: dict[str, Adapter | FullWeights] = {}
        self.texts: dict[str, Sequence[int]] = {}
        self._merged = MergedWeights(model)

    def add(self, update: Update, weights: Adapter | FullWeights, job: Job, text: Sequence[int]) -> None:
        """An update that this job trained, and the tokens of a text that it has learned."""
        self.texts[update.id] = text
        if isinstance(weights, FullWeights):
            self.loaded[update.id] = weights
        else:
            parent = self.chains.get(job.parent.id)
            self.chains[update.id] = extend_chain(update, weights, parent, replace=bool(job.ewc))

    def merge(self, update_id: str) -> None:
        """Make this update, with its parents, part of the model's weights, in place of the one that was."""
        if update_id in self.chains:
            self._merged.merge(update_id, self.whole(self.chains[update_id].update))
        elif update_id == BASE.id or update_id in self.loaded:
            self._merged.merge(update_id, self.loaded.get(update_id))
        else:
            raise EngineError(f"update {update_id} is not known here; it was released, or never trained or loaded")

    def whole(self, update: Update) -> Adapter | FullWeights:
        """What turns the base into this update, its parents included."""
        if update.id not in self.chains:
            return self.loaded[update.id]
        chain = self.chains[update.id]
        merged = self.loaded.get(chain.merged_id)
        if isinstance(merged, FullWeights):
            return merged_weights(self.model, merged, chain.combined)
        return concatenate([merged, chain.combined] if merged else [chain.combined])

    def save(self, update: Update, folder: Path) -> None:
        """As one PEFT adapter of the base with its parents; as a model directory if any of them has full weights.

        What is on disk then is what was trained, or an EngineError says how it differs.
        """
        weights = self.whole(update)
        prove = partial(self._prove, update, weights)
        try:
            files.write_update(folder, update, weights, self.model, self.tokenizer, self.name, prove)
        except (OSError, SafetensorError) as error:
            raise InputError(f"cannot write the adapter to {folder}: {error}; free some space, then resume") from error

    @torch.no_grad()
    def _prove(self, update: Update, weights: Adapter | FullWeights, folder: Path) -> Effect:
        """Reads the update back from the folder, and compares what it says of a text that it has learned."""
        ids = list(self.texts.get(update.id) or range(8))[:TOKENS]
        chain = self.chains.get(update.id)
        self.merge(chain.merged_id if chain else update.id)
        with attached(self.model, *stack([chain.combined])) if chain else nullcontext():
            trained = logits_of(self.model, ids)
        self.merge(BASE.id)
        base = logits_of(self.model, ids)
        is_adapter, in_peft, merged = isinstance(weights, Adapter), None, None
        if is_adapter:
            in_peft = gap_between(trained, logits_in_peft(self.model, folder, ids), "in PEFT")
        try:
            self._merged.merge("read back", self._read(folder)[0])
            merged = gap_between(trained, logits_of(self.model, ids), "merged")
        except (RuntimeError, MemoryError) as error:
            if not is_adapter or not is_out_of_memory(error):
                raise
        finally:
            self.merge(BASE.id)
        return Effect(merged or 0.0 if in_peft is None else in_peft, merged, mean_kl(trained, base), update.tokens)

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        """Read an adapter, or full weights, of this model. Raises InputError if it is for another."""
        weights, card = self._read(folder)
        name = folder.name if folder.name != BASE.id else f"{folder.name}-adapter"
        update = Update(**{"id": name, **card})
        self.release([update])
        if one_of_many and isinstance(weights, Adapter):
            self.chains[update.id] = AdapterChain(update, weights, None, weights, BASE.id)
        else:
            self.loaded[update.id] = weights
        return update

    def _read(self, folder: Path) -> tuple[Adapter | FullWeights, dict[str, Any]]:
        weights, card = files.read_weights(folder)
        if wrong := self.misfits(weights):
            raise InputError(f"{folder} {self._why_misfit(weights, wrong[0])}")
        if isinstance(weights, Adapter):
            device, dtype = self.model.device, adapter_dtype(self.model)
            on_device = {name: (a.to(device, dtype), b.to(device, dtype)) for name, (a, b) in weights.weights.items()}
            weights = replace(weights, weights=on_device)
        return weights, card

    def misfits(self, weights: Adapter | FullWeights) -> list[str]:
        """The names of weights that this model has no place for, or misses."""
        if isinstance(weights, FullWeights):
            own = {name: weight.shape for name, weight in self.model.named_parameters()}
            given = {name: weight.shape for name, weight in weights.weights.items()}
            return [name for name in own | given if own.get(name) != given.get(name)]
        shapes = {target.name: (target.inputs, target.outputs) for target in find_targets(self.model)}
        return [name for name, (a, b) in weights.weights.items() if shapes.get(name) != (a.shape[1], b.shape[0])]

    def _why_misfit(self, weights: Adapter | FullWeights, name: str) -> str:
        layers = dict(self.model.named_modules())
        if isinstance(weights, Adapter) and layers.get(name) is not None and not isinstance(layers[name], nn.Linear):
            return f"adapts {name}, a {type(layers[name]).__name__}, and only linear layers can be; {MERGE}"
        if isinstance(weights, Adapter) and layers.get(name) is self.model.get_output_embeddings() is not None:
            return f"adapts {name}, the output head, which stays as it is here; {MERGE}"
        return f"was trained for another model: {name} does not fit {self.name}"

    def scale(self, update: Update, factor: float) -> Update:
        """The update with what it adds to its parent times `factor`."""
        chain = self.chains.get(update.id)
        if chain is None:
            raise EngineError(f"update {update.id} was not trained here, or has all weights: it cannot be scaled")
        name = hashlib.sha256(f"{update.id} times {factor!r}".encode()).hexdigest()[:16]
        self.chains[name] = scale_chain(chain, name, factor)
        self.texts[name] = self.texts.get(update.id, ())
        return self.chains[name].update

    def release(self, updates: Sequence[Update]) -> None:
        for update in updates:
            self.chains.pop(update.id, None)
            self.loaded.pop(update.id, None)
            self.texts.pop(update.id, None)
