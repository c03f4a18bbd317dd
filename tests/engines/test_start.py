"""How many processes a command uses."""

import pytest

from selfedit.config import ModelConfig
from selfedit.engines import start


@pytest.fixture(autouse=True)
def machine(monkeypatch):
    """Four cores, no GPU."""
    monkeypatch.setattr(start.sys, "platform", "linux")
    monkeypatch.setattr(start.shutil, "which", lambda name: None)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(start.os, "sched_getaffinity", lambda process: {0, 1, 2, 3}, raising=False)


def model(folder, size):
    folder.mkdir()
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(size)  # takes no room on the disk
    return str(folder)


def test_a_small_model_has_one_process_per_core(tmp_path):
    assert start.usual_processes(ModelConfig()) == 4
    assert start.usual_processes(ModelConfig(name=model(tmp_path / "small", 99_000_000))) == 4


def test_a_larger_model_has_one(tmp_path):
    assert start.usual_processes(ModelConfig(name=model(tmp_path / "large", 101_000_000))) == 1


def test_a_model_that_is_not_here_has_one():
    assert start.usual_processes(ModelConfig(name="someone/model")) == 1


def test_there_are_no_more_than_threads_that_pytorch_may_use(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert start.usual_processes(ModelConfig()) == 3


def test_there_are_at_most_eight(monkeypatch):
    monkeypatch.setattr(start.os, "sched_getaffinity", lambda process: set(range(64)), raising=False)
    assert start.usual_processes(ModelConfig()) == 8


def test_a_gpu_is_used_by_one(monkeypatch):
    monkeypatch.setattr(start.shutil, "which", lambda name: f"/usr/bin/{name}")
    assert start.usual_processes(ModelConfig()) == 1
    assert start.usual_processes(ModelConfig(device="cuda")) == 1
    assert start.usual_processes(ModelConfig(device="cpu")) == 4


def test_the_memory_is_shared_among_the_processes(monkeypatch):
    given = []
    monkeypatch.setattr(start, "Pool", lambda make, processes, progress: given.append((make.args[0], processes)))
    start.start_pool(ModelConfig(memory="8GB"), 64, 4)
    ((worker, processes),) = given
    assert processes == 4 and worker.memory_bytes == 2_000_000_000
