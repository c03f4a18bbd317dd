"""The local engine: one Hugging Face causal LM in this process, and many adapters trained and sampled together."""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from selfedit.config import ModelConfig
from selfedit.engines.checks import check_weights
from selfedit.engines.local.abilities import abilities
from selfedit.engines.local.batching import Batch, ItemT, ResultT, by_adapter, run_or_halve, split_into_batches
from selfedit.engines.local.chain import check_ewc
from selfedit.engines.local.full import train_full
from selfedit.engines.local.grpo import needs_references, reference_logprobs
from selfedit.engines.local.likelihood import Measure, log_probs, score_together, top_probs
from selfedit.engines.local.lora import Adapter, check_rank
from selfedit.engines.local.memory import describe_training, fit, is_out_of_memory, max_rows
from selfedit.engines.local.model import load_model
from selfedit.engines.local.registry import AdapterRegistry
from selfedit.engines.local.sampling import TokenizedRequest, decode_together
from selfedit.engines.local.search import search_together
from selfedit.engines.local.state import TrainingState
from selfedit.engines.local.targets import adapter_layout
from selfedit.engines.local.text import Text, TokenRow
from selfedit.engines.local.training import TrainingResult, train_together
from selfedit.errors import InputError
from selfedit.protocols import Progress, silent
from selfedit.types import (
    BASE,
    Cut,
    Example,
    Failure,
    Job,
    Likelihood,
    LikelihoodRequest,
    Prompt,
    Recipe,
    Request,
    Update,
)

MAX_ROWS = 192
"""Sequences run together; bounds the memory of the key-value cache."""

Shape = tuple[int, tuple[str, ...]]
"""Rank and layer names: adapters of one shape can be stacked."""

Groups = list[tuple[Adapter | None, list[ItemT]]]
"""Items by the adapter that is attached for them."""

log = logging.getLogger(__name__)


class TrainingGroup(NamedTuple):
    """What jobs must agree on to train together: the update merged below them, and these options of the recipe."""

    merged_id: str
    method: str
    top_layers: bool
    padding: str
    needs_references: bool


