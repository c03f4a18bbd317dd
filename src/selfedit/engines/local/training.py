"""Training many adapters side by side over one frozen model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim.adamw import adamw
from transformers import PreTrainedModel

from selfedit.engines.local.batch import PackedBatch, lay_out, logits_at
from selfedit.engines.local.grpo import anchored
from selfedit.engines.local.lora import (
    Adapter,
    Dropout,
    FullWeights,
    Layout,
    adapter_dtype,
    attached,
    find_targets,
    scaled,
)
from selfedit.engines.local.prefix import Prefix
from selfedit.engines.local.regularization import Regularizer, is_bound
from selfedit.engines.local.soft_targets import soft_targets
from selfedit.engines.local.state import Limits, TrainingState, choose
from selfedit.types import Recipe

OnStep = Callable[[int, float], None]
"""Called with (adapters in the step just taken, their mean loss)."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What became of one job: its weights, or None if it diverged; `loss` is the mean over its last epoch."""

    weights: Adapter | FullWeights | None
    loss: float
    tokens: int


def train_together(
    model: PreTrainedModel, courses: Sequence[TrainingState], limits: Limits, on_step: OnStep
) -> Iterator[tuple[int, TrainingResult]]:
    """Train one adapter per course, each as if it were alone; yields (index, result) as they finish.

    At most `limits.adapters` are in training; when one is done, the next takes its place. Every step takes those whose
    next rows are of like length. The courses must agree on `top_layers`, `padding` and
    whether their rows have anchors.
    """
    prefix = Prefix(model) if courses[0].recipe.top_layers else None
    slots = _Slots(model, courses, min(limits.adapters, len(courses)))
    waiting = list(enumerate(courses))[::-1]
    while waiting or slots.taken:
        while waiting and slots.free:
            slots.fill(*waiting.pop())
        taken = list(slots.taken)
        chosen = [taken[i] for i in choose([slots.taken[slot] for slot in taken], limits.tokens)]
        losses = slots.step(chosen, prefix)
        on_step(len(chosen), sum(losses) / len(losses))
        for slot in chosen:
            if not slots.taken[slot].left:
                yield slots.empty(slot)


