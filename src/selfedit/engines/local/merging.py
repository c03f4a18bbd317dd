"""Merging an update into the model's weights, and restoring them to the last bit."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from selfedit.engines.local.lora import Adapter, FullWeights, LoraPair, with_scale
from selfedit.types import BASE


class MergedWeights:
    """The update that is merged into the model's weights now. For quantized ones it is added to their outputs."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model, self.id, self._undo = model, BASE.id, ExitStack()

    def merge(self, update_id: str, weights: Adapter | FullWeights | None) -> None:
        """Restore the base's weights, then add this update's adapter, or put its full weights in their place."""
        if update_id == self.id:
            return
        self._undo.close()
        self.id = update_id
        if isinstance(weights, FullWeights):
            for name, weight in weights.weights.items():
                self._replace(name, weight)
        for name, pair in with_scale(weights).items() if isinstance(weights, Adapter) else ():
            layer, weight = self.model.get_submodule(name), self.model.get_parameter(f"{name}.weight").data
            if weight.is_floating_point():
                self._replace(f"{name}.weight", _plus_adapter(layer, weight, pair))
            else:
                self._undo.enter_context(layer.register_forward_hook(_adding_hook(*pair)))

    def _replace(self, name: str, new: Tensor) -> None:
        weight = self.model.get_parameter(name).data
        self._undo.callback(weight.copy_, weight.clone())
        weight.copy_(new)


def merged_weights(model: PreTrainedModel, base: FullWeights, adapter: Adapter) -> FullWeights:
    """All weights of an update whose adapter was trained over `base`."""
    merged = dict(base.weights)
    for name, (a, b) in with_scale(adapter).items():
        key = f"{name}.weight"
        merged[key] = _plus_adapter(model.get_submodule(name), merged[key], (a.cpu(), b.cpu())).to(merged[key].dtype)
    return FullWeights(merged)


def _plus_adapter(layer: nn.Module, weight: Tensor, pair: LoraPair) -> Tensor:
    delta = pair[1] @ pair[0]
    return weight.to(delta.dtype) + (delta.T if isinstance(layer, Conv1D) else delta)


def _adding_hook(a: Tensor, b: Tensor) -> Any:
    def hook(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + (inputs[0].to(a.dtype) @ a.T @ b.T).to(output.dtype)

    return hook
