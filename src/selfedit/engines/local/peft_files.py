"""Reading adapters as PEFT writes them: every tensor of a file is used as PEFT would, or the file is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite, sqrt
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import pad

from selfedit.engines.local.lora import Adapter, LoraPair
from selfedit.errors import InputError
from selfedit.files import read_json

CONFIG, WEIGHTS, IMPORTANCE = "adapter_config.json", "adapter_model.safetensors", "importance.safetensors"
"""The last is ours, beside an adapter that carries it; no other tool reads it."""

PREFIX, A, B = "base_model.model.", ".lora_A.weight", ".lora_B.weight"

READ = {
    *("r", "lora_alpha", "rank_pattern", "alpha_pattern", "use_rslora", "init_lora_weights", "peft_type"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "fan_in_fan_out", "lora_dropout"),
    *("task_type", "auto_mapping", "base_model_name_or_path", "revision", "inference_mode", "peft_version"),
    *("runtime_config", "megatron_core", "qalora_group_size", "eva_config", "ensure_weight_tying"),
}
"""Settings of a LoraConfig that are read here, that say which layers have tensors, or that matter in training only."""

PLAIN_STARTS = (True, False, None, "gaussian", "eva", "orthogonal")
"""Values of init_lora_weights that leave the base's own weights as they are."""

MERGE = "merge it into its base with PEFT (merge_and_unload, then save_pretrained) and pass the result with --model"


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a PEFT directory, ours or another's, in float32 or finer. Scales of single layers go into B.

    Raises InputError for anything but pairs of finite matrices, and for settings that these cannot express.
    """
    config = _plain_config(folder / CONFIG)
    if not (folder / WEIGHTS).is_file():
        pickled = (
            " but adapter_model.bin, a pickle, which is never opened" if (folder / "adapter_model.bin").exists() else ""
        )
        raise InputError(f"{folder} holds no adapter that can be read: it has no {WEIGHTS}{pickled}")
    pairs = read_pairs(folder / WEIGHTS)
    rank, alpha = config["r"], config["lora_alpha"]
    ranks = {name: _of_layer(config, "rank_pattern", rank, name) for name in pairs}
    alphas = {name: _of_layer(config, "alpha_pattern", alpha, name) for name in pairs}
    for name, (a, _) in pairs.items():
        if len(a) != ranks[name]:
            raise InputError(f"{folder / WEIGHTS} has rank {len(a)} at {name:.200}, and {CONFIG} says {ranks[name]}")
    scales = {name: alphas[name] / (sqrt(r) if config.get("use_rslora") else r) for name, r in ranks.items()}
    if set(ranks.values()) | {rank} == {rank} and set(scales.values()) == {alpha / rank}:
        return Adapter(pairs, rank, alpha, _importance(folder, pairs))
    highest = max(ranks.values())
    folded = {name: _padded(a, b * scales[name], highest) for name, (a, b) in pairs.items()}
    return Adapter(folded, highest, float(highest))


def _plain_config(path: Path) -> dict[str, Any]:
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{path} is not the config of an adapter: it holds no table of settings")
    if (kind := config.get("peft_type", "LORA")) != "LORA":
        how = (
            "" if re.search("PROMPT|PREFIX|P_TUNING|LM", str(kind)) else f"; {MERGE}"
        )  # those have no weights to merge
        raise InputError(f"{path} is of an adapter of the type {kind!s:.40}, and only LoRA is loaded here{how}")
    more = [key for key, value in config.items() if key not in READ and value and value != "none"]
    if config.get("init_lora_weights", True) not in PLAIN_STARTS:
        more.append("init_lora_weights")
    if more:
        said = ", ".join(f"{key:.60} = {config[key]!r:.60}" for key in more[:3])
        raise InputError(
            f"{path} is not of a plain LoRA adapter ({said}), and only its matrices would be loaded; {MERGE}"
        )
    _check_number(path, "r", config.get("r"), int)
    _check_number(path, "lora_alpha", config.get("lora_alpha"), int | float)
    for key, kind in (("rank_pattern", int), ("alpha_pattern", int | float)):
        table = config.get(key) or {}
        if not isinstance(table, dict):
            raise InputError(f"{path} has a {key} that is no table of numbers")
        for pattern, value in table.items():
            _check_pattern(path, key, pattern)
            _check_number(path, f"{key} {pattern!r:.60}", value, kind)
    return config


def _check_number(path: Path, key: str, value: Any, kind: Any) -> None:
    if not isinstance(value, kind) or isinstance(value, bool) or not isfinite(value) or not 0 < value < 1e6:
        what = "a whole number" if kind is int else "a number"
        raise InputError(f"{path} has {key} = {value!r:.60}; it must be {what} above 0, and below a million")


def _check_pattern(path: Path, key: str, pattern: str) -> None:
    """Raises InputError for a pattern that is none, or that could take for ever: one that repeats what repeats."""
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError):
        raise InputError(f"{path} has a {key} with {pattern!r:.60}, which is no regular expression") from None
    if len(pattern) > 300 or re.search(r"\)[*+?{]", pattern) or len(re.findall(r"[*+{]", pattern)) > 3:
        raise InputError(f"{path} has a {key} with {pattern!r:.60}, which is not the name of a layer; {MERGE}")


def _of_layer(config: Mapping[str, Any], key: str, usual: Any, name: str) -> Any:
    """What a pattern says of a layer, by PEFT's own rule (get_pattern_key): the first that matches its end."""
    found = (value for pattern, value in (config.get(key) or {}).items() if re.match(rf"(.*\.)?({pattern})$", name))
    return next(found, usual)


