"""Updates on disk: adapters as PEFT directories, full weights as model directories, each with a `card.json`."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError
from safetensors.torch import save_file
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D

from selfedit.engines.local.effect import Effect
from selfedit.engines.local.lora import Adapter, FullWeights, LoraPair
from selfedit.engines.local.peft_files import (
    CONFIG,
    IMPORTANCE,
    PREFIX,
    WEIGHTS,
    A,
    B,
    read_adapter,
    read_tensors,
)
from selfedit.errors import InputError
from selfedit.files import put_folder, read_json
from selfedit.types import BASE, Update

_FULL = "model.safetensors"


def write_update(
    folder: Path,
    update: Update,
    weights: Adapter | FullWeights,
    model: PreTrainedModel,
    tokenizer: Any,
    base: str,
    prove: Callable[[Path], Effect],
) -> None:
    """Write into a temporary folder, then rename it: `folder` is there whole or not at all. What was written is proved
    before.
    """
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if isinstance(weights, FullWeights):
        _write_full(partial, weights, model, tokenizer)
    else:
        write_adapter(partial, weights, model, base)
    card = {"base": base, **asdict(update), "effect": asdict(prove(partial))}
    (partial / "card.json").write_text(json.dumps(card, indent=2) + "\n")
    put_folder(partial, folder)


def write_adapter(folder: Path, adapter: Adapter, model: PreTrainedModel, base: str) -> None:
    """As a PEFT directory; `base` is what the model is called in it."""
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
    _sort_targets(folder / CONFIG)
    _write_pairs(folder / WEIGHTS, adapter.weights)
    if adapter.importance:
        _write_pairs(folder / IMPORTANCE, adapter.importance)


def _write_pairs(path: Path, pairs: Mapping[str, LoraPair]) -> None:
    tensors = {}
    for name, (a, b) in pairs.items():
        tensors[PREFIX + name + A], tensors[PREFIX + name + B] = a.cpu().contiguous(), b.cpu().contiguous()
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
    """The weights in a PEFT or model directory, ours or another's, and what its card says of the update (nothing for
    another's). Raises InputError.
    """
    known = _card(folder)
    if (folder / CONFIG).is_file():
        return read_adapter(folder), known
    if (folder / _FULL).is_file():
        return FullWeights(read_tensors(folder / _FULL)), known
    raise InputError(f"{folder} holds no adapter that can be read: it has no {CONFIG}")


def _card(folder: Path) -> dict[str, Any]:
    path = folder / "card.json"
    if not path.exists():
        return {}
    card = read_json(path)
    if not isinstance(card, dict):
        raise InputError(f"{path} is not the card of an update: it holds no table")
    known = {field.name: card[field.name] for field in fields(Update) if field.name in card}
    try:
        TypeAdapter(Update).validate_json(json.dumps({"id": folder.name, **known}), strict=True)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"{path} is not the card of an update: {(*wrong['loc'], 'id')[0]}: {wrong['msg']:.200}"
        ) from None
    if not re.fullmatch(r"[\w.-]{1,100}", str(known.get("id", "x"))) or known.get("id") in (".", "..", BASE.id):
        raise InputError(f"{path} is not the card of an update: its id is {known['id']!r:.60}")
    return known