class _Slots:
    """The adapters in training: row k of the stacked weights, gradients and moments [slots, size] is slot k's.

    AdamW is element-wise, so the rows are separate optimizers. Jobs may differ in layers and rank: a row has room for
    all layers and for the largest rank, and what a job does not use stays zero.
    """

    def __init__(self, model: PreTrainedModel, courses: Sequence[TrainingState], count: int) -> None:
        self.model = model
        self.layouts = {recipe: layout(model, [recipe]) for recipe in {course.recipe for course in courses}}
        self.layout = layout(model, list(self.layouts))
        shape, dtype = (4, count, self.layout.size), adapter_dtype(model)
        self.weights, self.gradients, self.means, self.squares = torch.zeros(shape, dtype=dtype, device=model.device)
        self.views, self.slopes = self.layout.views(self.weights), self.layout.views(self.gradients)
        self.below = _below(model, courses, count)
        self.bounds = Regularizer(self.layout, self.weights) if any(is_bound(course) for course in courses) else None
        self.steps = [torch.zeros((), device=model.device) for _ in range(count)]
        self.indices = [0] * count
        self.free = list(range(count))[::-1]
        self.taken: dict[int, TrainingState] = {}

    def fill(self, index: int, course: TrainingState) -> None:
        """Begin with a new adapter in a free slot."""
        slot = self.free.pop()
        self.weights[slot] = self.layout.initial(self.layouts[course.recipe], course.seed)
        if self.below:
            self.below.put(slot, course)
        if self.bounds:
            self.bounds.begin(slot, course)
        for state in (self.means[slot], self.squares[slot], self.steps[slot]):
            state.zero_()
        self.taken[slot], self.indices[slot] = course, index

    def empty(self, slot: int) -> tuple[int, TrainingResult]:
        """Take the result out of a slot: (index of the course, what became of it)."""
        course, adapter = self.taken.pop(slot), None
        self.free.append(slot)
        if not course.failed and bool(self.weights[slot].isfinite().all()):
            weights = self.layout.take(self.weights[slot], self.layouts[course.recipe])
            importance = self.bounds.importance(slot, course, self.layouts[course.recipe]) if self.bounds else None
            adapter = Adapter(weights, course.recipe.rank, course.recipe.alpha, importance)
        return self.indices[slot], TrainingResult(adapter, course.loss, course.tokens)

    def step(self, chosen: Sequence[int], prefix: Prefix | None) -> list[float]:
        """One optimizer step for the adapters in these slots; the loss of each."""
        courses = [self.taken[slot] for slot in chosen]
        batch = lay_out([course.next for course in courses], self.model)
        losses: list[float] = self._backward(chosen, courses, batch, prefix).tolist()
        gradients = self.gradients[: len(chosen)]
        if self.bounds:
            self.bounds.pull(chosen, courses, gradients)
        norms = gradients.norm(dim=1)
        clips = norms.new_tensor([course.recipe.clip or float("inf") for course in courses])
        gradients *= (clips / (norms + 1e-6)).clamp(max=1.0)[:, None]
        sound = norms.isfinite().tolist()
        for k, (slot, course) in enumerate(zip(chosen, courses, strict=True)):
            is_sound = sound[k] and math.isfinite(losses[k])
            if is_sound:
                self._update(slot, gradients[k], course)
                if self.bounds:
                    self.bounds.push_out(slot)
            course.advance(losses[k], is_sound)
        return losses

    def _backward(
        self, chosen: Sequence[int], courses: Sequence[TrainingState], batch: PackedBatch, prefix: Prefix | None
    ) -> Tensor:
        """Leave the gradients of the chosen adapters in the first rows of `gradients`; returns their losses."""
        rows = torch.tensor(chosen, device=self.model.device)
        used = {target.name for course in courses for target in self.layouts[course.recipe].targets}
        leaves = {
            name: (a.index_select(0, rows).requires_grad_(), b.index_select(0, rows).requires_grad_())
            for name, (a, b) in self.views.items()
            if name in used
        }
        scales = self.weights.new_tensor([course.recipe.alpha / course.recipe.rank for course in courses])
        dropout = _dropout(courses, batch) if any(course.recipe.dropout for course in courses) else None
        below = self.below.worn(rows) if self.below else nullcontext()
        with below, attached(self.model, leaves, scales, dropout), prefix.skipped(batch) if prefix else nullcontext():
            losses, found = gradients(self.model, [weight for pair in leaves.values() for weight in pair], batch)
        into = [slope for name, pair in self.slopes.items() for slope in pair if name in used]
        if len(used) < len(self.slopes):
            self.gradients[: len(chosen)] = 0
        for slope, gradient in zip(into, found, strict=True):
            slope[: len(chosen)] = 0 if gradient is None else gradient
        return losses

    def _update(self, slot: int, gradient: Tensor, course: TrainingState) -> None:
        adamw(
            [self.weights[slot]],
            [gradient],
            [self.means[slot]],
            [self.squares[slot]],
            [],
            [self.steps[slot]],
            fused=True,
            amsgrad=False,
            beta1=0.9,
            beta2=0.999,
            lr=course.rate,
            weight_decay=course.recipe.weight_decay,
            eps=1e-8,
            maximize=False,
        )


class _Below:
    """The frozen adapters that stand below those in training: row k of `weights` [slots, size] is that of slot k."""

    def __init__(self, model: PreTrainedModel, layout: Layout, count: int) -> None:
        self.model, self.layout = model, layout
        self.weights = torch.zeros(count, layout.size, dtype=adapter_dtype(model), device=model.device)

    def put(self, slot: int, course: TrainingState) -> None:
        below = None if course.goes_on else course.below
        self.layout.put(self.weights[slot], scaled(below) if below else {})

    def worn(self, rows: Tensor) -> AbstractContextManager[None]:
        """Within this block the model wears those of these slots."""
        return attached(self.model, self.layout.views(self.weights[rows]), self.weights.new_ones(len(rows)))


