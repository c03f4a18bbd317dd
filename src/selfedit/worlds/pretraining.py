"""What the recipes of the embedded models share: a checkpointed loop over steps, from nothing to weights."""

from __future__ import annotations

import argparse
import json
import math
import os
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

LEARNING_RATE, WARM_UP, CLIP = 4e-3, 100, 1.0
CHECKPOINT, CHECKPOINT_EVERY = "checkpoint.safetensors", 200


class PretrainingRow(NamedTuple):
    """Token ids, the weight of the loss on predicting each, and what kind of text it is, where the recipe asks that."""

    ids: list[int]
    weights: list[float]
    kind: int = 0


class Muon(Optimizer):
    """Momentum whose steps are made orthogonal, for matrices [rows, columns] (Jordan and others, 2024).

    The Newton-Schulz iteration and its constants are theirs. In PyTorch's own the products are in bfloat16, which many
    CPUs are slow at; here they are in the weights' type.
    """

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for weight in group["params"]:
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                update = orthogonal(weight.grad.lerp(average, group["momentum"]))
                weight.add_(update, alpha=-group["lr"] * max(1, weight.shape[1] / weight.shape[0]) ** 0.5)


def orthogonal(matrix: Tensor) -> Tensor:
    """Nearly the orthogonal factor of the polar decomposition: singular values between about 0.7 and 1.2."""
    wide = matrix.shape[0] <= matrix.shape[1]
    x = matrix if wide else matrix.T
    x = x / (x.norm() + 1e-7)
    for _ in range(5):
        square = x @ x.T
        x = 3.4445 * x + (-4.7750 * square + 2.0315 * square @ square) @ x
    orthogonalised: Tensor = x if wide else x.T
    return orthogonalised


def adamw(weights: Iterable[nn.Parameter]) -> AdamW:
    return AdamW(weights, lr=LEARNING_RATE, betas=(0.9, 0.95), weight_decay=0.01)


def padded(rows: list[PretrainingRow], pad: int) -> tuple[Tensor, Tensor]:
    """Token ids [rows, longest], and weights [rows, longest - 1] of predicting every token but the first."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.tensor([row.ids + [pad] * (longest - len(row.ids)) for row in rows])
    weights = torch.tensor([row.weights + [0.0] * (longest - len(row.weights)) for row in rows])
    return ids, weights[:, 1:]


def learning_rate(step: int, steps: int) -> float:
    """The share of each optimizer's own rate: up over WARM_UP steps, then down a half cosine."""
    return min((step + 1) / WARM_UP, 0.5 * (1 + math.cos(math.pi * step / steps)))


def save_checkpoint(path: Path, model: nn.Module, optimizers: Sequence[Optimizer], step: int) -> None:
    """Weights and what the optimizers know of them, in one safetensors file that is there whole or not at all."""
    tensors = {"step": torch.tensor(step)}
    for name, weight in model.named_parameters():
        tensors[f"weight.{name}"] = weight.data
        for optimizer in optimizers:
            state = optimizer.state.get(weight, {})
            tensors |= {f"{key}.{name}": torch.as_tensor(value) for key, value in state.items()}
    save_file(tensors, path.with_suffix(".partial"))
    os.replace(path.with_suffix(".partial"), path)


def load_checkpoint(path: Path, model: nn.Module, optimizers: Sequence[Optimizer]) -> int:
    """Put a checkpoint back in place; returns the steps that were done, 0 where there is none."""
    if not path.exists():
        return 0
    tensors = load_file(path)
    step = int(tensors.pop("step"))
    owners = {
        weight: optimizer for optimizer in optimizers for group in optimizer.param_groups for weight in group["params"]
    }
    weights = dict(model.named_parameters())
    for key, tensor in tensors.items():
        kind, _, name = key.partition(".")
        if kind == "weight":
            weights[name].data.copy_(tensor)
        else:
            owners[weights[name]].state[weights[name]][kind] = tensor
    return step


def train(
    model: nn.Module,
    optimizers: Sequence[Optimizer],
    batches: Iterable[list[PretrainingRow]],
    loss_of: Callable[[list[PretrainingRow]], Tensor],
    save: Callable[[], None],
    output: Path,
    steps: int,
) -> None:
    """`batches` has the rows of every step from the first on; `save` writes the model.

    Writes `log.jsonl` and a checkpoint to `output`, and goes on from the last checkpoint that it finds there.
    """
    done = load_checkpoint(output / CHECKPOINT, model, optimizers)
    groups = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
    began, tokens = time.monotonic(), 0
    for step, rows in islice(enumerate(batches), done, steps):
        for group, rate in groups:
            group["lr"] = rate * learning_rate(step, steps)
        model.zero_grad()
        loss = loss_of(rows)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        for optimizer in optimizers:
            optimizer.step()
        tokens += sum(len(row.ids) for row in rows)
        if (step + 1) % 50 == 0:
            row = {"step": step + 1, "loss": loss.item(), "tokens": tokens, "seconds": time.monotonic() - began}
            with (output / "log.jsonl").open("a") as log:
                log.write(json.dumps(row) + "\n")
        if (step + 1) % CHECKPOINT_EVERY == 0:
            save_checkpoint(output / CHECKPOINT, model, optimizers, step + 1)
            save()
    save()


def main(
    pretrain: Callable[..., None],
    description: str | None,
    steps: int,
    add_options: Callable[[argparse.ArgumentParser], object] = lambda parser: None,
) -> None:
    """The command line of a recipe: output folder, steps and seed, and what `add_options` adds."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, required=True, help="folder for the weights and the checkpoint")
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--seed", type=int, default=0)
    add_options(parser)
    pretrain(**vars(parser.parse_args()))
