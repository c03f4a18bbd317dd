"""Loading a causal language model: a directory or hub id with safetensors, a GGUF file, or one of ours by its name.

Pickles are not read, and code from a model is not run.
"""

from __future__ import annotations

import re
from contextlib import nullcontext, redirect_stderr
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from io import StringIO
from logging import getLogger
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers
from huggingface_hub import constants
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from selfedit.config import ModelConfig
from selfedit.engines import embedded, fetched, gguf
from selfedit.engines.background import in_background, reason_of
from selfedit.engines.local import checkpoint, gguf_config
from selfedit.errors import InputError, ModelAbsent

HUB_SECONDS = 5
"""To the hub's first word, whatever is between it and us."""

GPT_2_WORDS = ("gpt-2", "jais", "mpt", "olmo", "phi-2", "smollm")
"""Names that llama.cpp has for cutting texts as GPT-2 does. SmolLM cuts digits apart too, and its merges join none."""

log = getLogger(__name__)

UNPACKED = ("fp8", "mxfp4")
"""Packings that transformers undoes while it loads: the model then takes the memory of its unpacked weights."""


@dataclass(frozen=True, slots=True)
class _Source:
    """What transformers is told: a directory or a hub id, and which GGUF file there, if any. `name` is the user's.

    `header` is a GGUF file's, and `factors` are what it scales positions by.
    """

    name: str
    place: str
    gguf_file: str = ""
    header: gguf.Header | None = None
    factors: tuple[float, ...] = ()

    @property
    def options(self) -> dict[str, Any]:
        which = {"gguf_file": self.gguf_file} if self.gguf_file else {}
        return {"trust_remote_code": False, "local_files_only": self.is_offline, **which}

    @property
    def is_offline(self) -> bool:
        """Whether the hub is not to be asked: of a folder, or where it does not answer."""
        return Path(self.place).is_dir() or bool(_hub_trouble())

    @property
    def files(self) -> Path | None:
        """The folder or the file that holds the weights; None of a hub id."""
        return Path(self.place, self.gguf_file) if Path(self.place).is_dir() else None


