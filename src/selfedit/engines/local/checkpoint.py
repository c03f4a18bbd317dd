"""What a model folder holds: looked at before anything is built of it, and compared with what came of it.

transformers fills what a checkpoint lacks with random numbers and passes over what it does not know. Here both are
refused, as is whatever no causal language model would come of.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from selfedit.engines import gguf
from selfedit.engines.local import gguf_config
from selfedit.engines.local.forward import run, run_and_trace
from selfedit.errors import InputError
from selfedit.files import read_bytes

LARGEST_CONFIG = 4 * 2**20
"""Bytes of a config; the largest real ones have some hundred kilobytes."""

FEW = 1000
"""Layers or experts that any model may have: their empty modules are made in a second."""

WRAPPERS = {"_orig_mod.": "torch.compile", "module.": "DistributedDataParallel", "base_model.model.": "PEFT"}
"""What puts these prefixes before the names of all weights, when a model is saved from inside it."""


# Before anything is built


def read_config(folder: Path) -> dict[str, Any]:
    """The table in a folder's config.json. Raises InputError."""
    path = folder / "config.json"
    try:
        table = json.loads(read_bytes(path, LARGEST_CONFIG))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON that can be read: {error}") from None
    if not isinstance(table, dict):
        raise InputError(f"{path} is not the config of a model: it holds no table of settings")
    return table


def check_folder(folder: Path) -> None:
    """Raises InputError for an adapter, for what is no ordinary file, and for weights that are not whole."""
    if (folder / "adapter_config.json").is_file():
        raise InputError(
            f"{folder} is an adapter, not a model: name {_base_of(folder)} with --model, and the adapter itself as the "
            f"UPDATE of ask and eval (selfedit ask {folder} 'a question') or with --policy in adapt"
        )
    if not (folder / "config.json").is_file():
        raise InputError(f"{folder} is not a model directory: it has no config.json")
    for path in folder.iterdir():
        if path.exists() and not path.is_file() and not path.is_dir():
            raise InputError(f"{path} is no ordinary file; a model folder holds files only")
    check_numbers(read_config(folder), weight_shapes(folder), folder / "config.json")


