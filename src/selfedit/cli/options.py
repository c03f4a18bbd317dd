"""The options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from selfedit.config import Config
from selfedit.config.presets import DEFAULT
from selfedit.workflows.configure import make_config

Model = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="a model directory, a GGUF file, a hub id, smollm2 (see fetch), or an embedded one: almanac, mosaic",
    ),
]
Set = Annotated[list[str] | None, typer.Option("--set", help="override a config key: --set inner.epochs=5")]
Preset = Annotated[
    str,
    typer.Option(
        "--preset", help="what the config leaves open, for a model that is not embedded: chat, gentle or seal"
    ),
]
Memory = Annotated[str | None, typer.Option("--memory", help="most memory to take: 8GB; left out: what is free")]
Output = Annotated[Path | None, typer.Option("--output", "-o", help="the run's folder; left out: runs/COMMAND-N")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="the whole run with an engine that has no model: seconds, and made-up numbers")
]
Json = Annotated[bool, typer.Option("--json", help="print the result as JSON on standard output")]
Questions = Annotated[
    Path | None, typer.Option("--questions", "-q", help="{question, answer} as JSON, JSON lines or CSV, or SQuAD's")
]
Include = Annotated[str, typer.Option("--include", help="of folders only files like this: '*.md'")]
DOCUMENTS = "text, Markdown, PDF, DOCX, PPTX, XLSX, HTML, EPUB, data with passages; a folder, a pattern, or - (stdin)"
"""What a document can be, for help."""

RunFolder = Annotated[Path, typer.Argument(help="the run's folder", metavar="RUN")]


def config_from(
    model: str | None,
    overrides: Sequence[str] | None,
    path: Path | None = None,
    memory: str | None = None,
    dry_run: bool = False,
    own_documents: bool = False,
    needs_model: bool = False,
    preset: str = DEFAULT,
    base: dict[str, Any] | None = None,
    **keys: object,
) -> Config:
    """The config that a command's options make. `keys` are config keys with `__` for a dot; None is left out.
    `base` is a config tree below all of these.
    """
    named: dict[str, object] = {"model.memory": memory, "model.engine": "fake" if dry_run else None}
    named |= {key.replace("__", "."): value for key, value in keys.items()}
    chosen = [f"{key}={json.dumps(value)}" for key, value in named.items() if value is not None]
    given = [*chosen, *(overrides or [])]
    return make_config(model, given, path, base, own_documents=own_documents, needs_model=needs_model, preset=preset)
