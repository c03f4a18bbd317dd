"""The local engine: one Hugging Face causal LM in this process, and many adapters trained and examined together."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from selfedit.config import ModelConfig
from selfedit.engines.local import files
from selfedit.engines.local.jobs import Course
from selfedit.engines.local.memory import COPIES, fit, is_out_of_memory, rows_that_fit, token_bytes
from selfedit.engines.local.merging import Merged
from selfedit.engines.local.model import load_model
from selfedit.engines.local.reading import read_together
from selfedit.engines.local.sampling import Ask, decode_together
from selfedit.engines.local.stack import Adapter, Layout, find_targets
from selfedit.engines.local.text import Row, Text
from selfedit.engines.local.training import Trained, layout, train_together
from selfedit.errors import EngineError, InputError
from selfedit.protocols import Progress, silent
from selfedit.types import BASE, Failure, Job, Reading, Recipe, Request, Update

ROWS = 192
"""Most sequences decoded together; bounds the memory of the key-value cache."""

Shape = tuple[int, tuple[str, ...]]
"""Rank and layer names: adapters of one shape can be stacked."""

Batch = dict[int, tuple[str, Ask]]
"""By index: the update whose adapter is worn for it, or "" for none, and what to continue or to read."""

Answer = TypeVar("Answer")

log = logging.getLogger(__name__)


class LocalEngine:
    """Sampler and trainer over one model. `wave` is the most adapters trained together; memory may allow fewer.

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
        self.wave, self.memory = wave, config.memory_bytes
        self.text = Text(model, tokenizer, config.template)
        self._trained: dict[str, tuple[Update, Adapter]] = {}
        self._loaded: dict[str, Adapter] = {}
        self._merged = Merged(model)

    @classmethod
    def from_config(cls, config: ModelConfig, wave: int = 64, progress: Progress = silent) -> LocalEngine:
        """Load the model that the config names. Raises InputError."""
        return cls(*load_model(config), config, wave, progress)

    def describe(self, recipe: Recipe) -> dict[str, str]:
        """What would be trained with this recipe, and what memory that takes."""
        room = layout(self.model, [recipe])
        limits = fit(self.model, room, self.wave, self.memory)
        layers = sorted({target.name.rpartition(".")[2] for target in room.targets})
        weights = sum(weight.numel() * weight.element_size() for weight in self.model.parameters())
        return {
            "model": f"{self.name} ({type(self.model).__name__}, {self.model.num_parameters():,} parameters)",
            "device": f"{self.model.device}, {str(self.model.dtype).removeprefix('torch.')}",
            "context": f"{self.text.context} tokens",
            "prompts": self.text.style,
            "trainable per adapter": f"{room.size:,} parameters on {len(room.targets)} layers: {', '.join(layers)}",
            "memory": f"{weights / 1e6:,.0f} MB of weights, {4 * COPIES * room.size / 1e6:,.1f} MB per adapter in "
            f"training, {token_bytes(self.model, room) / 1e6:,.2f} MB per token of a step",
            "together": f"up to {limits.adapters} adapters, {limits.tokens} tokens in a step",
        }

    # Training

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        """One update or failure per job. Jobs with the same parent train side by side, whatever their recipes."""
        results: dict[int, Update | Failure] = {}
        groups: dict[tuple[str, bool], dict[int, Course]] = defaultdict(dict)
        for index, job in enumerate(jobs):
            rows = self._rows(job)
            if isinstance(rows, Failure):
                results[index] = rows
            else:
                groups[job.parent.id, job.recipe.top_layers][index] = Course(rows, job.recipe, job.seed)
        for (parent, _), courses in groups.items():
            self._merge(parent)
            results |= self._train_group(jobs, courses)
        return [results[index] for index in range(len(jobs))]

    def _train_group(self, jobs: Sequence[Job], courses: dict[int, Course]) -> dict[int, Update | Failure]:
        """Out of memory halves the wave and goes on with what is not done; a job that fails even alone is a failure."""
        room = layout(self.model, [course.recipe for course in courses.values()])
        check_rank(room)
        limits = fit(self.model, room, self.wave, self.memory)
        results: dict[int, Update | Failure] = {}
        on_step = self._report(courses.values())
        while left := [index for index in courses if index not in results]:
            try:
                for place, trained in train_together(
                    self.model, [courses[index].afresh() for index in left], limits, on_step
                ):
                    results[left[place]] = self._keep(jobs[left[place]], trained)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if limits.adapters == limits.tokens == 1:
                    results |= {index: Failure("system", f"out of memory in training: {error}") for index in left}
                limits = limits.halved()
                log.warning("out of memory; going on with %d adapters at a time", limits.adapters)
        return results

    def _report(self, courses: Iterable[Course]) -> Callable[[int, float], None]:
        total, done = sum(course.steps for course in courses), 0

        def on_step(adapters: int, loss: float) -> None:
            nonlocal done
            done = min(total, done + adapters)
            self.progress("training", done, total, f"loss {loss:.3f}")

        return on_step

    def _rows(self, job: Job) -> list[Row] | Failure:
        rows = [row for example in job.examples for row in self.text.rows(example)]
        learned = [row for row in rows if len(row.ids) > max(row.start, 1)]
        if not learned:
            return Failure("policy", "there is no token to learn from in this edit")
        return learned

    def _keep(self, job: Job, trained: Trained) -> Update | Failure:
        if trained.adapter is None:
            return Failure("policy", f"training diverged at learning rate {job.recipe.learning_rate}")
        name = hashlib.sha256(repr(job).encode()).hexdigest()[:16]
        update = Update(name, job.parent.id, trained.tokens, trained.loss)
        self._trained[name] = (update, trained.adapter)
        return update

    # Sampling

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        """One text or failure per request."""
        asks = [self._ask(request) for request in requests]
        return self._in_batches([request.update for request in requests], asks, self._decode)

    def likelihood(self, readings: Sequence[Reading]) -> list[float | Failure]:
        """One mean log-probability per token of the target (nats), or failure, per reading. No end-of-text counts."""
        asks = [self._read_ask(reading) for reading in readings]
        return self._in_batches([reading.update for reading in readings], asks, self._read)

    def _in_batches(
        self, updates: Sequence[Update], asks: Sequence[Ask | Failure], work: Callable[[Batch], Mapping[int, Answer]]
    ) -> list[Answer | Failure]:
        """What `work` answers to each ask, in batches of those that share the merged weights below them."""
        results: dict[int, Answer | Failure] = {}
        groups: dict[tuple[str, Shape | None], Batch] = defaultdict(dict)
        for index, (update, ask) in enumerate(zip(updates, asks, strict=True)):
            if isinstance(ask, Failure):
                results[index] = ask
            else:
                groups[self._below(update)][index] = (update.id if update.id in self._trained else ""), ask
        for (merged, _), asked in groups.items():
            self._merge(merged)
            for batch in self._batches(asked):
                results |= _halving(work, batch)
        return [results[index] for index in range(len(asks))]

    def _below(self, update: Update) -> tuple[str, Shape | None]:
        """Which update must be merged into the weights to sample from this one, and the shape of its own adapter."""
        if update.id not in self._trained:
            return update.id, None
        adapter = self._trained[update.id][1]
        return update.parent or BASE.id, (adapter.rank, tuple(adapter.weights))

    def _batches(self, asked: Batch) -> Iterator[Batch]:
        """As many requests as fit in memory, at most ROWS; an update's stay together, neighbours have like lengths."""
        longest = max(len(ask.ids) + ask.max_new_tokens for _, ask in asked.values())
        most = min(ROWS, rows_that_fit(self.model, longest, self.memory))
        owners: dict[str, list[int]] = defaultdict(list)
        for index in sorted(asked, key=lambda index: len(asked[index][1].ids)):
            owners[asked[index][0]].append(index)
        batch: Batch = {}
        for part in (own[start : start + most] for own in owners.values() for start in range(0, len(own), most)):
            if len(batch) + len(part) > most:
                yield batch
                batch = {}
            batch |= {index: asked[index] for index in part}
        yield batch

    def _decode(self, batch: Batch) -> dict[int, str]:
        order, groups = self._groups(batch)
        decoded = decode_together(
            self.model, groups, self.text.stops, lambda done, total: self.progress("writing", done, total, "")
        )
        return dict(zip(order, [self.text.decode(ids) for group in decoded for ids in group], strict=True))

    def _read(self, batch: Batch) -> dict[int, float]:
        order, groups = self._groups(batch)
        read = read_together(self.model, groups)
        return dict(zip(order, [value for group in read for value in group], strict=True))

    def _groups(self, batch: Batch) -> tuple[list[int], list[tuple[Adapter | None, list[Ask]]]]:
        """The batch by adapter, and the index of every ask in that order. Those without one stand alone."""
        owners: dict[str, list[int]] = defaultdict(list)
        for index, (owner, _) in batch.items():
            owners[owner].append(index)
        groups: list[tuple[Adapter | None, list[Ask]]] = []
        for owner, owned in owners.items():
            own = [batch[index][1] for index in owned]
            groups += [(self._trained[owner][1], own)] if owner else [(None, [ask]) for ask in own]
        return [index for owned in owners.values() for index in owned], groups

    def _ask(self, request: Request) -> Ask | Failure:
        ids = self.text.prompt(request.prompt)
        room = self.text.context - len(ids)
        if room < 1:
            return Failure("system", f"the prompt has {len(ids)} tokens; the model reads at most {self.text.context}")
        length = min(request.max_new_tokens, room)
        return Ask(ids, request.seed, request.temperature, request.top_p, length)

    def _read_ask(self, reading: Reading) -> Ask | Failure:
        prompt = self.text.prompt(reading.prompt)
        target = self.text.target(reading.target, alone=not prompt)[: self.text.context - len(prompt)]
        if len(prompt) + len(target) < 2 or not target:
            return Failure("system", "there is no room, or no token, to be read after the prompt")
        return Ask([*prompt, *target], max_new_tokens=0, read=len(target))

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
        if update_id != BASE.id and update_id not in self._loaded:
            raise EngineError(f"update {update_id} is not loaded here; save it, then load it")
        self._merged.put(update_id, self._loaded.get(update_id))


def _halving(work: Callable[[Batch], Mapping[int, Answer]], batch: Batch) -> dict[int, Answer | Failure]:
    """Out of memory halves the batch; what fails even alone is a failure."""
    try:
        return dict(work(batch))
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        if len(batch) == 1:
            return dict.fromkeys(batch, Failure("system", f"out of memory: {error}"))
    half, items = len(batch) // 2, list(batch.items())
    log.warning("out of memory; going on with %d sequences at a time", half)
    return _halving(work, dict(items[:half])) | _halving(work, dict(items[half:]))


def check_rank(room: Layout) -> None:
    """Raises InputError if the rank is larger than any layer is wide."""
    widest = max(min(target.inputs, target.outputs) for target in room.targets)
    if room.rank > widest:
        raise InputError(f"rank {room.rank} is above the width of the model's layers, {widest}; choose a lower one")