def _padded(a: Tensor, b: Tensor, rank: int) -> LoraPair:
    more = rank - len(a)
    return pad(a, (0, 0, 0, more)), pad(b, (0, more))


def read_pairs(path: Path) -> dict[str, LoraPair]:
    """A and B of every layer in the file. Raises InputError for anything else in it."""
    tensors = read_tensors(path)
    names = dict.fromkeys(key.removeprefix(PREFIX).removesuffix(A).removesuffix(B) for key in tensors)
    pairs = {PREFIX + name + part for name in names for part in (A, B)}
    if unread := sorted(tensors.keys() - pairs):
        raise InputError(
            f"{path} holds {len(unread)} tensors that are no LoRA pairs, such as {unread[0]:.200}; {MERGE}"
        )
    if missing := sorted(pairs - tensors.keys()):
        raise InputError(f"{path} is not whole: it lacks {missing[0]:.200}")
    if not names:
        raise InputError(f"{path} is empty: it holds no adapter")
    found = {name: (tensors[PREFIX + name + A], tensors[PREFIX + name + B]) for name in names}
    for name, (a, b) in found.items():
        if a.ndim != 2 or b.ndim != 2 or a.shape[0] != b.shape[1] or not len(a):
            raise InputError(
                f"{path} is damaged: A and B of {name:.200} are of shapes {list(a.shape)} and {list(b.shape)}, which "
                "have no rank in common"
            )
    return found


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, finite. Raises InputError."""
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError, ValueError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); fetch or make it again") from None
    bad = [
        key for key, tensor in tensors.items() if not tensor.is_floating_point() or not bool(tensor.isfinite().all())
    ]
    if bad:
        raise InputError(f"{path} holds values that are infinite or not numbers, in {bad[0]:.200}; fetch it again")
    return tensors


def _importance(folder: Path, pairs: Mapping[str, LoraPair]) -> dict[str, LoraPair] | None:
    path = folder / IMPORTANCE
    if not path.exists():
        return None
    found = read_pairs(path)
    if {name: (a.shape, b.shape) for name, (a, b) in found.items()} != {
        name: (a.shape, b.shape) for name, (a, b) in pairs.items()
    }:
        raise InputError(f"{path} is not of the adapter beside it: its shapes are others")
    return found
