"""The local engine: one Hugging Face causal LM in this process, and many adapters trained and examined together."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from selfedit.config import ModelConfig
from selfedit.engines.checks import check_weights
from selfedit.engines.local import files
from selfedit.engines.local.batching import Asked, ItemT, ResultT, batches, by_owner, halving
from selfedit.engines.local.chain import AdapterChain, check_goes_on, go_on, scaled_down, wear
from selfedit.engines.local.describe import describe_training
from selfedit.engines.local.full import train_full
from selfedit.engines.local.grpo import anchors, has_anchors
from selfedit.engines.local.likelihood import Measure, likeliest, log_probability, read_together
from selfedit.engines.local.lora import Adapter, FullWeights, check_rank, find_targets
from selfedit.engines.local.memory import fit, is_out_of_memory, rows_that_fit
from selfedit.engines.local.merging import MergedWeights, merge
from selfedit.engines.local.model import load_model
from selfedit.engines.local.sampling import TokenizedRequest, decode_together
from selfedit.engines.local.search import search_together
from selfedit.engines.local.state import TrainingState
from selfedit.engines.local.text import Text, TokenRow
from selfedit.engines.local.training import TrainingResult, layout, train_together
from selfedit.errors import EngineError, InputError
from selfedit.protocols import Progress, silent
from selfedit.types import BASE, Failure, Job, LikelihoodRequest, Recipe, Request, Update

ROWS = 192
"""Most sequences run together; bounds the memory of the key-value cache."""

Shape = tuple[int, tuple[str, ...]]
"""Rank and layer names: adapters of one shape can be stacked."""

Kind = tuple[str, str, bool, str, bool]
"""What must be merged into the weights below a job, and what else jobs must agree on to train side by side."""

log = logging.getLogger(__name__)


class LocalEngine:
    """Sampler, trainer and scorer over one model. `wave` is the most adapters trained together; memory may allow fewer.

    An adapter that was trained here is worn beside the weights, and so are its children; one that was loaded is merged
    into the weights while it is sampled from or trained on (SEAL merges its policy too), unless it was loaded to be
    worn. One with all weights is always merged. Not covered: models that need more than one device.
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
        self._trained: dict[str, AdapterChain] = {}
        self._loaded: dict[str, Adapter | FullWeights] = {}
        self._merged = MergedWeights(model)

    @classmethod
    def from_config(cls, config: ModelConfig, wave: int = 64, progress: Progress = silent) -> LocalEngine:
        """Load the model that the config names. Raises InputError."""
        return cls(*load_model(config), config, wave, progress)

    def describe(self, recipe: Recipe) -> dict[str, str]:
        """What would be trained with this recipe, and what memory that takes."""
        return {
            "model": f"{self.name} ({type(self.model).__name__}, {self.model.num_parameters():,} parameters)",
            "device": f"{self.model.device}, {str(self.model.dtype).removeprefix('torch.')}",
            "context": f"{self.text.context} tokens",
            "prompts": self.text.style,
            **describe_training(self.model, recipe, self.wave, self.memory),
        }

    # Training

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        """One update or failure per job.

        Jobs train side by side, whatever their recipes, where the same weights are merged below them: parents that are
        worn stand beside the weights, each job's its own.
        """
        results: dict[int, Update | Failure] = {}
        groups: dict[Kind, dict[int, TrainingState]] = defaultdict(dict)
        for index, job in enumerate(jobs):
            check_weights(job)
            rows = self._rows(job)
            if isinstance(rows, Failure):
                results[index] = rows
            else:
                kind = self._kind(job)
                below = self._trained.get(job.parent.id) if kind[0] != job.parent.id else None
                check_goes_on(job.recipe, below)
                groups[kind][index] = TrainingState(rows, job.recipe, job.seed, below.whole if below else None)
        for (merged, method, *_), courses in groups.items():
            self._merge(merged)
            results |= (self._train_each if method == "full" else self._train_group)(jobs, courses)
        return [results[index] for index in range(len(jobs))]

    def _train_group(self, jobs: Sequence[Job], courses: dict[int, TrainingState]) -> dict[int, Update | Failure]:
        """Out of memory halves the wave and goes on with what is not done; a job that fails even alone is a failure."""
        room = layout(self.model, [course.recipe for course in courses.values()])
        check_rank(room)
        frozen = max((course.below.numbers for course in courses.values() if course.below), default=0)
        limits = fit(self.model, room, self.wave, self.memory, frozen)
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

    def _train_each(self, jobs: Sequence[Job], courses: dict[int, TrainingState]) -> dict[int, Update | Failure]:
        """All weights of the model, so one job after the other."""
        results: dict[int, Update | Failure] = {}
        on_step = self._report(courses.values())
        for index, course in courses.items():
            try:
                results[index] = self._keep(jobs[index], train_full(self.model, course, on_step))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                results[index] = Failure("system", f"out of memory in training: {error}")
        return results

    def _report(self, courses: Iterable[TrainingState]) -> Callable[[int, float], None]:
        total, done = sum(course.steps for course in courses), 0

        def on_step(adapters: int, loss: float) -> None:
            nonlocal done
            done = min(total, done + adapters)
            self.progress("training", done, total, f"loss {loss:.3f}")

        return on_step

    def _rows(self, job: Job) -> list[TokenRow] | Failure:
        split = self.text.padded_rows if job.recipe.padding == "seal" else self.text.rows
        taught = [(Update(e.teacher), row) for e in job.examples for row in split(e) if row.scored]
        if not taught:
            return Failure("policy", "there is no token to learn from in this edit")
        learned = self._softened(taught)
        if isinstance(learned, Failure):
            return learned
        return self._anchored(job, learned) if has_anchors(job.recipe) else learned

    def _softened(self, taught: Sequence[tuple[Update, TokenRow]]) -> list[TokenRow] | Failure:
        """The rows, those with a teacher with what it finds likely in their places."""
        soft = {index: item for index, item in enumerate(taught) if item[0].id}
        read = self._answer(
            [(teacher, replace(row, weight=1.0)) for teacher, row in soft.values()], self._soft, "reading"
        )
        rows = [row for _, row in taught]
        for index, found in zip(soft, read, strict=True):
            if isinstance(found, Failure):
                return found
            rows[index] = replace(rows[index], soft=(found[:, 0].long(), found[:, 1]))
        return rows

    def _anchored(self, job: Job, rows: Sequence[TokenRow]) -> list[TokenRow] | Failure:
        """The rows with the log-probabilities of their tokens under the job's parent and under the base."""
        readable = [replace(row, weight=1.0) for row in rows]
        asked = [(update, row) for update in (job.parent, BASE) for row in readable]
        read = self._answer(asked, self._read, "reading")
        if failures := [tokens for tokens in read if isinstance(tokens, Failure)]:
            return failures[0]
        tokens = [tokens for tokens in read if not isinstance(tokens, Failure)]
        compared = anchors(tokens[: len(rows)], tokens[len(rows) :], job.recipe)
        return [replace(row, anchors=anchor) for row, anchor in zip(rows, compared, strict=True)]

    def _keep(self, job: Job, trained: TrainingResult) -> Update | Failure:
        if trained.weights is None:
            return Failure("policy", f"training diverged at learning rate {job.recipe.learning_rate}")
        name = hashlib.sha256(repr(job).encode()).hexdigest()[:16]
        update = Update(name, job.parent.id, trained.tokens, trained.loss)
        if isinstance(trained.weights, FullWeights):
            self._loaded[name] = trained.weights
        else:
            parent = self._trained.get(job.parent.id)
            self._trained[name] = (go_on if job.recipe.ewc else wear)(update, trained.weights, parent)
        return update

    def _kind(self, job: Job) -> Kind:
        """A parent that is worn is merged all the same for jobs that need the weights themselves, or parts of them."""
        recipe, below = job.recipe, self._trained.get(job.parent.id)
        is_merged = below is None or recipe.method == "full" or recipe.top_layers
        merged = job.parent.id if is_merged or below is None else below.root
        return merged, recipe.method, recipe.top_layers, recipe.padding, has_anchors(recipe)

    # Sampling and reading

    def refusals(self, prompts: Sequence[str]) -> list[Failure | None]:
        """One failure per prompt that leaves no room for an answer, None for the others."""
        lengths = [len(self.text.prompt(prompt)) for prompt in prompts]
        return [self._too_long(length) if length >= self.text.context else None for length in lengths]

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        """One text or failure per request."""
        return self._answer([(request.update, self._ask(request)) for request in requests], self._decode, "writing")

    def search(self, requests: Sequence[Request], least: float) -> list[list[str] | Failure]:
        """Every text whose probability is at least `least` (in (0, 1)), the likeliest first, or a failure, per request.

        Temperature, top-p and seed are not used.
        """
        if not 0 < least < 1:
            raise InputError(f"a search follows texts of a probability between 0 and 1; this is {least}")
        asked = [(request.update, self._ask(request)) for request in requests]
        return self._answer(asked, partial(self._search, least=least), "searching")

    def likelihood(self, readings: Sequence[LikelihoodRequest]) -> list[float | Failure]:
        """One mean log-probability per token of the target (nats), or failure, per reading. No end-of-text counts."""
        read = self._answer([(reading.update, self._row(reading)) for reading in readings], self._read, "reading")
        return [tokens if isinstance(tokens, Failure) else float(tokens.mean()) for tokens in read]

    def _answer(
        self,
        asked: Sequence[tuple[Update, ItemT | Failure]],
        run: Callable[[Asked[ItemT]], Mapping[int, ResultT]],
        doing: str,
    ) -> list[ResultT | Failure]:
        """What `run` makes of each item, in batches of those that share the merged weights below them."""
        results: dict[int, ResultT | Failure] = {}
        groups: dict[tuple[str, Shape | None], Asked[ItemT]] = defaultdict(dict)
        for index, (update, item) in enumerate(asked):
            if isinstance(item, Failure):
                results[index] = item
            else:
                groups[self._below(update)][index] = (update.id if update.id in self._trained else ""), item
        for (merged, _), group in groups.items():
            self._merge(merged)
            length = max(item.length for _, item in group.values())
            scored = max(item.scored for _, item in group.values())
            for batch in batches(group, min(ROWS, rows_that_fit(self.model, length, scored, self.memory))):
                results |= halving(batch, run, doing)
        return [results[index] for index in range(len(asked))]

    def _below(self, update: Update) -> tuple[str, Shape | None]:
        """Which update must be merged into the weights to wear this one, and the shape of its own adapter."""
        if update.id not in self._trained:
            return update.id, None
        worn = self._trained[update.id]
        return worn.root, (worn.whole.rank, tuple(worn.whole.weights))

    def _decode(self, batch: Asked[TokenizedRequest]) -> dict[int, str]:
        order, groups = self._groups(batch)
        decoded = decode_together(
            self.model, groups, self.text.stops, lambda done, total: self.progress("writing", done, total, "")
        )
        return dict(zip(order, [self.text.decode(ids) for group in decoded for ids in group], strict=True))

    def _search(self, batch: Asked[TokenizedRequest], least: float) -> dict[int, list[str]]:
        order, groups = self._groups(batch)
        found = search_together(self.model, groups, self.text.stops, least)
        texts = [[self.text.decode(ids) for ids in of_ask] for of_group in found for of_ask in of_group]
        return dict(zip(order, texts, strict=True))

    def _read(self, batch: Asked[TokenRow], measure: Measure = log_probability) -> dict[int, Tensor]:
        order, groups = self._groups(batch)
        read = read_together(self.model, groups, measure)
        return dict(zip(order, [tokens for group in read for tokens in group], strict=True))

    def _soft(self, batch: Asked[TokenRow]) -> dict[int, Tensor]:
        return self._read(batch, likeliest)

    def _groups(self, batch: Asked[ItemT]) -> tuple[list[int], list[tuple[Adapter | None, list[ItemT]]]]:
        """The batch by adapter, and the place of every item in that order. Those without one stand alone."""
        owners = by_owner(batch)
        groups: list[tuple[Adapter | None, list[ItemT]]] = []
        for owner, owned in owners.items():
            own = [batch[index][1] for index in owned]
            groups += [(self._trained[owner].whole, own)] if owner else [(None, [item]) for item in own]
        return [index for owned in owners.values() for index in owned], groups

    def _ask(self, request: Request) -> TokenizedRequest | Failure:
        ids = self.text.prompt(request.prompt)
        room = self.text.context - len(ids)
        if room < 1:
            return self._too_long(len(ids))
        length = min(request.max_new_tokens, room)
        return TokenizedRequest(ids, request.seed, request.temperature, request.top_p, length)

    def _row(self, reading: LikelihoodRequest) -> TokenRow | Failure:
        row = self.text.reading(reading)
        if row.start >= self.text.context:
            return self._too_long(row.start)
        return row if row.scored else Failure("system", "the target has no token whose likelihood could be read")

    def _too_long(self, tokens: int) -> Failure:
        return Failure(
            "system",
            f"the prompt has {tokens} tokens, and the model reads at most {self.text.context}, its answer included",
        )

    # Updates

    def save(self, update: Update, folder: Path) -> None:
        """Write the update, with the parents it stands on, as one PEFT adapter of the base model.

        Where all weights were trained, in it or below it: as a model directory.
        """
        try:
            files.write(folder, partial(self._write, self._whole(update)), update, self.name)
        except (OSError, SafetensorError) as error:
            raise InputError(f"cannot write the adapter to {folder}: {error}; free some space, then resume") from error

    def _whole(self, update: Update) -> Adapter | FullWeights:
        """What the update makes of the base, the parents it stands on included."""
        if update.id not in self._trained:
            return self._loaded[update.id]
        worn = self._trained[update.id]
        below = self._loaded.get(worn.root)
        if isinstance(below, FullWeights):
            return merge(self.model, below, worn.whole)
        return files.join([below, worn.whole] if below else [worn.whole])

    def _write(self, weights: Adapter | FullWeights, folder: Path) -> None:
        if isinstance(weights, FullWeights):
            files.write_full(folder, weights, self.model, self.text.tokenizer)
        else:
            conv1d = any(isinstance(self.model.get_submodule(name), Conv1D) for name in weights.weights)
            files.write_adapter(folder, weights, self.name, conv1d)

    def load(self, folder: Path, worn: bool = False) -> Update:
        """Read an update of this model, an adapter or all its weights. Raises InputError if it is for another."""
        weights, card = files.read(folder)
        if wrong := self._misfits(weights):
            raise InputError(f"{folder} was trained for another model: {wrong[0]} does not fit {self.name}")
        known = {field: card[field] for field in ("parent", "tokens", "loss") if field in card}
        update = Update(card.get("id", folder.name), **known)
        if isinstance(weights, Adapter):
            device = self.model.device
            moved = {name: (a.to(device), b.to(device)) for name, (a, b) in weights.weights.items()}
            weights = replace(weights, weights=moved)
        self.release([update])
        if worn and isinstance(weights, Adapter):
            self._trained[update.id] = AdapterChain(update, weights, None, weights, BASE.id)
        else:
            self._loaded[update.id] = weights
        return update

    def scale(self, update: Update, factor: float) -> Update:
        """The update with what it adds to its parent times `factor`."""
        worn = self._trained.get(update.id)
        if worn is None:
            raise EngineError(f"update {update.id} was not trained here, or has all weights: it cannot be scaled")
        name = hashlib.sha256(f"{update.id} times {factor!r}".encode()).hexdigest()[:16]
        self._trained[name] = scaled_down(worn, name, factor)
        return self._trained[name].update

    def _misfits(self, weights: Adapter | FullWeights) -> list[str]:
        """The names of weights that this model has no place for, or does not find."""
        if isinstance(weights, FullWeights):
            own, given = (dict(named) for named in (self.model.named_parameters(), weights.weights))
            return [name for name in {**own, **given} if _shape(own, name) != _shape(given, name)]
        shapes = {target.name: (target.inputs, target.outputs) for target in find_targets(self.model)}
        return [name for name, (a, b) in weights.weights.items() if shapes.get(name) != (a.shape[1], b.shape[0])]

    def release(self, updates: Sequence[Update]) -> None:
        for update in updates:
            self._trained.pop(update.id, None)
            self._loaded.pop(update.id, None)

    def _merge(self, update_id: str) -> None:
        if update_id in self._trained:
            self._merged.put(update_id, self._whole(self._trained[update_id].update))
        elif update_id == BASE.id or update_id in self._loaded:
            self._merged.put(update_id, self._loaded.get(update_id))
        else:
            raise EngineError(f"update {update_id} is not known here; it was released, or never trained or loaded")


def _shape(weights: Mapping[str, Tensor], name: str) -> torch.Size | None:
    return weights[name].shape if name in weights else None
