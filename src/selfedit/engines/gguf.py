"""GGUF files, in which llama.cpp keeps a model: their headers, read within bounds before any library reads the file.

A header that lies about lengths keeps the libraries' readers busy for ever, or takes all memory.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

from selfedit.errors import InputError

LARGEST_HEADER = 64 * 2**20
"""Bytes. The largest vocabularies, with their merges and a chat template, take about ten million."""

MOST_ITEMS = 2**21
"""Of all lists in a header together. The gguf package makes an object of each; 262,144 tokens have 0.8 million."""

MOST_TENSORS, MOST_SETTINGS, MOST_AXES = 2**16, 2**12, 4

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
"""How values are marked in the file (ggml-org/ggml, docs/gguf.md)."""

NAME = "model.gguf"
"""Of the file in the folder that `alone` gives."""


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor of the file: its shape in PyTorch's order, GGML's number of its type, and its bytes after `data`."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the weights. For a list in `settings` stands the range of its length.

    `data` is where the tensors begin, in bytes.
    """

    settings: dict[str, Any]
    tensors: tuple[StoredTensor, ...]
    data: int

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {tensor.name: tensor.shape for tensor in self.tensors}

    @property
    def numbers(self) -> int:
        """How many weights the file holds."""
        return sum(prod(tensor.shape) for tensor in self.tensors)

    def text(self, key: str) -> str:
        """A setting that should be text; empty where it is not there."""
        return str(self.settings.get(key, ""))


def file_of(name: str) -> Path | None:
    """The file that a model's name means, if it means one: a folder and a hub id are none."""
    path = Path(name).expanduser()
    return path if path.is_file() or (path.suffix.lower() == ".gguf" and not path.is_dir()) else None


@contextmanager
def alone(path: Path) -> Iterator[str]:
    """A folder that holds nothing but this file, as NAME: transformers would read configs and adapters beside it."""
    with TemporaryDirectory() as folder:
        (Path(folder) / NAME).symlink_to(path.resolve())
        yield folder


def read_tensor(path: Path, header: Header, name: str) -> tuple[float, ...]:
    """The numbers of a short tensor in float32 by its name; none where it is not there. Raises InputError."""
    tensor = next((tensor for tensor in header.tensors if tensor.name == name), None)
    if not tensor:
        return ()
    length = 4 * prod(tensor.shape)
    if tensor.kind or length > LARGEST_HEADER:
        raise InputError(f"{path} is damaged: its {name} is no list of numbers in float32; fetch it again")
    with path.open("rb") as file:
        file.seek(header.data + tensor.offset)
        return struct.unpack(f"<{length // 4}f", file.read(length))


# The header


def read_header(path: Path) -> Header:
    """Raises InputError for what is no GGUF file, is cut short before its weights, or cannot be a model's header."""
    if not path.is_file():
        raise InputError(f"{path} is no ordinary file" if path.exists() else f"there is no file {path}")
    try:
        with path.open("rb") as file:
            return _Reader(file, path).header()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


