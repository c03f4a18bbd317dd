"""Updates on disk: adapters as PEFT directories, full weights as model directories, each with a `card.json`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from selfedit.engines.local.lora import Adapter, FullWeights, LoraPair
from selfedit.errors import InputError
from selfedit.types import Update

_PREFIX, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"
_FULL = "model.safetensors"
_IMPORTANCE = "importance.safetensors"
"""Beside an adapter that carries it; no other tool reads it."""


def write_update(
    folder: Path, update: Update, weights: Adapter | FullWeights, model: PreTrainedModel, tokenizer: Any, base: str
) -> None:
    """Write into a temporary folder, then rename it: `folder` is there whole or not at all."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if isinstance(weights, FullWeights):
        _write_full(partial, weights, model, tokenizer)
    else:
        _write_adapter(partial, weights, model, base)
    (partial / "card.json").write_text(json.dumps({"base": base, **asdict(update)}, indent=2) + "\n")
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(partial, folder)


def _write_adapter(folder: Path, adapter: Adapter, model: PreTrainedModel, base: str) -> None:
    """As a PEFT directory."""
    from peft import LoraConfig  # slow to import, and only needed here

    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]  # PEFT computes alpha / r, for which any number will do
        target_modules=sorted(adapter.weights),
        base_model_name_or_path=base,
        task_type="CAUSAL_LM",
        fan_in_fan_out=any(isinstance(model.get_submodule(name), Conv1D) for name in adapter.weights),
        inference_mode=True,
    )
    config.save_pretrained(str(folder))
    _sort_targets(folder / "adapter_config.json")
    _write_pairs(folder / "adapter_model.safetensors", adapter.weights)
    if adapter.importance:
        _write_pairs(folder / _IMPORTANCE, adapter.importance)


def _write_pairs(path: Path, pairs: Mapping[str, LoraPair]) -> None:
    tensors = {}
    for name, (a, b) in pairs.items():
        tensors[_PREFIX + name + _A], tensors[_PREFIX + name + _B] = a.cpu().contiguous(), b.cpu().contiguous()
    save_file(tensors, path, metadata={"format": "pt"})


def _write_full(folder: Path, full: FullWeights, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """As a model directory, which transformers and `--model` read too. Tied weights are written once."""
    model.config.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    tensors = {name: weight.contiguous() for name, weight in full.weights.items()}
    save_file(tensors, folder / _FULL, metadata={"format": "pt"})


def _sort_targets(path: Path) -> None:
    """PEFT keeps them as a set, whose order changes from process to process; equal adapters must give equal files."""
    config = json.loads(path.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def read_weights(folder: Path) -> tuple[Adapter | FullWeights, dict[str, Any]]:
    """The weights in a PEFT or model directory, ours or another's, and its card (empty for another's)."""
    try:
        card = json.loads((folder / "card.json").read_text()) if (folder / "card.json").exists() else {}
        if (folder / _FULL).exists():
            return FullWeights(load_file(folder / _FULL)), card
        config = json.loads((folder / "adapter_config.json").read_text())
        return _adapter(folder, config, load_file(folder / "adapter_model.safetensors")), card
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"{folder} holds no adapter that can be read: {error}") from None


def _adapter(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> Adapter:
    if config.get("use_rslora") or config.get("use_dora") or config.get("rank_pattern") or config.get("alpha_pattern"):
        raise InputError(f"{folder} is not a plain LoRA adapter (it uses rsLoRA, DoRA or rank patterns)")
    importance = _pairs(load_file(folder / _IMPORTANCE)) if (folder / _IMPORTANCE).exists() else None
    return Adapter(_pairs(tensors), config["r"], config["lora_alpha"], importance)


def _pairs(tensors: Mapping[str, torch.Tensor]) -> dict[str, LoraPair]:
    names = [key.removeprefix(_PREFIX).removesuffix(_A) for key in tensors if key.endswith(_A)]
    return {name: (tensors[_PREFIX + name + _A], tensors[_PREFIX + name + _B]) for name in names}
