"""Loading a Hugging Face causal LM: a directory, a hub id, or the embedded one. Safetensors only, no remote code."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from huggingface_hub import constants
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from selfedit.config import ModelConfig
from selfedit.engines import embedded
from selfedit.errors import InputError, ModelAbsent


def load_model(config: ModelConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, frozen and in evaluation mode on its device, and its tokenizer. Raises InputError with what to do."""
    source, device = _source(config.name), pick_device(config.device)
    tokenizer = _tokenizer(source, config.name)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            source,
            dtype=_dtype(config.dtype, device),
            attn_implementation=attention(_dtype(config.dtype, device), device),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=not _hub_answers(),
            **_quantized(config, device),
        )
    except Exception as error:  # transformers raises OSError, ValueError and the hub's own errors alike
        raise _why_not(config.name, error) from error
    model.requires_grad_(False).eval()
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            # bitsandbytes would repack the weights once sampled from, and nothing can be trained over those.
            setattr(layer, "support_avx512bf16_for_cpu", False)  # noqa: B010
    return model if config.quantize else model.to(device), tokenizer  # type: ignore[arg-type]  # `to` loses the type


def _quantized(config: ModelConfig, device: torch.device) -> dict[str, Any]:
    """What transformers must be told to load the weights in 4 bits; nothing for a model that is not quantized."""
    if not config.quantize:
        return {}
    try:
        import bitsandbytes  # type: ignore[import-not-found, import-untyped, unused-ignore]  # noqa: F401
    except ImportError:
        raise InputError(
            "model.quantize is 4bit, which needs the package bitsandbytes: pip install 'selfedit[quantized]'"
        ) from None
    how = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=_dtype(config.dtype, device)
    )
    return {"quantization_config": how, "device_map": {"": device}}


def _tokenizer(source: str, name: str) -> PreTrainedTokenizerBase:
    folder = Path(source)
    files = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")
    if folder.is_dir() and not any((folder / file).exists() for file in files):
        raise InputError(f"{name} has no tokenizer: put its tokenizer.json beside config.json")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            source, trust_remote_code=False, local_files_only=not _hub_answers()
        )
    except Exception as error:
        raise _why_not(name, error) from error
    if tokenizer.eos_token_id is None:
        raise InputError(
            f"the tokenizer of {name} has no end-of-text token: set eos_token in its tokenizer_config.json"
        )
    return tokenizer


def _source(name: str) -> str:
    if shipped := embedded.weights(name):
        return str(shipped)
    looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    folder = Path(name).expanduser()
    if looks_like_a_path and not (folder / "config.json").is_file():
        raise InputError(f"{name} is not a model directory: it has no config.json")
    return str(folder) if folder.is_dir() else name


@cache
def _hub_answers() -> bool:
    """Whether the model hub can be reached; where not, asking it would only wait through its many retries."""
    if constants.HF_HUB_OFFLINE:
        return False
    if any(name.lower() == "https_proxy" for name in os.environ):
        return True
    host = urlparse(constants.ENDPOINT)
    try:
        socket.create_connection((host.hostname, host.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


def _why_not(name: str, error: Exception) -> InputError:
    text = str(error)
    if "safetensors" in text and Path(name).exists():
        return InputError(
            f"{name} has no safetensors weights; convert them: only safetensors files are loaded, pickles never are"
        )
    if "trust_remote_code" in text or "custom code" in text:
        return InputError(
            f"{name} needs code of its own to run, and code from a model is never run here; choose another model"
        )
    if Path(name).exists():
        return InputError(f"{name} cannot be loaded: {text.splitlines()[0]}")
    return ModelAbsent(
        f"{name} could not be fetched from the model hub: {text.splitlines()[0]}; download it where there is a "
        "network and pass its directory, --model path/to/directory, or use --model almanac"
    )


def pick_device(name: str, key: str = "model.device") -> torch.device:
    """The device of this name. `key` is what the user set it with, for the sentence where it is not there."""
    if name != "auto":
        if name.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(f"{key} is {name}, but this PyTorch sees no CUDA device; use cpu or auto")
        try:
            return torch.device(name)
        except RuntimeError:
            raise InputError(f"{key} is {name!r}; it can be auto, cpu, cuda, cuda:1 or mps") from None
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def attention(dtype: torch.dtype, device: torch.device) -> str:
    """PyTorch's fused attention, but where its gradients are wrong: in float16 on some processors (LOG.md)."""
    return "eager" if dtype == torch.float16 and device.type == "cpu" else "sdpa"


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: Any = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype
