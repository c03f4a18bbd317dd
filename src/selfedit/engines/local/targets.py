"""Which layers of a model carry an adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from selfedit.engines.local.abilities import abilities
from selfedit.engines.local.lora import Layout, Target
from selfedit.errors import InputError
from selfedit.types import Recipe


def adapter_layout(model: PreTrainedModel, recipes: Sequence[Recipe]) -> Layout:
    """Room for adapters of all these recipes: all their layers, in the model's order, and the largest rank."""
    found = {target for recipe in recipes for target in find_targets(model, recipe.targets, recipe.top_layers)}
    order = {name: index for index, (name, _) in enumerate(model.named_modules())}
    return Layout(tuple(sorted(found, key=lambda t: order[t.name])), max(recipe.rank for recipe in recipes))


def find_targets(model: PreTrainedModel, names: Sequence[str] = (), top_layers: bool = False) -> tuple[Target, ...]:
    """The linear layers to adapt: those whose name or last part is in `names`, or all but the output head.

    With `top_layers` only those in the upper half of the model's layers. Layers that do not see every token in its
    place (`Abilities.adaptable`), such as the experts of a mixture, stay frozen. Raises InputError if none is left.
    """
    head, adaptable = model.get_output_embeddings(), abilities(model).adaptable
    layers = {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Linear | Conv1D)}
    named = {
        name: layer
        for name, layer in layers.items()
        if (name in names or name.rpartition(".")[2] in names if names else layer is not head)
    }
    chosen = {name: layer for name, layer in named.items() if name in adaptable}
    if not chosen:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in adaptable})) or "none"
        missing = f"no layer of the model is called {', '.join(names)}"
        wrong = f"{next(iter(named))} cannot be adapted" if named else missing
        raise InputError(f"{wrong}; its linear layers that can be adapted are {known}")
    if top_layers:
        stack, first = upper_half(model)
        tops = tuple(f"{stack}.{index}." for index in range(first, len(model.get_submodule(stack))))  # type: ignore[arg-type]
        chosen = {name: layer for name, layer in chosen.items() if name.startswith(tops)}
    return tuple(Target(name, *_shape(layer)) for name, layer in chosen.items())


def upper_half(model: PreTrainedModel) -> tuple[str, int]:
    """The name of the model's stack of layers, and the index of the first in its upper half: 0 of a single layer."""
    lists = {name: len(module) for name, module in model.named_modules() if isinstance(module, nn.ModuleList)}
    for name, count in sorted(lists.items(), key=lambda named: named[1] < 2):  # a stack before lists of one
        return name, count // 2
    raise InputError("top_layers needs a model with a stack of layers, and this one has none; leave it off")


def _shape(layer: Any) -> tuple[int, int]:
    """(inputs, outputs). Conv1D, GPT-2's linear layer, keeps its weight the other way round."""
    if isinstance(layer, Conv1D):
        return int(layer.weight.shape[0]), int(layer.weight.shape[1])
    return layer.in_features, layer.out_features
