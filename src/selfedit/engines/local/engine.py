"""The local engine: one Hugging Face causal LM in this process, and many adapters trained and examined together."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from selfedit.config import ModelConfig
from selfedit.engines.local import files
from selfedit.engines.local.model import load_model
from selfedit.engines.local.sampling import Ask, decode_together
from selfedit.engines.local.stack import Adapter, Target, find_targets
from selfedit.engines.local.text import Row, Text
from selfedit.engines.local.training import Trained, train_together
from selfedit.errors import EngineError, InputError
from selfedit.protocols import Progress, silent
from selfedit.types import BASE, Failure, Job, Recipe, Request, Update

ROWS = 384
"""Most sequences decoded together; bounds the memory of the key-value cache."""

CPU_WAVE = 32
"""Most adapters in one training step on a CPU: with more, what a step works on no longer fits the cache (LOG.md)."""

Shape = tuple[int, tuple[str, ...]]
"""Rank and layer names: adapters of one shape can be stacked."""


class LocalEngine:
    """Sampler and trainer over one model. `wave` is the most adapters trained together (at most CPU_WAVE on a CPU).

    An update that was trained here is worn as an adapter; one that was loaded is merged into the weights while it is
    sampled from or trained on (SEAL merges its policy too). Not covered: models that need more than one device.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: ModelConfig | None = None,
        wave: int = 64,
        progress: Progress = silent,
    ) -> None:
        config = config or ModelConfig()
        self.model, self.name, self.progress = model, config.name, progress
        self.wave = min(wave, CPU_WAVE) if model.device.type == "cpu" else wave
        self.text = Text(model, tokenizer, config.template)
        self._trained: dict[str, tuple[Update, Adapter]] = {}
        self._loaded: dict[str, Adapter] = {}
        self._merged, self._originals = BASE.id, dict[str, torch.Tensor]()

    @classmethod
    def from_config(cls, config: ModelConfig, wave: int = 64, progress: Progress = silent) -> LocalEngine:
        """Load the model that the config names. Raises InputError."""
        return cls(*load_model(config), config, wave, progress)

    def describe(self, recipe: Recipe) -> dict[str, str]:
        """What would be trained with this recipe, and what memory that takes (activations not counted)."""
        targets = find_targets(self.model, recipe.targets)
        size = sum(target.size(recipe.rank) for target in targets)
        layers = sorted({target.name.rpartition(".")[2] for target in targets})
        weights = sum(weight.numel() * weight.element_size() for weight in self.model.parameters())
        return {
            "model": f"{self.name} ({type(self.model).__name__}, {self.model.num_parameters():,} parameters)",
            "device": f"{self.model.device}, {str(self.model.dtype).removeprefix('torch.')}",
            "context": f"{self.text.context} tokens",
            "prompts": self.text.style,
            "trainable per adapter": f"{size:,} parameters on {len(targets)} layers: {', '.join(layers)}",
            "memory": f"{weights / 1e6:,.0f} MB of weights, {16 * size / 1e6:,.1f} MB per adapter in training "
            f"(weights, gradient, two moments), {16 * size * self.wave / 1e6:,.0f} MB for a wave of {self.wave}",
        }

    # Training

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        """One update or failure per job. Jobs with the same parent and recipe train together, `wave` at a time."""
        results: dict[int, Update | Failure] = {}
        groups: dict[tuple[str, Recipe], list[int]] = defaultdict(list)
        for index, job in enumerate(jobs):
            groups[job.parent.id, job.recipe].append(index)
        for (parent, recipe), members in groups.items():
            self._merge(parent)
            targets = find_targets(self.model, recipe.targets)
            _check_rank(recipe, targets)
            rows = {index: self._rows(jobs[index]) for index in members}
            results |= {index: found for index, found in rows.items() if isinstance(found, Failure)}
            for wave in self._waves({i: found for i, found in rows.items() if not isinstance(found, Failure)}):
                trained = self._train_wave([jobs[index] for index in wave], list(wave.values()), targets)
                results |= zip(wave, trained, strict=True)
        return [results[index] for index in range(len(jobs))]

    def _waves(self, rows: dict[int, list[Row]]) -> list[dict[int, list[Row]]]:
        """At most `wave` jobs each, jobs of like lengths together, so that little of a step is padding.

        The longest row is left out of the comparison: it is the passage, and much the same for all.
        """
        ordered = sorted(rows, key=lambda index: sorted((len(row.ids) for row in rows[index]), reverse=True)[1:])
        waves = [ordered[start : start + self.wave] for start in range(0, len(ordered), self.wave)]
        return [{index: rows[index] for index in wave} for wave in waves]

    def _train_wave(
        self, jobs: Sequence[Job], rows: Sequence[Sequence[Row]], targets: Sequence[Target]
    ) -> list[Update | Failure]:
        trained = train_together(
            self.model,
            targets,
            rows,
            jobs[0].recipe,
            [job.seed for job in jobs],
            lambda done, total, loss: self.progress("training", done, total, f"loss {loss:.3f}"),
        )
        return [self._keep(job, result) for job, result in zip(jobs, trained, strict=True)]

    def _rows(self, job: Job) -> list[Row] | Failure:
        rows = [row for example in job.examples for row in self.text.rows(example)]
        learned = [row for row in rows if len(row.ids) > max(row.start, 1)]
        if not learned:
            return Failure("policy", "there is no token to learn from in this edit")
        return learned

    def _keep(self, job: Job, trained: Trained) -> Update | Failure:
        if trained.diverged:
            return Failure("policy", f"training diverged at learning rate {job.recipe.learning_rate}")
        name = hashlib.sha256(repr(job).encode()).hexdigest()[:16]
        update = Update(name, job.parent.id, trained.tokens, trained.loss)
        self._trained[name] = (update, trained.adapter)
        return update

    # Sampling

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        """One text or failure per request, in batches of requests that share the merged weights below them."""
        results: dict[int, str | Failure] = {}
        groups: dict[tuple[str, Shape | None], list[int]] = defaultdict(list)
        asks = [self._ask(request) for request in requests]
        for index, (request, ask) in enumerate(zip(requests, asks, strict=True)):
            if isinstance(ask, Failure):
                results[index] = ask
            else:
                groups[self._below(request.update)].append(index)
        for (merged, shape), members in groups.items():
            self._merge(merged)
            for batch in self._batches(members, requests, stacked=shape is not None):
                results |= self._sample_batch(batch, requests, asks)
        return [results[index] for index in range(len(requests))]

    def _below(self, update: Update) -> tuple[str, Shape | None]:
        """Which update must be merged into the weights to sample from this one, and the shape of its own adapter."""
        if update.id not in self._trained:
            return update.id, None
        adapter = self._trained[update.id][1]
        return update.parent or BASE.id, (adapter.rank, tuple(adapter.weights))

    def _batches(self, members: Sequence[int], requests: Sequence[Request], stacked: bool) -> list[list[int]]:
        """At most ROWS requests each; the requests of one update stay together and neighbours have like lengths."""
        if not stacked:
            ordered = sorted(members, key=lambda index: len(requests[index].prompt))
            return [ordered[start : start + ROWS] for start in range(0, len(ordered), ROWS)]
        batches: list[list[int]] = []
        owners: dict[str, list[int]] = defaultdict(list)
        for index in members:
            owners[requests[index].update.id].append(index)
        for owned in owners.values():
            if not batches or len(batches[-1]) + len(owned) > ROWS:
                batches.append([])
            batches[-1] += owned
        return batches

    def _sample_batch(
        self, batch: Sequence[int], requests: Sequence[Request], asks: Sequence[Ask | Failure]
    ) -> dict[int, str | Failure]:
        owners: dict[str, list[int]] = defaultdict(list)
        for index in batch:
            update = requests[index].update.id
            owners[update if update in self._trained else ""].append(index)
        groups = [
            (
                self._trained[owner][1] if owner else None,
                [ask for index in owned if isinstance(ask := asks[index], Ask)],
            )
            for owner, owned in owners.items()
        ]
        decoded = decode_together(
            self.model, groups, self.text.stops, lambda done, total: self.progress("writing", done, total, "")
        )
        texts = [self.text.decode(ids) for group in decoded for ids in group]
        return dict(zip([index for owned in owners.values() for index in owned], texts, strict=True))

    def _ask(self, request: Request) -> Ask | Failure:
        ids = self.text.prompt(request.prompt)
        room = self.text.context - len(ids)
        if room < 1:
            return Failure("system", f"the prompt has {len(ids)} tokens; the model reads at most {self.text.context}")
        length = min(request.max_new_tokens, room)
        return Ask(ids, request.seed, request.temperature, request.top_p, length)

    # Updates

    def save(self, update: Update, folder: Path) -> None:
        """Write the update, with the parents it stands on, as one PEFT adapter of the base model."""
        own, below = self._trained[update.id][1], self._loaded.get(update.parent or "")
        conv1d = any(isinstance(self.model.get_submodule(name), Conv1D) for name in own.weights)
        try:
            files.write(folder, files.join([below, own] if below else [own]), update, self.name, conv1d)
        except (OSError, SafetensorError) as error:
            raise InputError(f"cannot write the adapter to {folder}: {error}; free some space, then resume") from error

    def load(self, folder: Path) -> Update:
        """Read a PEFT adapter of this model. Raises InputError if it was made for another."""
        adapter, card = files.read(folder)
        shapes = {target.name: (target.inputs, target.outputs) for target in find_targets(self.model)}
        for name, (a, b) in adapter.weights.items():
            if shapes.get(name) != (a.shape[1], b.shape[0]):
                raise InputError(f"{folder} was trained for another model: {name} does not fit {self.name}")
        known = {field: card[field] for field in ("parent", "tokens", "loss") if field in card}
        update = Update(card.get("id", folder.name), **known)
        device = self.model.device
        moved = {name: (a.to(device), b.to(device)) for name, (a, b) in adapter.weights.items()}
        self._loaded[update.id] = replace(adapter, weights=moved)
        self._trained.pop(update.id, None)
        return update

    def release(self, updates: Sequence[Update]) -> None:
        for update in updates:
            self._trained.pop(update.id, None)
            self._loaded.pop(update.id, None)

    def _merge(self, update_id: str) -> None:
        """Put the weights of this update in place: the base's own, plus what a loaded update adds to them."""
        if update_id == self._merged:
            return
        if update_id != BASE.id and update_id not in self._loaded:
            raise EngineError(f"update {update_id} is not loaded here; save it, then load it")
        for name, original in self._originals.items():
            self._weight(name).copy_(original)
        self._originals, self._merged = {}, update_id
        if update_id == BASE.id:
            return
        adapter = self._loaded[update_id]
        for name, (a, b) in adapter.weights.items():
            weight, delta = self._weight(name), (b @ a) * (adapter.alpha / adapter.rank)
            self._originals[name] = weight.clone()
            transposed = isinstance(self.model.get_submodule(name), Conv1D)
            weight.copy_(weight.to(delta.dtype) + (delta.T if transposed else delta))

    def _weight(self, name: str) -> torch.Tensor:
        return self.model.get_parameter(f"{name}.weight").data


def _check_rank(recipe: Recipe, targets: Sequence[Target]) -> None:
    widest = max(min(target.inputs, target.outputs) for target in targets)
    if recipe.rank > widest:
        raise InputError(f"rank {recipe.rank} is above the width of the model's layers, {widest}; choose a lower one")
