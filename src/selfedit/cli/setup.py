"""`init` and `doctor`: before a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from selfedit.bench.doctor import doctor as diagnose
from selfedit.cli import screen
from selfedit.cli.options import Include, Json, Model, Preset, Set, config_from
from selfedit.cli.running import print_json
from selfedit.config.presets import DEFAULT
from selfedit.errors import InputError, Refused
from selfedit.workflows.configure import commented
from selfedit.workflows.data import example_tasks
from selfedit.workflows.documents import documents_with_questions


def init(
    path: Annotated[Path, typer.Argument(help="where to write it", metavar="CONFIG.toml")] = Path("selfedit.toml"),
    model: Model = None,
    preset: Preset = DEFAULT,
    overrides: Set = None,
) -> None:
    """Write a commented config with every key.

    Example: selfedit init my.toml --model path/to/model
    """
    if path.exists():
        raise Refused(f"{path} exists already; choose another name or remove it")
    text = commented(config_from(model, overrides, preset=preset))
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; choose another place") from None
    screen.out.print(f"{path} written. Set data.train and data.eval in it, then: selfedit train {path}", soft_wrap=True)


def doctor(
    documents: Annotated[
        list[Path] | None, typer.Argument(help="documents, as adapt takes them", metavar="DOC")
    ] = None,
    model: Model = None,
    include: Include = "",
    preset: Preset = DEFAULT,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Check a model before training it: device, memory, what will be trained, and an estimate of the time.

    A judge, a rubric or a teacher that the config uses is asked whether it answers.

    Shows three training documents as the model will read them; only the marked tokens are learned. Of a model that is
    not here and cannot be fetched it says what it needs, if its sizes are known.

    Example: selfedit doctor handbook.md --model path/to/model
    """
    config = config_from(model, overrides, needs_model=bool(documents), preset=preset)
    found = diagnose(
        config, documents_with_questions(documents, include=include) if documents else example_tasks(config)
    )
    if json:
        return print_json(found.facts)
    for name, value in found.facts.items():
        screen.out.print(f"{name:<22} {value}", soft_wrap=True)
    for row in found.rows:
        text = Text("\n")
        for piece, is_learned in row:
            text.append(piece.replace("\n", "⏎"), style="underline green" if is_learned else "dim")
            text.append("│", style="dim")
        screen.out.print(text)