def check_numbers(settings: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Raises InputError where the settings in `path` ask for more layers or experts than such weights have."""
    largest = max((size for shape in shapes.values() for size in shape), default=0)
    for key, value in _numbers(settings):
        limit = len(shapes) if re.search("layer|block|depth", key) else largest if "expert" in key else value
        if value > max(limit, FEW):
            raise InputError(
                f"{path} has {key:.60} = {value}, but its weights are for at most {limit}; the config is not that of "
                "these weights"
            )


def _base_of(folder: Path) -> str:
    try:
        base = json.loads(read_bytes(folder / "adapter_config.json", LARGEST_CONFIG))["base_model_name_or_path"]
    except (InputError, ValueError, RecursionError, LookupError, TypeError):
        base = None
    return f"its base {base}" if isinstance(base, str) and base else "the model that it was trained on"


def weight_shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor in a GGUF file, or in a folder's safetensors files, from their headers.

    Raises InputError.
    """
    if folder.is_file():
        return gguf.read_header(folder).shapes
    shapes: dict[str, tuple[int, ...]] = {}
    for path in _weight_files(folder):
        try:
            with safe_open(path, "pt") as file:
                shapes |= {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
        except (OSError, SafetensorError) as error:
            raise InputError(f"{path} is damaged or cut short ({error}); fetch it again") from None
    return shapes


def _weight_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.is_file():
        return [single]
    if not index.is_file():
        raise InputError(
            f"{folder} has no safetensors weights; convert them: only safetensors files are loaded, pickles never are"
        )
    try:
        names = set(json.loads(read_bytes(index))["weight_map"].values())
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise InputError(f"{index} is damaged: it names no file for the weights; fetch it again") from None
    for name in sorted(map(str, names)):
        if not re.fullmatch(r"[\w.-]+\.safetensors", name):
            raise InputError(f"{index} names {name[:100]!r}, which is no safetensors file beside it; fetch it again")
        if not (folder / name).is_file():
            raise InputError(f"{folder} lacks {name}, one of the {len(names)} files of its weights; fetch it")
    return [folder / name for name in sorted(names)]


def _numbers(table: Any) -> Iterator[tuple[str, int]]:
    """Every whole number in the config, by its key."""
    for key, value in table.items() if isinstance(table, dict) else ():
        if isinstance(value, int) and key != "max_window_layers":  # Qwen's, which may be above their number
            yield key, value
        yield from _numbers(value)


def check_config(config: PreTrainedConfig, name: str) -> None:
    """Raises InputError for what scores texts, and for half of what reads with an encoder and writes with a decoder."""
    kind, saved = type(config), next(iter(getattr(config, "architectures", None) or []), "")
    if re.search("Classification|QuestionAnswering|MultipleChoice|Reward", str(saved)):
        raise InputError(
            f"{name} is not a causal language model: it is a {saved}, which scores texts and has no output head to "
            "write with; choose the language model that it was made from"
        )
    if config.is_encoder_decoder or kind().is_encoder_decoder or getattr(config, "add_cross_attention", False):
        raise InputError(
            f"{name} is not a causal language model: {config.model_type} writes with a decoder that reads what an "
            "encoder made of a text; choose a model that has only a decoder, such as a Llama or a Qwen"
        )


def check_size(config: PreTrainedConfig, folder: Path, name: str) -> None:
    """Raises InputError where the config asks for far more weights than its files hold: nothing is allocated. `folder`
    may be a GGUF file.

    Packed weights hold up to 16 to a byte; unpacked ones at most one per element, but for tied ones.
    """
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    asked = sum(weight.numel() for weight in model.parameters())
    extra = sum(buffer.numel() for buffer in model.buffers())
    files = sum(path.stat().st_size for path in _weight_files(folder))
    packed = getattr(config, "quantization_config", None) is not None
    held = files * 16 if packed else sum(_product(shape) for shape in weight_shapes(folder).values())
    if asked > 2 * held or extra > max(files, 10**9):
        raise InputError(
            f"{name} is not whole: its config asks for {asked:,} parameters and tables of {extra:,} numbers, and its "
            f"files hold {held:,}; the config is not that of these weights"
        )


def _product(shape: Iterable[int]) -> int:
    product = 1
    for size in shape:
        product *= size
    return product


# What came of it


def check_loaded(model: PreTrainedModel, info: Mapping[str, Any], name: str) -> None:
    """Raises InputError unless every weight of the model came out of its files, and all that they hold went into it.

    `info` is transformers' loading info. Weights that the architecture calls optional are not in it.
    """
    missing, mismatched = sorted(info["missing_keys"]), sorted(info["mismatched_keys"])
    buffers = {key for key, _ in model.named_buffers()}  # older checkpoints hold them too
    unexpected = sorted(set(info["unexpected_keys"]) - buffers)
    head = next((key for key, layer in model.named_modules() if layer is model.get_output_embeddings()), "")
    if prefix := _common_prefix(unexpected, missing):
        wrapper = WRAPPERS.get(prefix)
        raise InputError(
            f"the weights of {name} have names that begin with {prefix!r}"
            + (f": the model was saved from inside {wrapper}" if wrapper else "")
            + f"; save the model itself ({'model.' + prefix if wrapper else 'model.'}save_pretrained), or take the "
            "prefix off the names"
        )
    if empty := [key for key, found, _ in mismatched if 0 in found]:
        raise InputError(
            f"{_some(empty, 'weight')} of {name} {_are(empty)} empty, as DeepSpeed ZeRO-3 leaves them where they are "
            "not gathered; make a whole checkpoint first, with its zero_to_fp32.py"
        )
    if mismatched:
        key, found, wanted = mismatched[0]
        keys = [key for key, _, _ in mismatched]
        raise InputError(
            f"{_some(keys, 'weight')} of {name} {_have(keys)} another shape than its config asks for: {key} is "
            f"{list(found)}, and {list(wanted)} is asked for; the config is not that of these weights"
        )
    if [key.rpartition(".")[0] for key in missing if "." in key] == [head] and head:
        kind = next(iter(getattr(model.config, "architectures", None) or []), "saved without one")
        raise InputError(
            f"{name} has no output head to write with ({missing[0]} is missing; it is {kind}): choose a causal "
            "language model, or save it with its head, from AutoModelForCausalLM"
        )
    if missing:
        raise InputError(
            f"{_some(missing, 'weight')} of {name} {_are(missing)} missing from its files, and would be random "
            "numbers; fetch or save it again"
        )
    if unexpected:
        raise InputError(
            f"{_some(unexpected, 'weight')} in the files of {name} {_have(unexpected)} no place in a "
            f"{type(model).__name__}: it is another kind of model, or has more layers than its config says; save it as "
            "a causal language model"
        )
    if info["error_msgs"]:
        raise InputError(f"{name} cannot be loaded: {info['error_msgs'][0].splitlines()[0]}")


def check_unpacked(model: PreTrainedModel, header: gguf.Header, name: str) -> None:
    """Raises InputError unless the model has as many weights as its GGUF file holds.

    transformers passes over tensors that it has no place for, and does not say so.
    """
    config: Any = model.config.get_text_config()
    kind = str((getattr(config, "rope_parameters", None) or {}).get("rope_type", "default"))
    # some hold a tied head twice
    passed_over = {gguf_config.FACTORS: kind == "llama3", "output.weight": config.tie_word_embeddings}
    weights = {weight.data_ptr(): weight.numel() for weight in model.state_dict().values()}
    held = sum(_product(tensor.shape) for tensor in header.tensors if not passed_over.get(tensor.name))
    if held != sum(weights.values()):
        raise InputError(
            f"{name} holds {held:,} weights, and a {type(model).__name__} has room for {sum(weights.values()):,}: "
            "transformers does not read this file as a whole; take the model's directory of safetensors"
        )


def _common_prefix(unexpected: Collection[str], missing: Collection[str]) -> str:
    """What stands before the names of most missing weights in the files; empty if nothing does."""
    wanted, found = set(missing), Counter[str]()
    for key in unexpected:
        parts = key.split(".")
        found.update(
            ".".join(parts[:place]) + "." for place in range(1, len(parts)) if ".".join(parts[place:]) in wanted
        )
    prefix, count = found.most_common(1)[0] if found else ("", 0)
    return prefix if 2 * count > len(wanted) else ""


def _some(keys: Collection[str], noun: str) -> str:
    """How many, and the first few by name."""
    first, count = [key[:100] for key in keys][:3], len(keys)
    return f"{count} {noun}{'s' * (count > 1)} ({', '.join(first)}{', …' * (count > len(first))})"


def _are(keys: Collection[str]) -> str:
    return "are" if len(keys) > 1 else "is"


def _have(keys: Collection[str]) -> str:
    return "have" if len(keys) > 1 else "has"


def check_causal(model: PreTrainedModel, name: str) -> None:
    """Raises InputError where an earlier logit depends on a later token, as in BERT, or the model cannot be run at all.

    Exact in any type, whatever the weights: what attention masks out has a gradient of zero.
    """
    half = 4
    if any(re.search("encoder_attn|crossattention", key) for key, _ in model.named_modules()):
        raise InputError(
            f"{name} is not a causal language model: a {type(model).__name__} is a decoder that reads what an encoder "
            "made of something else; choose a model that has only a decoder, such as a Llama or a Qwen"
        )

    try:
        embeddings: Any = model.get_input_embeddings()
        ids = torch.arange(2 * half, device=model.device)[None] % len(embeddings.weight)
        _, seen = run_and_trace(model, slice(half), input_ids=ids)
    except Exception as error:
        raise InputError(
            f"{name} cannot be run or trained on texts alone: {str(error).strip().split(chr(10))[0]}"
        ) from error
    if bool(seen[half:].any()):
        raise InputError(
            f"{name} is not a causal language model: what a {type(model).__name__} says of a token depends on the "
            "tokens after it, so it cannot write; choose a model that has only a decoder, such as a Llama or a Qwen"
        )


def check_finite(model: PreTrainedModel, name: str) -> None:
    """Raises InputError where a weight, a scale of packed ones, or what the model makes of a text is not finite."""
    bad = [key for key, weight in model.state_dict().items() if isinstance(weight, Tensor) and not _is_finite(weight)]
    advice = (
        "" if model.dtype == torch.float32 else ", or if they are finite in a wider type set model.dtype to float32"
    )
    if bad:
        raise InputError(
            f"{_some(bad, 'weight')} of {name} {_have(bad)} values that are infinite or not numbers in "
            f"{_type_of(model)}; fetch or merge it again{advice}"
        )
    ids = torch.zeros(1, 8, dtype=torch.long, device=model.device)
    if not bool(run(model, input_ids=ids, use_cache=False).isfinite().all()):
        raise InputError(
            f"{name} computes values that are infinite or not numbers in {_type_of(model)}; set model.dtype to float32"
        )


def _is_finite(weight: Tensor) -> bool:
    if not weight.is_floating_point() or not weight.numel():
        return True
    if weight.element_size() > 1:
        return bool(torch.stack(weight.detach().aminmax()).isfinite().all())
    return all(bool(part.float().isfinite().all()) for part in weight.flatten().split(2**22))  # 8 bits have no aminmax


def _type_of(model: PreTrainedModel) -> str:
    return str(model.dtype).removeprefix("torch.")


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raises InputError where the tokenizer makes tokens of texts or prompts that the model has no embedding for.

    Others may have been added without one: padding, which no text holds.
    """
    embeddings: Any = model.get_input_embeddings()
    size, added = len(embeddings.weight), tokenizer.get_added_vocab()
    used = (tokenizer.bos_token, tokenizer.eos_token, str(tokenizer.chat_template or ""))
    for token, number in sorted(tokenizer.get_vocab().items(), key=lambda item: -item[1]):
        if number < size:
            return
        if token not in added or any(token in text for text in used if text):
            raise InputError(
                f"the tokenizer of {name} is not that of the model: its token {token!r} has the number {number}, "
                f"and the model knows {size} tokens"
            )


def check_limits(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Raises InputError where the tokens that end a text, or the most that the model reads, are not said in numbers."""
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of {name} has no end-of-text token: set eos_token in its tokenizer_config.json"
        )
    ends: Any = model.generation_config.eos_token_id if model.generation_config else None
    if any(not isinstance(end, int) for end in (ends if isinstance(ends, list) else [ends]) if end is not None):
        raise InputError(f"the generation_config.json of {name} has eos_token_id = {ends!r:.60}, which is no number")
    text = model.config.get_text_config()
    for key, value in (
        ("model_max_length", tokenizer.model_max_length),
        ("max_position_embeddings", getattr(text, "max_position_embeddings", None)),
        ("n_positions", getattr(text, "n_positions", None)),
    ):
        if value is not None and not (isinstance(value, int | float) and value >= 2):
            raise InputError(f"{name} has {key} = {value!r:.60}, and it must be a number of tokens that leaves room")
