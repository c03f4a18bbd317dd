"""Training many adapters at once over one frozen model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from transformers import PreTrainedModel

from selfedit.engines.local.batch import PackedBatch, logits_at, pack_rows
from selfedit.engines.local.grpo import grpo_loss
from selfedit.engines.local.lora import (
    Adapter,
    Dropout,
    FullWeights,
    Layout,
    adapter_dtype,
    attached,
    with_scale,
)
from selfedit.engines.local.lower_half import LowerHalfCache, has_lower_half
from selfedit.engines.local.regularization import Regularizer, is_regularized
from selfedit.engines.local.soft_targets import soft_targets
from selfedit.engines.local.state import MemoryLimits, TrainingState, choose
from selfedit.engines.local.targets import adapter_layout, find_targets

_adamw = partial(adamw, fused=True, amsgrad=False, beta1=0.9, beta2=0.999, eps=1e-8, maximize=False)

OnStep = Callable[[int, float], None]
"""Called with (adapters in the step just taken, their mean loss)."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What became of one job: its weights, or None if it diverged; `loss` is the mean over its last epoch."""

    weights: Adapter | FullWeights | None
    loss: float
    tokens: int


def train_together(
    model: PreTrainedModel, states: Sequence[TrainingState], limits: MemoryLimits, on_step: OnStep
) -> Iterator[tuple[int, TrainingResult]]:
    """Train one adapter per job, each as if it were alone; yields (index, result) as they finish.

    At most `limits.adapters` are in training; when one is done, the next takes its slot. Every step takes those whose
    next rows are of like length. The jobs must agree on `top_layers`, `padding` and whether their rows have reference
    log-probabilities.
    """
    slots = _Slots(model, states, min(limits.adapters, len(states)))
    waiting = list(enumerate(states))[::-1]
    while waiting or slots.taken:
        while waiting and slots.free:
            slots.fill(*waiting.pop())
        taken = list(slots.taken)
        chosen = [taken[i] for i in choose([slots.taken[slot] for slot in taken], limits.tokens)]
        losses = slots.step(chosen)
        on_step(len(chosen), sum(losses) / len(losses))
        for slot in chosen:
            if not slots.taken[slot].steps_left:
                yield slots.empty(slot)