class LocalEngine:
    """A full engine over one model. `max_adapters` are trained together, or fewer if memory is short.

    An adapter that was trained here is attached to the model, on top of its parents. One that was loaded is merged into
    the weights while it is sampled from or trained on (SEAL merges its policy too), unless it is one of many. Full
    weights are always merged. Not covered: models that need more than one device.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        config: ModelConfig | None = None,
        max_adapters: int = 64,
        progress: Progress = silent,
    ) -> None:
        config = config or ModelConfig()
        self.model, self.name, self.progress = model, config.name, progress
        self.max_adapters, self.memory = max_adapters, config.memory_bytes
        self.text = Text(model, tokenizer, config.template, config.thinking)
        self.adapters = AdapterRegistry(model, tokenizer, config.name)
        self.abilities = abilities(model)

    @classmethod
    def from_config(cls, config: ModelConfig, max_adapters: int = 64, progress: Progress = silent) -> LocalEngine:
        """Load the model that the config names. Raises InputError."""
        return cls(*load_model(config), config, max_adapters, progress)

    def describe(self, recipe: Recipe) -> dict[str, str]:
        """What would be trained with this recipe, and what memory that takes."""
        return {
            "model": f"{self.name} ({type(self.model).__name__}, {self.model.num_parameters():,} parameters)",
            "device": f"{self.model.device}, {str(self.model.dtype).removeprefix('torch.')}",
            "context": f"{self.text.context} tokens",
            "prompts": self.text.style,
            **describe_training(self.model, recipe, self.max_adapters, self.memory),
        }

    def token_rows(self, example: Example) -> list[list[tuple[str, bool]]]:
        """The training rows of an example, token by token: (its text, whether it is learned)."""
        return [
            [(str(self.text.tokenizer.decode([token])), i >= max(row.start, 1)) for i, token in enumerate(row.ids)]
            for row in self.text.rows(example)
        ]

    # Training

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        """One update or failure per job.

        Jobs train together, whatever their recipes and their attached parents, where the same update is merged below
        them.
        """
        results: dict[int, Update | Failure] = {}
        groups: dict[TrainingGroup, dict[int, TrainingState]] = defaultdict(dict)
        for index, job in enumerate(jobs):
            check_weights(job)
            rows = self._training_rows(job)
            if isinstance(rows, Failure):
                results[index] = rows
                continue
            recipe, parent = job.recipe, self.adapters.chains.get(job.parent.id)
            if recipe.method == "full" or recipe.top_layers:
                parent = None  # it is merged: such jobs need the weights themselves, or parts of them
            check_ewc(job, parent)
            adapter, merged_id = (parent.combined, parent.merged_id) if parent else (None, job.parent.id)
            group = TrainingGroup(merged_id, recipe.method, recipe.top_layers, recipe.padding, needs_references(recipe))
            groups[group][index] = TrainingState(rows, recipe, job.seed, adapter, job.orthogonal, job.ewc)
        for group, states in groups.items():
            self.adapters.merge(group.merged_id)
            results |= (self._train_full if group.method == "full" else self._train_adapters)(jobs, states)
        return [results[index] for index in range(len(jobs))]

    def _train_adapters(self, jobs: Sequence[Job], states: Mapping[int, TrainingState]) -> dict[int, Update | Failure]:
        """Out of memory halves the limits and goes on with the rest; a job that fails even alone is a failure."""
        layout = adapter_layout(self.model, [state.recipe for state in states.values()])
        check_rank(layout)
        frozen = max((state.parent.num_parameters for state in states.values() if state.parent), default=0)
        limits = fit(self.model, layout, self.max_adapters, self.memory, frozen)
        results: dict[int, Update | Failure] = {}
        on_step = self._on_step(states.values())
        while left := [index for index in states if index not in results]:
            try:
                restarted = [states[index].restarted() for index in left]
                for position, trained in train_together(self.model, restarted, limits, on_step):
                    results[left[position]] = self._add(jobs[left[position]], trained)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                if limits.adapters == limits.tokens == 1:
                    results |= {index: Failure("system", f"out of memory in training: {error}") for index in left}
                limits = limits.halved()
                log.warning("out of memory; going on with %d adapters at a time", limits.adapters)
        return results

    def _train_full(self, jobs: Sequence[Job], states: Mapping[int, TrainingState]) -> dict[int, Update | Failure]:
        """All weights of the model, so one job after the other."""
        results: dict[int, Update | Failure] = {}
        on_step = self._on_step(states.values())
        for index, state in states.items():
            try:
                results[index] = self._add(jobs[index], train_full(self.model, state, on_step))
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                results[index] = Failure("system", f"out of memory in training: {error}")
        return results

    def _on_step(self, states: Iterable[TrainingState]) -> Callable[[int, float], None]:
        total, done = sum(state.steps for state in states), 0

        def on_step(adapters: int, loss: float) -> None:
            nonlocal done
            done = min(total, done + adapters)
            self.progress("training", done, total, f"loss {loss:.3f}")

        return on_step

    def _add(self, job: Job, trained: TrainingResult) -> Update | Failure:
        if trained.weights is None:
            return Failure("policy", f"training diverged at learning rate {job.recipe.learning_rate}")
        name = hashlib.sha256(repr(job).encode()).hexdigest()[:16]
        update = Update(name, job.parent.id, trained.tokens, trained.loss)
        text = next(row.ids for example in job.examples for row in self.text.rows(example) if row.scored)
        self.adapters.add(update, trained.weights, job, text)
        return update

    # The rows of a job

    def _training_rows(self, job: Job) -> list[TokenRow] | Failure:
        split = self.text.padded_rows if job.recipe.padding == "seal" else self.text.rows
        pairs = [(Update(e.teacher), row) for e in job.examples for row in split(e) if row.scored]
        if not pairs:
            return Failure("policy", "there is no token to learn from in this edit")
        rows = self._with_soft_targets(pairs)
        if isinstance(rows, Failure) or not needs_references(job.recipe):
            return rows
        return self._with_references(job, rows)

    def _with_soft_targets(self, pairs: Sequence[tuple[Update, TokenRow]]) -> list[TokenRow] | Failure:
        """The rows; those that have a teacher get its probabilities."""
        taught = [index for index, (teacher, _) in enumerate(pairs) if teacher.id]
        scored = self._score_all([pairs[index] for index in taught], top_probs)
        if isinstance(scored, Failure):
            return scored
        rows = [row for _, row in pairs]
        for index, top in zip(taught, scored, strict=True):
            rows[index] = replace(rows[index], soft_tokens=top[:, 0].long(), soft_probs=top[:, 1])
        return rows

    def _with_references(self, job: Job, rows: Sequence[TokenRow]) -> list[TokenRow] | Failure:
        """The rows with the log-probabilities of their tokens under the job's parent and under the base."""
        scored = self._score_all([(update, row) for update in (job.parent, BASE) for row in rows])
        if isinstance(scored, Failure):
            return scored
        references = reference_logprobs(scored[: len(rows)], scored[len(rows) :], job.recipe)
        return [replace(row, reference_logprobs=of_row) for row, of_row in zip(rows, references, strict=True)]

    def _score_all(
        self, pairs: Sequence[tuple[Update, TokenRow]], measure: Measure = log_probs
    ) -> list[Tensor] | Failure:
        """What is measured of every training row under its update, or the first failure."""
        scored = self._score([(update, replace(row, weight=1.0)) for update, row in pairs], measure)
        failures = [outcome for outcome in scored if isinstance(outcome, Failure)]
        return failures[0] if failures else [outcome for outcome in scored if not isinstance(outcome, Failure)]

    # Sampling, search and likelihood

    def fits(self, prompts: Sequence[Prompt], reserve: int = 1) -> list[Failure | None]:
        """None for each prompt that leaves room for `reserve` tokens, or for half the context; else a failure."""
        max_length = self.text.context - min(reserve, self.text.context // 2)
        lengths = [len(self.text.prompt(prompt)) for prompt in prompts]
        return [self._too_long(length) if length > max_length else None for length in lengths]

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        """One text or failure per request; a `Cut` where the model had not ended it."""
        tokenized = [self._tokenized(request) for request in requests]
        decoded = self._run(
            [(request.update, item) for request, item in zip(requests, tokenized, strict=True)],
            lambda groups: decode_together(self.model, groups, self.text.stops, self._on_token),
            "writing",
        )
        return [self._said(*pair) for pair in zip(decoded, tokenized, strict=True)]

    def _said(self, ids: list[int] | Failure, asked: TokenizedRequest | Failure) -> str | Failure:
        if isinstance(ids, Failure):
            return ids
        text = self.text.answer(ids)
        return Cut(text) if isinstance(asked, TokenizedRequest) and len(ids) >= asked.max_new_tokens else text

    def search(self, requests: Sequence[Request], min_probability: float) -> list[list[str] | Failure]:
        """Every text of at least this probability (in (0, 1)), the likeliest first, or a failure, per request.

        Temperature, top-p and seed are not used.
        """
        if not 0 < min_probability < 1:
            raise InputError(f"a search follows texts of a probability between 0 and 1; this is {min_probability}")
        found = self._run(
            [(request.update, self._tokenized(request)) for request in requests],
            lambda groups: search_together(self.model, groups, self.text.stops, min_probability),
            "searching",
        )
        return [texts if isinstance(texts, Failure) else [self.text.answer(ids) for ids in texts] for texts in found]

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | Failure]:
        """The log-probability of every target, without an end-of-text token, or a failure."""
        scored = self._score([(request.update, self._row(request)) for request in requests])
        return [row if isinstance(row, Failure) else Likelihood(float(row.double().sum()), len(row)) for row in scored]

    def _on_token(self, done: int, total: int) -> None:
        self.progress("writing", done, total, "")

    def _score(
        self, items: Sequence[tuple[Update, TokenRow | Failure]], measure: Measure = log_probs
    ) -> list[Tensor | Failure]:
        return self._run(items, lambda groups: score_together(self.model, groups, measure), "reading")

    def _run(
        self,
        items: Sequence[tuple[Update, ItemT | Failure]],
        run: Callable[[Groups[ItemT]], list[list[ResultT]]],
        doing: str,
    ) -> list[ResultT | Failure]:
        """The result of `run` for each item, in batches whose updates share merged weights and a shape."""

        def run_batch(batch: Batch[ItemT]) -> dict[int, ResultT]:
            indices, by_group = self._groups(batch)
            return dict(zip(indices, [result for of_group in run(by_group) for result in of_group], strict=True))

        results: dict[int, ResultT | Failure] = {}
        equal_lengths = self._needs_equal_lengths([item for _, item in items if isinstance(item, TokenizedRequest)])
        groups: dict[tuple[str, Shape | None, int], Batch[ItemT]] = defaultdict(dict)
        for index, (update, item) in enumerate(items):
            chain = self.adapters.chains.get(update.id)
            if isinstance(item, Failure):
                results[index] = item
                continue
            length = len(item.ids) if equal_lengths else 0
            if chain:
                shape = chain.combined.rank, tuple(chain.combined.weights)
                groups[chain.merged_id, shape, length][index] = update.id, item
            else:
                groups[update.id, None, length][index] = "", item
        for (merged_id, *_), group in groups.items():
            self.adapters.merge(merged_id)
            length = max(item.length for _, item in group.values())
            scored = max(item.scored for _, item in group.values())
            size = min(MAX_ROWS, max_rows(self.model, length, scored, self.memory))
            for batch in split_into_batches(group, size):
                results |= run_or_halve(batch, run_batch, doing)
        return [results[index] for index in range(len(items))]

    def _needs_equal_lengths(self, requests: Sequence[TokenizedRequest]) -> bool:
        """Whether prompts must be of one length to be in one batch, where shorter ones are padded on the left."""
        longest = max((len(request.ids) for request in requests), default=0)
        most_new = max((request.max_new_tokens for request in requests), default=0)
        is_too_wide = self.abilities.limits_batch and longest + most_new > self.text.context
        return bool(requests) and (is_too_wide or not self.abilities.pads_left)

    def _groups(self, batch: Batch[ItemT]) -> tuple[list[int], Groups[ItemT]]:
        """The batch grouped by adapter, and the index of every item in that order. Without one, a group is one item."""
        owners = by_adapter(batch)
        groups: Groups[ItemT] = []
        for update_id, indices in owners.items():
            items = [batch[index][1] for index in indices]
            if update_id:
                groups.append((self.adapters.chains[update_id].combined, items))
            else:
                groups += [(None, [item]) for item in items]
        return [index for indices in owners.values() for index in indices], groups

    def _tokenized(self, request: Request) -> TokenizedRequest | Failure:
        ids = self.text.prompt(request.prompt)
        left = self.text.context - len(ids)
        if left < 1:
            return self._too_long(len(ids))
        length = min(request.max_new_tokens, left)
        return TokenizedRequest(ids, request.seed, request.temperature, request.top_p, length)

    def _row(self, request: LikelihoodRequest) -> TokenRow | Failure:
        row = self.text.likelihood_row(request)
        if row.start >= self.text.context:
            return self._too_long(row.start)
        return row if row.scored else Failure("system", "the target has no token whose likelihood could be read")

    def _too_long(self, tokens: int) -> Failure:
        limit = self.text.context
        return Failure(
            "system", f"the prompt has {tokens} tokens, and the model reads at most {limit}, its answer included"
        )

    # Updates

    def save(self, update: Update, folder: Path) -> None:
        self.adapters.save(update, folder)

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        return self.adapters.load(folder, one_of_many)

    def scale(self, update: Update, factor: float) -> Update:
        return self.adapters.scale(update, factor)

    def release(self, updates: Sequence[Update]) -> None:
        self.adapters.release(updates)
