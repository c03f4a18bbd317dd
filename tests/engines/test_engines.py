"""The table of engines, and two engines as one."""

import subprocess
import sys

import pytest

from selfedit import engines
from selfedit.config import ModelConfig
from selfedit.engines import ENGINES
from selfedit.engines.fake import FakeEngine
from selfedit.engines.pair import Pair
from selfedit.protocols import silent
from selfedit.types import BASE, Example, Job, LikelihoodRequest, Recipe, Request


def open_engine(name, processes=1, tasks=()):
    return ENGINES[name](ModelConfig(), max_adapters=4, processes=processes, tasks=tasks, progress=silent)


def test_looking_at_the_table_loads_no_torch():
    code = "import sys, selfedit.engines, selfedit.engines.pair; print({'torch', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n"


def test_the_fake_engine_has_no_model(tasks):
    with open_engine("fake", tasks=tasks) as engine:
        assert isinstance(engine, FakeEngine) and engine.tasks == tasks


def test_the_local_engine_is_one_or_a_pool_that_is_closed_in_the_end(monkeypatch):
    class FakePool:
        closed = False

        def close(self):
            self.closed = True

    pool = FakePool()
    monkeypatch.setattr(engines, "start_local", lambda *arguments: ("alone", *arguments))
    monkeypatch.setattr(engines, "start_pool", lambda config, max_adapters, processes, progress: pool)
    with open_engine("local") as engine:
        assert engine == ("alone", ModelConfig(), 4, silent)
    with pytest.raises(ZeroDivisionError), open_engine("local", processes=2) as engine:
        assert engine is pool and not pool.closed
        raise ZeroDivisionError
    assert pool.closed


class Served:
    """A sampler that serves no adapters."""

    def sample(self, requests):
        assert requests and all(request.update == BASE for request in requests)
        return [f"served {request.prompt}" for request in requests]


@pytest.fixture
def pair(tasks):
    return Pair(Served(), FakeEngine(tasks))


def test_a_pair_samples_the_base_from_the_one_and_updates_from_the_other(pair, tasks):
    question = tasks[0].questions[0].text
    (update,) = pair.train([Job(BASE, (Example("", "Apollo 11 landed in 1969."),), Recipe(), 0)])
    answers = pair.sample([Request(BASE, "a"), Request(update, question), Request(BASE, "b")])
    assert answers == ["served a", "It is 1969.", "served b"]
    assert pair.sample([Request(update, question)]) == ["It is 1969."] and pair.sample([]) == []


def test_all_else_of_a_pair_is_the_trainers(pair, tmp_path):
    (update,) = pair.train([Job(BASE, (Example("", "Apollo 11 landed in 1969."),), Recipe(), 0)])
    pair.save(update, tmp_path / "update")
    assert pair.load(tmp_path / "update", one_of_many=True) == update
    requests = [LikelihoodRequest(who, "", "1969") for who in (BASE, update)]
    assert pair.likelihood(requests) == pair.trainer.likelihood(requests)
    assert pair.search([Request(BASE, "Who led Apollo 11?")], 0.1) == [["Nobody knows."]]
    assert pair.fits(["a"], reserve=3) == [None]
    scaled = pair.scale(update, 0.0)
    pair.release([update, scaled])
    assert pair.trainer._learned.keys() == {BASE.id}
