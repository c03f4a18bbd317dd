"""The forms that an update is exported in: how each is written, and how other programs load it again."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from huggingface_hub import try_to_load_from_cache
from transformers import PreTrainedTokenizerBase

from selfedit.config import ModelConfig
from selfedit.engines.local.engine import LocalEngine
from selfedit.engines.local.export.modelfile import modelfile
from selfedit.engines.local.files import write_adapter
from selfedit.engines.local.lora import Adapter, FullWeights
from selfedit.engines.local.model import load_model
from selfedit.engines.local.text import Text
from selfedit.errors import InputError
from selfedit.files import put_folder
from selfedit.types import Update

TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "tokenizer.model"),
    *("vocab.json", "merges.txt", "vocab.txt", "chat_template.jinja", "chat_template.json"),
)

CONVERTER = "convert_hf_to_gguf.py"
"""llama.cpp's own, in the root of its source."""

CONVERTER_SECONDS = 3600


class Form(Protocol):
    """`write` fills an empty folder; `load` reads that back as others would, with the text of its own tokenizer if it
    has one; `put` brings it to its `path`.
    """

    @property
    def path(self) -> Path: ...

    @property
    def dtype(self) -> torch.dtype: ...

    def size(self, engine: LocalEngine, weights: Adapter | FullWeights) -> int:
        """Bytes that it takes, with what is only needed while it is written. Raises InputError for an update that
        cannot be exported in this form.
        """
        ...

    def write(self, engine: LocalEngine, update: Update, folder: Path) -> None: ...

    def load(self, folder: Path, config: ModelConfig) -> tuple[Any, Text | None]: ...

    def put(self, folder: Path) -> None: ...


@dataclass(frozen=True)
class Merged:
    """A model directory: the base with the update in its weights, in this type."""

    path: Path
    dtype: torch.dtype

    def size(self, engine: LocalEngine, weights: Adapter | FullWeights) -> int:
        parameters = list(engine.model.parameters())
        if any(not weight.is_floating_point() for weight in parameters):
            raise InputError(
                f"the weights of {engine.name} are packed in few bits, and an update merged into them would be rounded "
                "to another one: export it with --peft, or name the unpacked model with --model"
            )
        return self.dtype.itemsize * sum(weight.numel() for weight in parameters)

    def write(self, engine: LocalEngine, update: Update, folder: Path) -> None:
        engine.adapters.merge(update.id)
        model: Any = engine.model.to(self.dtype)  # type: ignore[arg-type]  # see load_model
        try:
            model.save_pretrained(folder)
        except ValueError as error:  # a generation_config that contradicts itself
            raise InputError(f"{engine.name} cannot be saved: {str(error).splitlines()[0]}") from None
        write_tokenizer(engine.text.tokenizer, folder)

    def load(self, folder: Path, config: ModelConfig) -> tuple[Any, Text | None]:
        model, tokenizer = load_model(config.model_copy(update={"name": str(folder), "quantize": ""}))
        return model, Text(model, tokenizer, config.template, config.thinking)

    def put(self, folder: Path) -> None:
        put_folder(folder, self.path)


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """The files that it came from, which older programs read too; or what transformers makes of it."""
    source = str(tokenizer.name_or_path)
    found = {name: _source_file(source, name) for name in TOKENIZER_FILES}
    if not (found["tokenizer.json"] and found["tokenizer_config.json"]):
        tokenizer.save_pretrained(str(folder))
        return
    for name, path in found.items():
        if path:
            shutil.copyfile(path, folder / name)


def _source_file(source: str, name: str) -> Path | None:
    if (folder := Path(source)).is_dir():
        return folder / name if (folder / name).is_file() else None
    cached = try_to_load_from_cache(source, name) if source.count("/") == 1 else None
    return Path(cached) if isinstance(cached, str) else None


@dataclass(frozen=True)
class Ollama(Merged):
    """A merged model with a Modelfile beside it."""

    def write(self, engine: LocalEngine, update: Update, folder: Path) -> None:
        super().write(engine, update, folder)
        text = modelfile(engine.text, engine.model.generation_config)
        (folder / "Modelfile").write_text(text, encoding="utf-8", newline="")


@dataclass(frozen=True)
class Peft:
    """One adapter of the base, whatever chain the update was; `base` is what the base is called where it is used."""

    path: Path
    base: str
    dtype: torch.dtype = torch.float32

    def size(self, engine: LocalEngine, weights: Adapter | FullWeights) -> int:
        if isinstance(weights, FullWeights):
            raise InputError("this update is of all weights (method full), which no adapter holds: use --merged")
        return self.dtype.itemsize * weights.num_parameters

    def write(self, engine: LocalEngine, update: Update, folder: Path) -> None:
        weights = engine.adapters.whole(update)
        assert isinstance(weights, Adapter)
        write_adapter(folder, replace(weights, importance=None), engine.model, self.base)

    def load(self, folder: Path, config: ModelConfig) -> tuple[Any, Text | None]:
        from peft import PeftModel  # slow to import, and only needed here

        model, _ = load_model(config)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what matters of them is seen in the answers
            return PeftModel.from_pretrained(model, str(folder)).eval(), None

    def put(self, folder: Path) -> None:
        put_folder(folder, self.path)


@dataclass(frozen=True)
class Gguf:
    """One file for llama.cpp, written by its own `converter` from a merged model."""

    path: Path
    dtype: torch.dtype
    converter: Path

    def size(self, engine: LocalEngine, weights: Adapter | FullWeights) -> int:
        return 2 * Merged(self.path, self.dtype).size(engine, weights)

    def write(self, engine: LocalEngine, update: Update, folder: Path) -> None:
        merged = folder / self.path.stem  # its name becomes that of the model
        merged.mkdir()
        Merged(merged, self.dtype).write(engine, update, merged)
        convert(self.converter, merged, folder / self.path.name, self.dtype)
        shutil.rmtree(merged)

    def load(self, folder: Path, config: ModelConfig) -> tuple[Any, Text | None]:
        file = str(folder / self.path.name)
        try:
            model, _ = load_model(config.model_copy(update={"name": file, "quantize": ""}))
        except InputError as error:
            raise InputError(f"the GGUF cannot be checked, and nothing of it was kept: {error}") from error
        return model, None

    def put(self, folder: Path) -> None:
        os.replace(folder / self.path.name, self.path)
        shutil.rmtree(folder)


OUTTYPES = {torch.float32: "f32", torch.float16: "f16", torch.bfloat16: "bf16"}


def convert(converter: Path, model: Path, file: Path, dtype: torch.dtype) -> None:
    """Make a GGUF of a model directory with llama.cpp's script. Raises InputError with its last words."""
    command = [sys.executable, str(converter), str(model), "--outfile", str(file), "--outtype", OUTTYPES[dtype]]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=CONVERTER_SECONDS, env=environment)
    except subprocess.TimeoutExpired:
        raise InputError(f"{converter} took longer than an hour and was stopped") from None
    if done.returncode or not file.is_file():
        last = (done.stderr.strip() or done.stdout.strip() or "it says nothing").splitlines()[-1]
        raise InputError(
            f"{converter} made no GGUF of this model: {last[:300]} (what it needs: pip install 'selfedit[gguf]')"
            if "ModuleNotFoundError" in last
            else f"{converter} made no GGUF of this model: {last[:300]}"
        )
