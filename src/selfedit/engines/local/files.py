"""Adapters as PEFT directories: `adapter_config.json`, `adapter_model.safetensors`, and `card.json`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from selfedit.engines.local.stack import Adapter
from selfedit.errors import InputError
from selfedit.types import Update

_PREFIX, _A, _B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"


def join(adapters: Sequence[Adapter]) -> Adapter:
    """One adapter that does what these do one on top of the other: ranks add up, alpha / rank goes into B."""
    if len(adapters) == 1:
        return adapters[0]
    rank = sum(adapter.rank for adapter in adapters)
    names = dict.fromkeys(name for adapter in adapters for name in adapter.weights)
    return Adapter({name: _join_layer(name, adapters) for name in names}, rank, float(rank))


def _join_layer(name: str, adapters: Sequence[Adapter]) -> tuple[torch.Tensor, torch.Tensor]:
    a, b = next(adapter.weights[name] for adapter in adapters if name in adapter.weights)
    parts = [
        (adapter.weights[name][0], adapter.weights[name][1] * (adapter.alpha / adapter.rank))
        if name in adapter.weights
        else (a.new_zeros(adapter.rank, a.shape[1]), b.new_zeros(b.shape[0], adapter.rank))
        for adapter in adapters
    ]
    return torch.cat([part for part, _ in parts], dim=0), torch.cat([part for _, part in parts], dim=1)


def write(folder: Path, adapter: Adapter, update: Update, base: str, fan_in_fan_out: bool) -> None:
    """Write beside `folder`, then rename: it is there whole or not at all."""
    from peft import LoraConfig  # slow to import, and only needed here

    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,  # type: ignore[arg-type]  # PEFT computes alpha / r, for which any number will do
        target_modules=sorted(adapter.weights),
        base_model_name_or_path=base,
        task_type="CAUSAL_LM",
        fan_in_fan_out=fan_in_fan_out,
        inference_mode=True,
    )
    config.save_pretrained(str(partial))
    _sort_targets(partial / "adapter_config.json")
    tensors = {}
    for name, (a, b) in adapter.weights.items():
        tensors[_PREFIX + name + _A], tensors[_PREFIX + name + _B] = a.cpu().contiguous(), b.cpu().contiguous()
    save_file(tensors, partial / "adapter_model.safetensors", metadata={"format": "pt"})
    (partial / "card.json").write_text(json.dumps({"base": base, **asdict(update)}, indent=2) + "\n")
    if folder.exists():
        shutil.rmtree(folder)
    os.replace(partial, folder)


def _sort_targets(path: Path) -> None:
    """PEFT keeps them as a set, whose order changes from process to process; equal adapters are equal files."""
    config = json.loads(path.read_text())
    config["target_modules"] = sorted(config["target_modules"])
    path.write_text(json.dumps(config, indent=2, sort_keys=True))


def read(folder: Path) -> tuple[Adapter, dict[str, Any]]:
    """The adapter in a PEFT directory, ours or another's, and its card (empty for another's)."""
    try:
        config = json.loads((folder / "adapter_config.json").read_text())
        tensors = load_file(folder / "adapter_model.safetensors")
    except (OSError, SafetensorError, json.JSONDecodeError) as error:
        raise InputError(f"{folder} holds no adapter that can be read: {error}") from None
    if config.get("use_rslora") or config.get("use_dora") or config.get("rank_pattern") or config.get("alpha_pattern"):
        raise InputError(f"{folder} is not a plain LoRA adapter (it uses rsLoRA, DoRA or rank patterns)")
    names = [key.removeprefix(_PREFIX).removesuffix(_A) for key in tensors if key.endswith(_A)]
    weights = {name: (tensors[_PREFIX + name + _A], tensors[_PREFIX + name + _B]) for name in names}
    card = folder / "card.json"
    return Adapter(weights, config["r"], config["lora_alpha"]), json.loads(card.read_text()) if card.exists() else {}
