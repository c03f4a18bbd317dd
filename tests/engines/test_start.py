"""How many processes a command uses."""

from types import SimpleNamespace

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


@pytest.fixture
def sixteen_gigabytes(monkeypatch):
    monkeypatch.setattr(start.os, "cpu_count", lambda: 4)
    monkeypatch.setattr(start.psutil, "virtual_memory", lambda: SimpleNamespace(total=16_000_000_000))


@pytest.mark.parametrize(("wanted", "started"), [(0, 4), (1, 1), (7, 7), (8, 8), (9, 8), (1000, 8)])
def test_more_than_the_machine_can_are_cut_and_said(sixteen_gigabytes, caplog, wanted, started):
    assert start.processes_for(ModelConfig(processes=wanted)) == started
    said = f"model.processes is {wanted}, and this machine has room for {started}: so many are started"
    assert caplog.messages == ([said] if wanted > started else [])


def test_each_process_needs_memory_for_the_model(sixteen_gigabytes, tmp_path):
    large = ModelConfig(name=model(tmp_path / "large", 3_500_000_000), processes=8)
    assert start.processes_for(large) == 4
    huge = ModelConfig(name=model(tmp_path / "huge", 99_000_000_000), processes=8)
    assert start.processes_for(huge) == 1