class _Reader:
    """Reads one value after another, little-endian, and no more than there may be."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self.file, self.path, self.place, self.items = file, path, 0, 0

    def header(self) -> Header:
        if self.bytes(4) != b"GGUF":
            raise InputError(
                f"{self.path} is not a GGUF file; name a GGUF file, or a directory with config.json and safetensors"
            )
        made, tensors, settings = self.numbers("IQQ")
        if made not in (2, 3):
            raise InputError(f"{self.path} is GGUF of version {made}, and 2 and 3 can be read; convert the model again")
        if tensors > MOST_TENSORS or settings > MOST_SETTINGS:
            raise self.damaged(f"it announces {tensors} tensors and {settings} settings")
        found = dict(self.setting() for _ in range(settings))
        stored = tuple(self.tensor() for _ in range(tensors))
        alignment = found.get("general.alignment", 32)
        if not isinstance(alignment, int) or not 0 < alignment <= 2**16 or alignment & (alignment - 1):
            raise self.damaged(f"its alignment is {alignment!r:.60}")
        if len({tensor.name for tensor in stored}) < len(stored) or len(found) < settings:
            raise self.damaged("a name stands twice in it")
        return Header(found, stored, -(-self.place // alignment) * alignment)

    def setting(self) -> tuple[str, Any]:
        name = self.text()
        (kind,) = self.numbers("I")
        return name, self.list() if kind == _LIST else self.value(kind)

    def value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self.text()
        if kind not in _SCALARS:
            raise self.damaged(f"a value is of type {kind}")
        return self.numbers(_SCALARS[kind])[0]

    def list(self) -> range:
        """Passes over a list, and returns the range of its length."""
        kind, length = self.numbers("IQ")
        self.items += length
        if self.items > MOST_ITEMS:
            raise self.damaged(f"a list announces {length} items")
        if kind in _SCALARS:
            self.bytes(length * struct.calcsize(_SCALARS[kind]))
        else:
            for _ in range(length):
                self.value(kind)
        return range(length)

    def tensor(self) -> StoredTensor:
        name = self.text()
        (axes,) = self.numbers("I")
        if axes > MOST_AXES:
            raise self.damaged(f"a tensor has {axes} axes")
        shape = self.numbers(f"{axes}Q")
        kind, offset = self.numbers("IQ")
        return StoredTensor(name, tuple(reversed(shape)), kind, offset)

    def text(self) -> str:
        (length,) = self.numbers("Q")
        try:
            return self.bytes(length).decode()
        except UnicodeDecodeError:
            raise self.damaged("a text in it is not UTF-8") from None

    def numbers(self, layout: str) -> tuple[Any, ...]:
        return struct.unpack(f"<{layout}", self.bytes(struct.calcsize(f"<{layout}")))

    def bytes(self, length: int) -> bytes:
        if self.place + length > LARGEST_HEADER:
            raise self.damaged(f"its header is larger than {LARGEST_HEADER // 2**20} MB")
        content = self.file.read(length)
        if len(content) < length and self.place:
            raise InputError(f"{self.path} is cut short within its header; fetch it again")
        self.place += length
        return content

    def damaged(self, why: str) -> InputError:
        return InputError(f"{self.path} is damaged: {why}; fetch it again")


# Whether it can be a model


def checked_header(path: Path) -> Header:
    """The header of a file that holds a whole model, in types that can be unpacked. Raises InputError."""
    header = read_header(path)
    if not find_spec("gguf"):
        raise InputError(
            f"{path} is a GGUF file, and reading its weights needs a package: pip install 'selfedit[gguf]'"
        )
    parts = header.settings.get("split.count", 1)
    if re.search(r"-\d{5}-of-\d{5}\.gguf$", path.name) or (isinstance(parts, int) and parts > 1):
        raise InputError(f"{path} is one of several parts of a model; join them first: llama-gguf-split --merge")
    kind = header.text("general.type") or "model"
    if kind != "model" or "general.architecture" not in header.settings:
        raise InputError(f"{path} is no language model: it says that it is {kind!r}; name the model itself")
    if not header.tensors:
        raise InputError(f"{path} holds no weights, only a vocabulary; choose the file with the model")
    _check_extents(header, path)
    return header


def _check_extents(header: Header, path: Path) -> None:
    """Raises InputError unless every tensor lies in the file, and nothing in it is a tensor twice."""
    size, total = path.stat().st_size, 0
    layouts = {kind: _layout(kind, path) for kind in sorted({tensor.kind for tensor in header.tensors})}
    for tensor in header.tensors:
        block, of_block = layouts[tensor.kind]
        row = tensor.shape[-1] if tensor.shape else 1
        if row % block:
            raise InputError(
                f"{path} is damaged: a row of {tensor.name:.60} is no whole number of blocks; fetch it again"
            )
        length = prod(tensor.shape) // block * of_block
        if header.data + tensor.offset + length > size:
            raise InputError(f"{path} is cut short: the weights of {tensor.name:.60} end after it; fetch it again")
        total += length
    if total > size:
        raise InputError(f"{path} is damaged: its tensors are larger than the file; fetch it again")


def _layout(kind: int, path: Path) -> tuple[int, int]:
    """How many weights a block of this type holds, and its bytes. Raises InputError where it cannot be unpacked."""
    import numpy as np
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import dequantize

    try:
        stored = GGMLQuantizationType(kind)
        block, of_block = GGML_QUANT_SIZES[stored]
        dequantize(np.zeros((1, of_block), np.uint8), stored)
    except (ValueError, LookupError, NotImplementedError):
        known = next((entry.name for entry in GGMLQuantizationType if entry == kind), f"number {kind}")
        raise InputError(
            f"{path} has weights of type {known}, which gguf {version('gguf')} cannot unpack; choose a file in "
            "another, such as Q8_0, Q4_K_M or F16"
        ) from None
    return int(block), int(of_block)
