"""Updates on disk: which folder a person means by a run, and which model an update is for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfedit.errors import InputError, OtherVersion
from selfedit.store import DATABASE, Run, read_json
from selfedit.types import BASE


def update_folder(path: Path) -> Path:
    """The adapter that a person means by a run or an adapter folder.

    The last update of its stream, if it has one; the run's adapter, or its last policy. Raises InputError where there
    is none, or where it is not what the run wrote.
    """
    rounds = (path / "updates").glob("round-*[0-9]")  # a kill may leave a round-0.partial
    latest = sorted(rounds, key=lambda folder: int(folder.name.removeprefix("round-")), reverse=True)
    for folder in [path, *_of_stream(path), path / "updates" / "adapter", *latest]:
        if any((folder / name).is_file() for name in ("adapter_config.json", "card.json", "update.json")):
            if (path / DATABASE).is_file():
                with Run.open(path) as run:
                    if run.keeps_update(folder):
                        run.check_update(folder)
            return folder.resolve()
    raise InputError(f"{path} holds no adapter: name a PEFT directory, or a run that has finished training")


def _of_stream(path: Path) -> list[Path]:
    if not (path / DATABASE).is_file():
        return []
    with Run.open(path) as run:
        learned = [trial.update for batch in run.batches() if batch.stage == "learn" for trial in batch.trials]
    return [path / "updates" / update.id for update in learned[::-1] if update]


def folder_of(update: Path) -> Path | None:
    """The same; None for the base model, which people call `base`."""
    return None if str(update) == BASE.id else update_folder(update)


def base_of(folder: Path | None) -> str | None:
    """The model that an update was trained on, as its PEFT config names it, or the card of one without."""
    if folder is None:
        return None
    path = folder / "adapter_config.json"
    path = path if path.is_file() else folder / "card.json"
    if not path.is_file():
        raise InputError(f"{folder} holds no adapter: it was made by a dry run, which has no model")
    config = read_json(path)
    if not isinstance(config, dict):
        raise InputError(f"{path} is not the config of a PEFT adapter: it holds no table of settings")
    name = config.get("base_model_name_or_path") or config.get("base")
    return str(name) if name else None


PROMPTING = ("template", "thinking", "quantize")
"""Keys of `model` by which an answer depends on more than the weights."""


def run_of(folder: Path | None) -> Run | None:
    """The run that wrote the update in this folder, opened; None for an update of no run, and of a run of another
    version, whose adapters work as they are.
    """
    if folder is None or not (folder.parent.parent / DATABASE).is_file():
        return None
    try:
        return Run.open(folder.parent.parent)
    except OtherVersion:
        return None


def settings_of(folder: Path | None) -> dict[str, Any]:
    """How the run that an update is of asked and graded, as a config tree; empty for an update of no run."""
    if (run := run_of(folder)) is None:
        return {}
    with run:
        asked: dict[str, Any] = {table: run.config[table] for table in ("domain", "exam") if table in run.config}
        model = {key: value for key, value in run.config.get("model", {}).items() if key in PROMPTING}
        return {**asked, "model": model}


VLLM_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as --max-lora-rank; 16 if it is not told."""


def remarks_on(folder: Path) -> list[str]:
    """What a saved update was seen to do when it was read back, and what a server must be told of it.

    Nothing of an update whose card does not say. Raises InputError where training has changed nothing.
    """
    card = read_json(folder / "card.json") if (folder / "card.json").is_file() else {}
    remarks, effect = list[str](), card.get("effect") if isinstance(card, dict) else None
    if isinstance(effect, dict):
        if not effect.get("kl_to_base"):
            raise InputError(
                f"training changed nothing: on a text that it was trained on, the model with {folder} is the model "
                "without it; raise inner.learning_rate or inner.epochs"
            )
        gap, merged = effect.get("max_logit_gap"), effect.get("merged_logit_gap")
        remarks.append(
            f"Read back, the update is what was trained: its logits differ by at most {gap} in PEFT and {merged} "
            f"merged. On a text that it learned it is {effect['kl_to_base']} nats a token from the base."
        )
    if (folder / "adapter_config.json").is_file():
        rank = read_json(folder / "adapter_config.json").get("r", 0)
        fitting = next((most for most in VLLM_RANKS if most >= rank), None)
        if not fitting:
            remarks.append(f"Its rank is {rank}, and vLLM serves adapters of rank {VLLM_RANKS[-1]} at most.")
        elif fitting > 16:
            remarks.append(f"Its rank is {rank}: vLLM serves it with --enable-lora --max-lora-rank {fitting}.")
    return remarks
