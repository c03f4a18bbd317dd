"""How many processes a command uses."""

from types import SimpleNamespace

import pytest

from selfedit.config import ModelConfig
from selfedit.engines import cores, start


@pytest.fixture(autouse=True)
def machine(monkeypatch, tmp_path):
    """Four cores, no GPU."""
    monkeypatch.setattr(cores, "CGROUPS", tmp_path)
    monkeypatch.setattr(cores.psutil, "cpu_count", lambda logical: 4)
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


def watch(monkeypatch, *busy):
    """Let the cores be so busy, in percent."""
    monkeypatch.setattr(cores.psutil, "cpu_percent", lambda interval, percpu: list(busy))


@pytest.mark.parametrize(
    ("busy", "threads"), [((0, 3, 1, 20), 4), ((100, 2, 0, 0), 3), ((60, 60, 0, 30), 1), ((100, 100, 100, 100), 1)]
)
def test_a_larger_model_takes_as_many_threads_as_there_are_idle_cores(monkeypatch, busy, threads):
    watch(monkeypatch, *busy)
    assert start.threads_for(ModelConfig(name="someone/model")) == threads


def test_only_cores_that_we_may_use_are_watched(monkeypatch):
    monkeypatch.setattr(start.os, "sched_getaffinity", lambda process: {1, 2}, raising=False)
    watch(monkeypatch, 100, 0, 0, 100)
    assert start.threads_for(ModelConfig(name="someone/model")) == 2


@pytest.mark.parametrize(
    "model",
    [
        ModelConfig(),  # small
        ModelConfig(name="someone/model", device="cuda"),
        ModelConfig(name="someone/model", engine="fake"),
        ModelConfig(name="someone/model", threads=4),
    ],
)
def test_elsewhere_threads_do_not_depend_on_what_else_runs(monkeypatch, model):
    watch(monkeypatch, 100, 100, 100, 100)
    assert start.threads_for(model) == 4


def test_what_the_environment_says_is_taken_at_its_word(monkeypatch):
    watch(monkeypatch, 100, 100, 100, 100)
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert start.threads_for(ModelConfig(name="someone/model")) == 3


@pytest.mark.parametrize(
    ("files", "count"),
    [
        ({"cpu.max": "max 100000\n"}, 4),
        ({"cpu.max": "200000 100000\n"}, 2),
        ({"cpu.max": "50000 100000\n"}, 1),
        ({"cpu.max": "900000 100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4),
        ({"cpu/cpu.cfs_quota_us": "300000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 3),
        ({"cpu.max": "what is this\n"}, 4),
    ],
)
def test_a_container_has_the_cores_that_it_is_granted(tmp_path, files, count):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert cores.cores() == count


def test_the_threads_of_a_pool_are_chosen_once_for_all(monkeypatch):
    given = []
    monkeypatch.setattr(start, "Pool", lambda make, processes, progress: given.append(make.args[0]))
    watch(monkeypatch, 0, 0, 100, 100)
    start.start_pool(ModelConfig(name="someone/model"), 64, 2)
    assert given[0].threads == 2