class _Slots:
    """The adapters in training: row k of the stacked weights, gradients and moments [slots, size] is slot k's.

    AdamW is element-wise, so the rows are separate optimizers. Jobs may differ in layers and rank: a row has room for
    all layers and for the largest rank, and what a job does not use stays zero.
    """

    def __init__(self, model: PreTrainedModel, states: Sequence[TrainingState], count: int) -> None:
        self.model = model
        self.layouts = {recipe: adapter_layout(model, [recipe]) for recipe in {state.recipe for state in states}}
        self.layout = adapter_layout(model, list(self.layouts))
        shape, dtype = (4, count, self.layout.size), adapter_dtype(model)
        self.weights, self.gradients, self.means, self.squares = torch.zeros(shape, dtype=dtype, device=model.device)
        self.weight_views, self.gradient_views = self.layout.views(self.weights), self.layout.views(self.gradients)
        self.steps = [torch.zeros((), device=model.device) for _ in range(count)]
        parents = [state.frozen_parent for state in states if state.frozen_parent]
        self.parents = _FrozenParents(model, parents, count) if parents else None
        self.regularizer = Regularizer(self.layout, self.weights) if any(map(is_regularized, states)) else None
        cached = states[0].recipe.top_layers and has_lower_half(model)
        self.lower_half = LowerHalfCache(model) if cached else None
        self.indices = [0] * count
        self.free = list(range(count))[::-1]
        self.taken: dict[int, TrainingState] = {}

    def fill(self, index: int, state: TrainingState) -> None:
        """Begin with a new adapter in a free slot."""
        slot = self.free.pop()
        self.weights[slot] = self.layout.initial(self.layouts[state.recipe], state.seed)
        if self.parents:
            self.parents.put(slot, state.frozen_parent)
        if self.regularizer:
            self.regularizer.start(slot, state)
        for optimizer_state in (self.means[slot], self.squares[slot], self.steps[slot]):
            optimizer_state.zero_()
        self.taken[slot], self.indices[slot] = state, index

    def empty(self, slot: int) -> tuple[int, TrainingResult]:
        """Take the result out of a slot: (index of the job, what became of it)."""
        state, adapter = self.taken.pop(slot), None
        self.free.append(slot)
        if not state.failed and bool(self.weights[slot].isfinite().all()):
            layout = self.layouts[state.recipe]
            importance = self.regularizer.importance(slot, state, layout) if self.regularizer else None
            weights = self.layout.take(self.weights[slot], layout)
            adapter = Adapter(weights, state.recipe.rank, state.recipe.alpha, importance)
        return self.indices[slot], TrainingResult(adapter, state.loss, state.tokens)

    def step(self, slots: Sequence[int]) -> list[float]:
        """One optimizer step for the K adapters in these slots; the loss of each."""
        states = [self.taken[slot] for slot in slots]
        losses: list[float] = self._backward(slots, states).tolist()
        gradients = self.gradients[: len(slots)]  # [K, size]
        if self.regularizer:
            self.regularizer.add_penalty(slots, states, gradients)
        # Each adapter's gradient is clipped by its own norm, as torch.nn.utils.clip_grad_norm_ would.
        norms = gradients.norm(dim=1)
        clips = norms.new_tensor([state.recipe.clip or float("inf") for state in states])
        gradients *= (clips / (norms + 1e-6)).clamp(max=1.0)[:, None]
        norm_is_finite = norms.isfinite().tolist()
        for k, (slot, state) in enumerate(zip(slots, states, strict=True)):
            is_finite = norm_is_finite[k] and math.isfinite(losses[k])
            if is_finite:
                weights, means, squares = [self.weights[slot]], [self.means[slot]], [self.squares[slot]]
                lr, decay = state.learning_rate, state.recipe.weight_decay
                _adamw(weights, [gradients[k]], means, squares, [], [self.steps[slot]], lr=lr, weight_decay=decay)
                if self.regularizer:
                    self.regularizer.project_out(slot)
            state.advance(losses[k], is_finite)
        return losses

    def _backward(self, slots: Sequence[int], states: Sequence[TrainingState]) -> Tensor:
        """Put the gradients of these adapters into the first K rows of `gradients`; returns their losses [K]."""
        batch = pack_rows([state.next_rows for state in states], self.model)
        rows = torch.tensor(slots, device=self.model.device)
        used = {target.name for state in states for target in self.layouts[state.recipe].targets}
        leaves = {
            name: (a.index_select(0, rows).requires_grad_(), b.index_select(0, rows).requires_grad_())
            for name, (a, b) in self.weight_views.items()
            if name in used
        }
        scales = self.weights.new_tensor([state.recipe.alpha / state.recipe.rank for state in states])
        dropout = _dropout(states, batch) if any(state.recipe.dropout for state in states) else None
        parents = self.parents.attached(rows) if self.parents else nullcontext()
        lower_half = self.lower_half.skipped(batch) if self.lower_half else nullcontext()
        with parents, attached(self.model, leaves, scales, dropout), lower_half:
            losses, found = gradients(self.model, [weight for pair in leaves.values() for weight in pair], batch)
        if len(used) < len(self.gradient_views):
            self.gradients[: len(slots)] = 0
        views = [view for name, pair in self.gradient_views.items() if name in used for view in pair]
        for view, gradient in zip(views, found, strict=True):
            view[: len(slots)] = 0 if gradient is None else gradient
        return losses