def _below(model: PreTrainedModel, courses: Sequence[TrainingState], count: int) -> _Below | None:
    """Room for the largest; None if no course stands on one."""
    found = [course.below for course in courses if course.below and not course.goes_on]
    if not found:
        return None
    names = {name for adapter in found for name in adapter.weights}
    targets = tuple(target for target in find_targets(model) if target.name in names)
    return _Below(model, Layout(targets, max(adapter.rank for adapter in found)), count)


def layout(model: PreTrainedModel, recipes: Sequence[Recipe]) -> Layout:
    """Room for adapters of all these recipes: all their layers, in the model's order, and the largest rank."""
    found = {target for recipe in recipes for target in find_targets(model, recipe.targets, recipe.top_layers)}
    order = {name: index for index, (name, _) in enumerate(model.named_modules())}
    return Layout(tuple(sorted(found, key=lambda t: order[t.name])), max(recipe.rank for recipe in recipes))


def gradients(
    model: PreTrainedModel, leaves: Sequence[Tensor], batch: PackedBatch
) -> tuple[Tensor, tuple[Tensor | None, ...]]:
    """(loss of each job [K], gradients of the leaves); a job's loss is a mean over its target tokens.

    The gradient of log p by the logits is one-hot minus softmax; it enters the backward pass as it is, times how much
    each token's log p is wanted: its weight, or what the anchored objective makes of it. Soft targets take the place of
    the one-hot.
    """
    scored, count = batch.weights != 0, len(batch.spans)
    logits = logits_at(model, batch, scored)
    with torch.no_grad():
        log_p = logits.to(adapter_dtype(model)).log_softmax(dim=-1)
        following, owners = batch.ids.roll(-1, dims=1)[scored][:, None], batch.owners[scored]
        tokens = torch.bincount(owners, minlength=count).clamp(min=1)
        wanted, own = batch.weights[scored].to(log_p.dtype), log_p.gather(1, following)[:, 0]
        each = -wanted * own
        if batch.anchors is not None:
            each, wanted = anchored(own, wanted, batch.anchors[:, scored])
        targets = soft_targets(batch, scored)
        if targets:
            each = torch.where(targets.used, wanted * targets.losses(log_p), each)
        losses = log_p.new_zeros(count).index_add(0, owners, each / tokens[owners])
        hard = torch.full_like(following, -1, dtype=log_p.dtype)
        if targets:
            hard = hard.masked_fill_(targets.used[:, None], 0)
        slope = log_p.exp_().scatter_add_(1, following, hard)
        if targets:
            targets.subtract(slope)
        slope *= (wanted / tokens[owners])[:, None]
    return losses, torch.autograd.grad(logits, leaves, slope.to(logits.dtype), allow_unused=True)


def _dropout(courses: Sequence[TrainingState], batch: PackedBatch) -> Dropout:
    """Each job drops by random numbers of its own, drawn for its tokens in its own order, whoever trains beside it."""
    generators = [torch.Generator().manual_seed((course.seed * 1_000_003 + course.done) % 2**63) for course in courses]

    def drop(x: Tensor) -> Tensor:
        keep = torch.ones_like(x)
        for k, (course, generator) in enumerate(zip(courses, generators, strict=True)):
            share = 1 - course.recipe.dropout
            for start, row in batch.spans[k] if course.recipe.dropout else []:
                drawn = torch.rand(len(row.ids), x.shape[2], generator=generator, dtype=torch.float64)
                keep[k, start : start + len(row.ids)] = ((drawn < share) / share).to(x)
        return x * keep

    return drop