def load_model(config: ModelConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, frozen and in evaluation mode on its device, and its tokenizer. Raises InputError with what to do.

    Everything that the files hold was loaded, nothing else is in the model, and it is a causal language model.
    """
    path = None if _folder_of_ours(config.name) else gguf.file_of(config.name)
    if not path:
        return _load(config, _Source(config.name, _place(config.name)))
    header = gguf.checked_header(path)
    checkpoint.check_numbers(header.settings, header.shapes, path)
    _check_room(config, header)
    factors = gguf.read_tensor(path, header, gguf_config.FACTORS)
    with gguf.alone(path) as folder:
        model, tokenizer = _load(config, _Source(config.name, folder, gguf.NAME, header, factors))
    checkpoint.check_unpacked(model, header, config.name)
    _remark_on_words(header, config.name)
    return model, tokenizer


def _load(config: ModelConfig, source: _Source) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    name, device = source.name, pick_device(config.device)
    architecture, dtype = _architecture(source), _dtype(config.dtype, device)
    tokenizer, packed = _tokenizer(source), _packed(config, architecture, dtype)
    how = _unpacking(config) if source.gguf_file else packed and {**packed, "device_map": {"": device}}
    try:
        with redirect_stderr(StringIO()) if source.gguf_file else nullcontext():  # where unpacking draws a bar
            loaded: Any = AutoModelForCausalLM.from_pretrained(
                source.place,
                config=architecture,
                dtype=dtype,
                attn_implementation=attention(dtype, device),
                experts_implementation="eager" if dtype == torch.float64 else None,  # grouped products know no float64
                use_safetensors=True,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # refused below, by name
                **source.options,
                **how,
            )
    except Exception as error:  # transformers raises OSError, ValueError and the hub's own errors alike
        raise _why_not(source, error) from error
    model: PreTrainedModel = loaded[0]
    model.requires_grad_(False).eval()
    for layer in model.modules():
        if hasattr(layer, "support_avx512bf16_for_cpu"):
            # bitsandbytes would repack the weights once sampled from, and nothing can be trained over those.
            setattr(layer, "support_avx512bf16_for_cpu", False)  # noqa: B010
    if not packed:
        model.to(device)  # type: ignore[arg-type]  # its annotation is for a method of nn.Module without self
    with torch.no_grad():
        checkpoint.check_causal(model, name)
        checkpoint.check_loaded(model, loaded[1], name)
        checkpoint.check_finite(model, name)
    checkpoint.check_vocabulary(model, tokenizer, name)
    checkpoint.check_limits(model, tokenizer, name)
    return model, tokenizer


def _architecture(source: _Source) -> PreTrainedConfig:
    """The config of a model that could be one, and is as large as its weights. Raises InputError."""
    try:
        found: PreTrainedConfig = AutoConfig.from_pretrained(source.place, **source.options)
        checkpoint.check_config(found, source.name)
        if source.header:
            gguf_config.complete(found, source.header, source.factors, source.name)
        if source.files:
            checkpoint.check_size(found, source.files, source.name)
    except Exception as error:
        raise _why_not(source, error) from error
    return found


def _packed(config: ModelConfig, architecture: PreTrainedConfig, dtype: torch.dtype) -> dict[str, Any]:
    """What transformers must be told of weights that are packed in 4 or 8 bits, or are to be; nothing of others.

    Raises InputError for a packing that nothing can be trained over.
    """
    own: Any = getattr(architecture, "quantization_config", None) or {}
    if not isinstance(own, dict):
        raise InputError(f"{config.name} cannot be loaded: the quantization_config in its config.json is no table")
    method = str(own.get("quant_method") or "bitsandbytes") if own else "bitsandbytes" if config.quantize else ""
    if own and config.quantize:
        raise InputError(f"{config.name} is packed already, by {method}; leave model.quantize out")
    if method in UNPACKED:
        own["dequantize"] = True
        return {}
    if method not in ("", "bitsandbytes"):
        raise InputError(
            f"{config.name} is packed by {method}, which cannot be trained over here; choose its unpacked weights "
            "(model.quantize = 4bit packs them), or some that are packed by bitsandbytes"
        )
    if method and not find_spec("bitsandbytes"):
        raise InputError(
            f"{'model.quantize is 4bit' if config.quantize else f'{config.name} is packed by bitsandbytes'}, which "
            "needs the package bitsandbytes: pip install 'selfedit[quantized]'"
        )
    if own or not method:
        return {"quantization_config": None} if own else {}
    how = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)
    return {"quantization_config": how}


def _unpacking(config: ModelConfig) -> dict[str, Any]:
    """Weights of a GGUF file are unpacked: nothing can be trained over its blocks, and what computes with them as they
    are is code from the hub. Older versions of transformers know nothing else.
    """
    if config.quantize:
        raise InputError(f"{config.name} is packed already, as GGUF; leave model.quantize out")
    kind: Any = getattr(transformers, "GgufConfig", None)
    return {"quantization_config": kind(dequantize=True)} if kind else {}


def _check_room(config: ModelConfig, header: gguf.Header) -> None:
    """Raises InputError where the unpacked weights of a GGUF file take more memory than is free."""
    dtype, free = _dtype(config.dtype, pick_device(config.device)), psutil.virtual_memory().available
    if (needed := header.numbers * dtype.itemsize) > free:
        raise InputError(
            f"{config.name} takes {needed / 1e9:,.1f} GB when it is unpacked to {str(dtype).removeprefix('torch.')}, "
            f"and {free / 1e9:,.1f} GB are free; choose a smaller model, or set model.dtype to bfloat16"
        )


def _tokenizer(source: _Source) -> PreTrainedTokenizerBase:
    folder = Path(source.place)
    files = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt")
    if folder.is_dir() and not source.gguf_file and not any((folder / file).exists() for file in files):
        raise InputError(f"{source.name} has no tokenizer: put its tokenizer.json beside config.json")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source.place, **source.options)
    except Exception as error:
        raise _why_not(source, error) from error
    return tokenizer


def _remark_on_words(header: gguf.Header, name: str) -> None:
    """Says so where transformers does not know how the file's vocabulary wants texts cut into words: then it cuts them
    as GPT-2 does.
    """
    try:
        from transformers.integrations.gguf.gguf_tokenizer_mapping import GGUF_PRE_TOKENIZER_SPLITS as KNOWN
    except ImportError:  # another version of transformers
        return
    rule = header.text("tokenizer.ggml.pre")
    if header.text("tokenizer.ggml.model") == "gpt2" and rule not in (*KNOWN, *GPT_2_WORDS):
        log.warning(
            "%s cuts texts by the rule %r, which transformers does not know: they are cut as GPT-2 does, which may "
            "cost quality; the model's directory of safetensors has its own tokenizer",
            name,
            rule,
        )


def _folder_of_ours(name: str) -> Path | None:
    """The folder of an embedded model or a fetched one; None for any other. Raises ModelAbsent."""
    return embedded.weights(name) or fetched.weights(name)


def _place(name: str) -> str:
    if ours := _folder_of_ours(name):
        return str(ours)
    looks_like_a_path = name.startswith((".", "/", "~")) or name.count("/") > 1
    folder = Path(name).expanduser()
    if folder.is_dir():
        checkpoint.check_folder(folder)
    if looks_like_a_path and not (folder / "config.json").is_file():
        raise InputError(f"{name} is not a model directory: it has no config.json")
    return str(folder) if folder.is_dir() else name


@cache
def _hub_trouble() -> str:
    """Why the model hub cannot be asked, empty where it can: asking in vain would wait through its many retries.

    Through the proxies of the environment, as the hub's own client does it. Looking up a name cannot be stopped, so all
    of this is only waited for.
    """
    import httpx2

    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    asking = in_background(lambda: httpx2.head(constants.ENDPOINT, timeout=HUB_SECONDS))
    try:
        status = asking.result(HUB_SECONDS).status_code
    except TimeoutError:
        return f"no answer within {HUB_SECONDS} s"
    except httpx2.InvalidURL:  # whose own words may hold a proxy's password
        return "HTTPS_PROXY, ALL_PROXY or HF_ENDPOINT is no address"
    except Exception as error:  # of the network, and for a proxy or certificates that there cannot be
        return reason_of(error)
    return f"it answers {status}" if status >= 500 else ""


def _why_not(source: _Source, error: Exception) -> InputError:
    if isinstance(error, InputError):
        return error
    name = source.name
    text = (str(error).strip() or type(error).__name__).replace(str(source.files), name)[:1000]
    if "safetensors" in text and Path(name).exists():
        return InputError(
            f"{name} has no safetensors weights; convert them: only safetensors files are loaded, pickles never are"
        )
    if "trust_remote_code" in text or "custom code" in text:
        return InputError(
            f"{name} needs code of its own to run, and code from a model is never run here; choose another model"
        )
    if found := re.search(r"GGUF model with architecture (\S+) is not supported", text):
        return InputError(
            f"{name} is a GGUF file of the architecture {found[1]}, which transformers {transformers.__version__} does "
            "not read; take the model's directory of safetensors"
        )
    if found := re.search(r"Unrecognized configuration class <class '[\w.]*?(\w+)'>", text):
        return InputError(
            f"{name} is not a causal language model that transformers knows: its config is a {found[1]}; choose one "
            "that reads and writes texts only, such as a Llama or a Qwen"
        )
    if Path(name).exists():
        return InputError(f"{name} cannot be loaded: {text.splitlines()[0]}")
    why = _hub_trouble() or text.splitlines()[0]
    return ModelAbsent(
        f"{name} could not be fetched from the model hub: {why}; download it where there is a "
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


def attention(dtype: torch.dtype, device: torch.device) -> str | None:
    """None, which is PyTorch's fused attention for models that can use it and eager attention for others; eager where
    the gradients of the fused one are wrong: in float16 on some processors (LOG.md).
    """
    return "eager" if dtype == torch.float16 and device.type == "cpu" else None


def _dtype(name: str, device: torch.device) -> torch.dtype:
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    dtype: Any = getattr(torch, name)
    assert isinstance(dtype, torch.dtype)
    return dtype
