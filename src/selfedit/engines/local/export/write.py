"""Exporting an update: written beside its place, checked, and only then put there."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from safetensors import SafetensorError

from selfedit.config import ModelConfig
from selfedit.engines.local.export.check import Checked, ExaminedAnswer, compare, examine
from selfedit.engines.local.export.forms import Form
from selfedit.engines.local.memory import is_out_of_memory
from selfedit.engines.start import start_local
from selfedit.errors import InputError, Refused
from selfedit.protocols import Progress, silent


def export(
    config: ModelConfig, update: Path, forms: Sequence[Form], prompts: Sequence[str], progress: Progress = silent
) -> list[Checked]:
    """Write the update in every form, all of them or none, and say how each compares with the model that was examined.

    Compared is in float32, by the greedy answers to `prompts`; one model is in memory at a time. Raises Refused for a
    place that is taken, InputError for what cannot be exported or has no room, EngineError for an export that answers
    differently.
    """
    refuse_existing([form.path for form in forms])
    config = config.model_copy(update={"dtype": "float64" if config.dtype == "float64" else "float32"})
    folders = [form.path.with_name(f"{form.path.name}.partial") for form in forms]
    with ExitStack() as made:
        for folder in folders:
            made.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            answers = _write_all(config, update, forms, folders, prompts, progress)
            checked = []
            for number, (form, folder) in enumerate(zip(forms, folders, strict=True), start=1):
                checked.append(_check(form, folder, config, answers))
                progress("checking", number, len(forms), str(form.path))
            for form, folder in zip(forms, folders, strict=True):
                form.put(folder)
        except (OSError, SafetensorError) as error:
            raise InputError(f"the export cannot be written: {error}; nothing of it was kept") from error
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise InputError(
                "there is not enough memory to load the model in float32, in which exports are compared; free some, or "
                "use the CPU's with --set model.device=cpu"
            ) from error
    return checked


def refuse_existing(paths: Sequence[Path]) -> None:
    """Raises Refused for a path where something is, but for an empty folder, and for one within another."""
    for path in paths:
        is_empty = path.is_dir() and not path.is_symlink() and not any(path.iterdir())
        if (path.exists() or path.is_symlink()) and not is_empty:
            raise Refused(f"{path} is there already; export to another place, or remove it first")
        if sum(path.resolve().is_relative_to(other.resolve()) for other in paths) > 1:
            raise Refused(f"{path} is another export's place, or in it; every form needs a place of its own")


def _write_all(
    config: ModelConfig,
    update: Path,
    forms: Sequence[Form],
    folders: Sequence[Path],
    prompts: Sequence[str],
    progress: Progress,
) -> list[ExaminedAnswer]:
    """Into the folders; the answers of the model as it was examined. It is out of memory afterwards."""
    engine = start_local(config, 1, progress)
    loaded = engine.load(update)
    weights = engine.adapters.whole(loaded)
    check_room({form.path: form.size(engine, weights) for form in forms})
    answers = examine(engine, loaded, prompts)
    for number, (form, folder) in enumerate(zip(forms, folders, strict=True), start=1):
        shutil.rmtree(folder, ignore_errors=True)  # of an export that was killed
        folder.mkdir(parents=True)
        with torch.no_grad():
            form.write(engine, loaded, folder)
        _let_others_read(folder)
        progress("exporting", number, len(forms), str(form.path))
    return answers


def _let_others_read(folder: Path) -> None:
    """safetensors makes files for their owner only, and others, such as Ollama's server, are to read these."""
    for path in folder.iterdir():
        path.chmod(folder.stat().st_mode & 0o666)


def check_room(sizes: dict[Path, int]) -> None:
    """Raises InputError where a disk has less room than is to be written there, in bytes."""
    needed, free = dict[int, int](), dict[int, int]()
    for path, size in sizes.items():
        there = next(parent for parent in path.absolute().parents if parent.is_dir())
        disk = there.stat().st_dev
        needed[disk], free[disk] = needed.get(disk, 0) + size, shutil.disk_usage(there).free
        if needed[disk] > free[disk]:
            raise InputError(
                f"{path.parent} has {free[disk] / 1e9:.1f} GB free, and the export takes {needed[disk] / 1e9:.1f} GB; "
                "free some space, or export to another disk"
            )


def _check(form: Form, folder: Path, config: ModelConfig, answers: Sequence[ExaminedAnswer]) -> Checked:
    model, text = form.load(folder, config)
    return compare(model, text, answers, form.dtype, f"what was exported to {form.path}")
