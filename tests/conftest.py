"""What every test gets: no network, a few small tasks, an engine without a model."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import settings

os.environ["HF_HUB_OFFLINE"] = "1"  # read when huggingface_hub is imported, so before any test module is

from selfedit.engines.fake import FakeEngine
from selfedit.types import Question, Task

settings.register_profile("same-everywhere", deadline=None, derandomize=True)  # a slow machine changes no result
settings.load_profile("same-everywhere")

TASKS = [
    Task(
        "apollo",
        "Apollo 11",
        "Apollo 11 landed in 1969. Its commander was Neil Armstrong.",
        (Question("When did Apollo 11 land?", "1969"), Question("Who led Apollo 11?", "Neil Armstrong")),
    ),
    Task(
        "torvik",
        "Torvik",
        "Torvik lies on the river Selx. The town is famous for its lace.",
        (Question("Which river does Torvik lie on?", "Selx"), Question("What is Torvik famous for?", "lace")),
    ),
    Task(
        "velin",
        "Mara Velin",
        "Mara Velin worked as a baker. In the evenings she played the tuba.",
        (Question("What did Mara Velin work as?", "baker"), Question("What did Mara Velin play?", "tuba")),
    ),
    Task(
        "ulmira",
        "SS Ulmira",
        "SS Ulmira was launched in the year 1843. It carried a cargo of cork.",
        (Question("When was SS Ulmira launched?", "1843"), Question("What did SS Ulmira carry?", "cork")),
    ),
]


class RecordingEngine(FakeEngine):
    """A fake engine that keeps the requests and jobs it got."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.requests, self.jobs = [], []

    def sample(self, requests):
        self.requests += requests
        return super().sample(requests)

    def train(self, jobs):
        self.jobs += jobs
        return super().train(jobs)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A test that reaches for the network fails at once instead of retrying for minutes."""

    def refuse(*args, **kwargs):
        raise AssertionError("a test tried to open a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)


@pytest.fixture
def tasks():
    """Four tasks of two questions. Each gold answer stands in its passage, once."""
    return list(TASKS)


@pytest.fixture
def new_engine(tasks):
    """Makes engines that know an answer once two documents hold it: the passage alone teaches nothing."""
    return lambda: RecordingEngine(tasks, needed=2)


@pytest.fixture
def engine(new_engine):
    return new_engine()


@pytest.fixture
def shared():
    """The `shared` folder beside the checkout, where it is there; data too large for the repository stands in it."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("needs the folder `shared` beside the checkout, which is not part of the repository")
    return folder