class _FrozenParents:
    """The attached parents of the adapters in training: row k of `weights` [slots, size] is that of slot k."""

    def __init__(self, model: PreTrainedModel, parents: Sequence[Adapter], count: int) -> None:
        names = {name for parent in parents for name in parent.weights}
        targets = tuple(target for target in find_targets(model) if target.name in names)
        self.model, self.layout = model, Layout(targets, max(parent.rank for parent in parents))
        self.weights = torch.zeros(count, self.layout.size, dtype=adapter_dtype(model), device=model.device)

    def put(self, slot: int, parent: Adapter | None) -> None:
        self.layout.put(self.weights[slot], with_scale(parent) if parent else {})

    def attached(self, rows: Tensor) -> AbstractContextManager[None]:
        """Within this block those of these slots are attached to the model."""
        return attached(self.model, self.layout.views(self.weights[rows]), self.weights.new_ones(len(rows)))


def gradients(
    model: PreTrainedModel, leaves: Sequence[Tensor], batch: PackedBatch
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """(loss of each job [K], gradients of the leaves); a job's loss is a mean over its target tokens.

    The gradient by the logits is known in closed form and enters the backward pass as it is: autograd through the loss
    would keep a second array as large as the logits.
    """
    mask = batch.weights != 0  # [K * R, T]
    logits = logits_at(model, batch, mask)
    with torch.no_grad():
        losses, grad_logits = _loss_and_grad(logits.to(adapter_dtype(model)).log_softmax(dim=-1), batch, mask)
    return losses, torch.autograd.grad(logits, leaves, grad_logits.to(logits.dtype), allow_unused=True)


def _loss_and_grad(log_p: Tensor, batch: PackedBatch, mask: Tensor) -> tuple[Tensor, Tensor]:
    """From the log-probabilities at N positions [N, vocabulary], which the second result overwrites: the loss of each
    job [K], and its gradient by the logits [N, vocabulary].

    The gradient of -log p is softmax minus one-hot, or minus the teacher's probabilities. Each token's is scaled by
    how much its log p is wanted: its weight, or what GRPO's loss makes of it.
    """
    following, owners = batch.ids.roll(-1, dims=1)[mask][:, None], batch.owners[mask]  # [N, 1], [N]
    tokens = torch.bincount(owners, minlength=len(batch.spans)).clamp(min=1)  # [K]
    token_weight, own = batch.weights[mask].to(log_p.dtype), log_p.gather(1, following)[:, 0]  # [N]
    token_loss = -token_weight * own
    if batch.reference_logprobs is not None:
        token_loss, token_weight = grpo_loss(own, token_weight, batch.reference_logprobs[mask])
    soft = soft_targets(batch, mask)
    if soft:
        token_loss = torch.where(soft.used, token_weight * soft.losses(log_p), token_loss)
    losses = log_p.new_zeros(len(batch.spans)).index_add(0, owners, token_loss / tokens[owners])

    minus_one_hot = torch.full_like(following, -1, dtype=log_p.dtype)
    if soft:
        minus_one_hot = minus_one_hot.masked_fill_(soft.used[:, None], 0)
    grad_logits = log_p.exp_().scatter_add_(1, following, minus_one_hot)  # in place, for it is large
    if soft:
        soft.write_grad(grad_logits)
    grad_logits *= (token_weight / tokens[owners])[:, None]
    return losses, grad_logits


def _dropout(states: Sequence[TrainingState], batch: PackedBatch) -> Dropout:
    """Each job has random numbers of its own, drawn for its tokens in its own order, whatever else is in the batch."""
    generators = [torch.Generator().manual_seed((state.seed * 1_000_003 + state.done) % 2**63) for state in states]

    def drop(x: Tensor) -> Tensor:
        keep = torch.ones_like(x)
        for k, (state, generator) in enumerate(zip(states, generators, strict=True)):
            share = 1 - state.recipe.dropout
            for span in batch.spans[k] if state.recipe.dropout else []:
                drawn = torch.rand(len(span.row.ids), x.shape[2], generator=generator, dtype=torch.float64)
                keep[k, span.tokens] = ((drawn < share) / share).to(x)
        return x * keep

    return drop
