"""Training many adapters in one step over one frozen model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel

from selfedit.engines.local.stack import Adapter, Target, attached, head_only_at, initial, views
from selfedit.engines.local.text import Row
from selfedit.types import Recipe

CLIP = 1.0
"""Largest gradient norm of an adapter: the Hugging Face Trainer's default, which SEAL uses (spec 1.3)."""

OnStep = Callable[[int, int, float], None]
"""Called with (steps done, steps in all, mean loss)."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What became of one job. `loss` is the mean over its last epoch; not finite if it diverged."""

    adapter: Adapter
    loss: float
    tokens: int

    @property
    def diverged(self) -> bool:
        weights = [weight for pair in self.adapter.weights.values() for weight in pair]
        return self.loss != self.loss or not all(bool(weight.isfinite().all()) for weight in weights)


def train_together(
    model: PreTrainedModel,
    targets: Sequence[Target],
    jobs: Sequence[Sequence[Row]],
    recipe: Recipe,
    seeds: Sequence[int],
    on_step: OnStep,
) -> list[Trained]:
    """Train one adapter per job, all with `recipe`, each as if it were alone.

    A job visits its rows from the longest to the shortest in every epoch, and the jobs' epochs begin together: so rows
    of like length share a step, and little of it is padding. A job with fewer rows waits for the next epoch. AdamW
    keeps one optimizer per adapter; learning rates fall linearly over each job's own steps.
    """
    batches = [_batches(rows, recipe.batch_size) for rows in jobs]
    order = sorted(range(len(jobs)), key=lambda job: -len(batches[job]))  # the live jobs of a step come first
    dtype = torch.float64 if model.dtype == torch.float64 else torch.float32
    flat = torch.stack([initial(targets, recipe.rank, seeds[job], dtype, model.device) for job in order])
    optimizer = _Optimizers(flat, recipe, [len(batches[job]) * recipe.epochs for job in order])
    losses = torch.zeros(len(jobs), dtype=torch.float64)
    longest = len(batches[order[0]])
    for epoch in range(recipe.epochs):
        losses.zero_()
        for step in range(longest):
            live = [batches[job][step] for job in order if len(batches[job]) > step]
            loss, gradient = _gradients(model, targets, flat[: len(live)], live, recipe)
            optimizer.step(gradient)
            losses[: len(live)] += loss
            on_step(epoch * longest + step + 1, recipe.epochs * longest, float(loss.mean()))
    weights = views(flat, targets, recipe.rank)
    results = {
        job: Trained(
            Adapter({n: (a[k].clone(), b[k].clone()) for n, (a, b) in weights.items()}, recipe.rank, recipe.alpha),
            float(losses[k]) / len(batches[job]),
            recipe.epochs * sum(len(row.ids) for row in jobs[job]),
        )
        for k, job in enumerate(order)
    }
    return [results[job] for job in range(len(jobs))]


def _batches(rows: Sequence[Row], size: int) -> list[list[Row]]:
    ordered = sorted(rows, key=lambda row: -len(row.ids))
    return [ordered[start : start + size] for start in range(0, len(ordered), size)]


class _Optimizers:
    """One AdamW per row of `flat` [K, size], run side by side: its own step count, learning rate and clipping."""

    def __init__(self, flat: Tensor, recipe: Recipe, steps: Sequence[int]) -> None:
        self.rows = [flat[k] for k in range(len(flat))]
        self.recipe, self.steps, self.done = recipe, steps, [0] * len(self.rows)
        groups = [{"params": [row]} for row in self.rows]
        self.adamw = torch.optim.AdamW(groups, lr=recipe.learning_rate, weight_decay=0.0, fused=True)

    def step(self, gradient: Tensor) -> None:
        """Advance the first len(gradient) adapters by one step; the others have no gradient and stay as they are."""
        norms = gradient.norm(dim=1, keepdim=True)
        gradient *= (CLIP / (norms + 1e-6)).clamp(max=1.0)
        for k, row in enumerate(self.rows):
            row.grad = gradient[k] if k < len(gradient) else None
            if row.grad is not None:
                left = 1.0 - self.done[k] / self.steps[k]
                self.adamw.param_groups[k]["lr"] = self.recipe.learning_rate * left
                self.done[k] += 1
        self.adamw.step()


def _gradients(
    model: PreTrainedModel, targets: Sequence[Target], flat: Tensor, live: Sequence[Sequence[Row]], recipe: Recipe
) -> tuple[Tensor, Tensor]:
    """(loss of each live job [K], gradient of each adapter [K, size]); a loss is a mean over the target tokens."""
    ids, weights = _pad(live, model.device)
    scored = weights != 0
    leaf = flat.detach().requires_grad_()
    with attached(model, views(leaf, targets, recipe.rank), recipe.alpha / recipe.rank), head_only_at(model, scored):
        # No attention mask: padding stands to the right of every token that counts, where causal attention never looks.
        logits = model(input_ids=ids, use_cache=False).logits
    following = ids.roll(-1, dims=1)[scored]
    losses = cross_entropy(logits.to(flat.dtype), following, reduction="none") * weights[scored]
    owner = torch.arange(len(live), device=ids.device).repeat_interleave(len(ids) // len(live))
    owner = owner[:, None].expand_as(ids)[scored]
    per_job = torch.zeros(len(live), dtype=flat.dtype, device=ids.device).index_add(0, owner, losses)
    counts = torch.bincount(owner, minlength=len(live)).clamp(min=1)
    per_job = per_job / counts
    (gradient,) = torch.autograd.grad(per_job.sum(), leaf)
    return per_job.detach().cpu().double(), gradient


def _pad(live: Sequence[Sequence[Row]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids [K * R, T], and the weight of predicting the *next* token at each position (0: not learned)."""
    per_job = max(len(rows) for rows in live)
    length = max(len(row.ids) for rows in live for row in rows)
    ids = torch.zeros(len(live), per_job, length, dtype=torch.long)
    weights = torch.zeros(len(live), per_job, length)
    for k, rows in enumerate(live):
        for r, row in enumerate(rows):
            ids[k, r, : len(row.ids)] = torch.tensor(row.ids)
            weights[k, r, max(row.start - 1, 0) : len(row.ids) - 1] = row.weight
    return ids.flatten(0, 1).to(device), weights.flatten(0, 1).to(device)
