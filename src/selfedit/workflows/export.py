"""An update in the forms that other programs load: which model it belongs to, what it is compared by, where it goes."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfedit.config import Config
from selfedit.continual.methods import router_name
from selfedit.engines import embedded, fetched
from selfedit.errors import InputError
from selfedit.protocols import Progress, silent
from selfedit.workflows.build import make_domain
from selfedit.workflows.configure import make_config
from selfedit.workflows.data import tasks_of
from selfedit.workflows.history import kind_of
from selfedit.workflows.updates import base_of, folder_of, run_of

if TYPE_CHECKING:
    from selfedit.engines.local.export.forms import Form

FIXED = ("What is the capital of France?", "Name three colours.", "Hello! Who are you?")
"""Prompts that every export is compared by, beside questions of the run's exam."""

QUESTIONS = 6
"""So many of those."""

CONVERTER = "convert_hf_to_gguf.py"
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Where each form goes; None: it is not wanted. `dtype` is that of the weights, empty: as they were examined.
    `base` is what the base model is called where an adapter will be used, `llama_cpp` the folder of its source.
    """

    merged: Path | None = None
    peft: Path | None = None
    gguf: Path | None = None
    ollama: Path | None = None
    dtype: str = ""
    base: str = ""
    llama_cpp: Path | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """A form that was written and checked. `max_gap` is in nats, see `Checked`."""

    form: str
    path: Path
    dtype: str
    answers: int
    ties: int
    max_gap: float


def export(
    update: Path, wanted: Wanted, model: str | None = None, overrides: Sequence[str] = (), progress: Progress = silent
) -> tuple[list[Exported], list[str]]:
    """Every form that is wanted, and remarks. All of them are written or none.

    Raises InputError for an update or an option that is wrong, Refused where something is in the way, EngineError where
    what was written does not answer as the model that was examined.
    """
    folder = folder_of(update)
    if folder is None:
        raise InputError("base is the model without an update: there is nothing to export; name a run or an adapter")
    config, prompts, remarks = _about(update, folder, model, overrides)
    if config.model.engine != "local":
        raise InputError(f"only models of the local engine are exported, and model.engine is {config.model.engine}")
    from selfedit.engines.local.export.write import export as write  # loads PyTorch

    forms = _forms(wanted, config)
    checked = write(config.model, folder, list(forms.values()), prompts, progress)
    exported = [
        Exported(name, form.path, str(form.dtype).removeprefix("torch."), of.answers, of.ties, of.max_gap)
        for (name, form), of in zip(forms.items(), checked, strict=True)
    ]
    return exported, [*remarks, *_remarks_on(wanted, config)]


def _about(
    path: Path, folder: Path, model: str | None, overrides: Sequence[str]
) -> tuple[Config, list[str], list[str]]:
    """The config of the model that was examined, prompts to compare by, and remarks: from the run, if it is of one."""
    base = base_of(folder)
    run = run_of(folder)
    if run is None:
        return make_config(model or base, overrides, own_documents=True), list(FIXED), []
    with run:
        tree: dict[str, Any] = {key: value for key, value in run.config.items() if key in Config.model_fields}
        config = make_config(model, overrides, base=tree, source=str(run.path / "config.json"))
        domain, tasks = make_domain(config), [task for of_name in tasks_of(run).values() for task in of_name]
        asked = [domain.exam(task, question) for task in tasks for question in task.questions[:QUESTIONS]]
        prompts = list(dict.fromkeys(str(prompts[0]) for prompts in asked if prompts))[:QUESTIONS]
        router = router_name(config.continual) if kind_of(run) == "stream" else "last"
    remarks = []
    if router != "last" and path.resolve() == run.path.resolve():
        remarks.append(
            f"In this run the router {router!r} chooses which update answers; exported is the last one, {folder.name}. "
            f"Name another by its folder in {run.path / 'updates'}."
        )
    return config, [*prompts, *FIXED], remarks


def _forms(wanted: Wanted, config: Config) -> dict[str, Form]:
    """By the name of the form. Raises InputError for an option that is wrong."""
    import torch

    from selfedit.engines.local.export import forms
    from selfedit.engines.local.model import pick_device

    if wanted.dtype and wanted.dtype not in DTYPES:
        raise InputError(f"the type of the weights is {wanted.dtype!r}; it can be {', '.join(DTYPES)}")
    usual = "bfloat16" if pick_device(config.model.device).type == "cuda" else "float32"
    examined = usual if config.model.dtype == "auto" else config.model.dtype
    dtype: torch.dtype = getattr(torch, wanted.dtype or examined)
    found: dict[str, Form] = {}
    if wanted.merged:
        found["merged"] = forms.Merged(wanted.merged, dtype)
    if wanted.peft:
        found["peft"] = forms.Peft(wanted.peft, wanted.base or hub_name(config.model.name))
    if wanted.gguf:
        narrow = torch.float32 if dtype == torch.float64 else dtype
        found["gguf"] = forms.Gguf(wanted.gguf, narrow, _converter(wanted.gguf, wanted.llama_cpp))
    if wanted.ollama:
        found["ollama"] = forms.Ollama(wanted.ollama, dtype)
    if not found:
        raise InputError("no form is named: add --merged DIR, --peft DIR, --gguf FILE or --ollama DIR")
    return found


def _converter(file: Path, named: Path | None) -> Path:
    """llama.cpp's script. Raises InputError where it, or the package that reads its files, is not there."""
    if file.suffix != ".gguf":
        raise InputError(f"{file} is to be a GGUF file: give it a name that ends in .gguf")
    source = named or (Path(said) if (said := os.environ.get("LLAMA_CPP")) else None)
    if source is None:
        raise InputError(
            "a GGUF is made by llama.cpp's own converter, which comes with its source: fetch that, and name its folder "
            "with --llama-cpp DIR or in $LLAMA_CPP"
        )
    script = source.expanduser() / CONVERTER
    if not script.is_file():
        raise InputError(f"{source} is not the source of llama.cpp: it holds no {CONVERTER}")
    if not find_spec("gguf"):
        raise InputError("a GGUF is checked by reading it, which needs the package gguf: pip install 'selfedit[gguf]'")
    return script.resolve()


def hub_name(name: str) -> str:
    """What a model is called on the hub, where its folder is the hub's cache; else the name as it is."""
    found = re.search(r"models--([\w.-]+?)--([\w.-]+)/snapshots/[0-9a-f]+/?$", name)
    return f"{found[1]}/{found[2]}" if found else name


def _remarks_on(wanted: Wanted, config: Config) -> list[str]:
    remarks, base = list[str](), wanted.base or hub_name(config.model.name)
    if wanted.peft and (base in embedded.NAMES or base in fetched.MODELS or Path(base).is_absolute()):
        remarks.append(
            f"The adapter calls its base {base}, which other programs and machines do not know: --base NAME writes "
            "what it is called there."
        )
    if wanted.ollama:
        remarks.append(
            f"Ollama was not run. To import: cd {wanted.ollama} && ollama create NAME -f Modelfile. It knows fewer "
            "architectures than transformers, and says so where it does not know this one."
        )
    return remarks
