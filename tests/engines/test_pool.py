"""A pool of engines is one engine: the same answers, whoever gives them; and nobody is left behind."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # where the workers, too, find the engine that these tests use

from scripted import Scripted, no_engine

from selfedit.config import ModelConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.engines.pool import Pool
from selfedit.engines.start import start_local
from selfedit.errors import EngineError, InputError, Refused
from selfedit.protocols import silent
from selfedit.types import BASE, Example, Failure, Job, Recipe, Request, Update
from selfedit.worlds.almanac import world


@pytest.fixture(scope="module")
def shared_pool():
    pool = Pool(Scripted, 2)
    yield pool
    pool.close()


@pytest.fixture
def pool(shared_pool):
    """Two workers; a test that stops them makes its own."""
    shared_pool.progress = lambda *report: None
    return shared_pool


def job(target, parent=BASE, epochs=1):
    return Job(parent, (Example("", target),), Recipe(epochs=epochs), seed=0)


def ask(*prompts, update=BASE):
    return [Request(update, prompt) for prompt in prompts]


def processes(answers):
    return [int(answer.split()[0]) for answer in answers]


def gone(process):
    """Whether the process has ended, or does so within five seconds."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        try:
            os.kill(process, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


# Who does what


def test_answers_come_in_order_from_both(pool):
    prompts = ["a", "ccc", "bb", "", "dddd", "e" * 50]
    answers = pool.sample(ask(*prompts))
    assert answers[3] == Failure("system", "nothing was asked")
    answers[3] = "0 "
    assert [answer.split(" ")[1] for answer in answers] == prompts
    assert len(set(processes(answers)) - {0}) == 2


def test_no_work_is_done_by_nobody(pool):
    assert pool.sample([]) == [] and pool.train([]) == []


def test_jobs_go_to_whoever_has_least_the_longest_first(pool):
    two, nine, ten, one, also_two = pool.train([job("xx"), job("x" * 9), job("y", epochs=10), job("z"), job("zz")])
    assert ten.tokens != nine.tokens
    assert (two.tokens, also_two.tokens, one.tokens) == (nine.tokens, ten.tokens, nine.tokens)
    assert [two.id, nine.id, ten.id, one.id, also_two.id] == ["xx", "x" * 9, "y", "z", "zz"]
    pool.release([two, nine, ten, one, also_two])


def test_equal_calls_are_shared_out_equally(pool):
    jobs = [job("x" * length) for length in (5, 3, 3, 8, 1, 2, 9)]
    first = pool.train(jobs)
    pool.release(first)
    assert pool.train(jobs) == first
    pool.release(first)


def test_a_job_that_fails_fails_alone(pool):
    done = pool.train([job("learned"), Job(BASE, (), Recipe(), 0)])
    assert done[0].id == "learned" and done[1] == Failure("policy", "nothing to learn")
    pool.release(done[:1])


def test_what_needs_an_update_goes_to_the_process_that_trained_it(pool, tmp_path):
    updates = pool.train([job("one"), job("two")])
    assert updates[0].tokens != updates[1].tokens
    answers = pool.sample([*ask("q", "r", update=updates[0]), *ask("s", update=updates[1]), *ask("t", "u")])
    assert processes(answers[:3]) == [updates[0].tokens, updates[0].tokens, updates[1].tokens]
    children = pool.train([job("child of two", updates[1]), job("child of one", updates[0])])
    assert [child.tokens for child in children] == [updates[1].tokens, updates[0].tokens]
    for update in updates:
        pool.save(update, tmp_path / update.id)
        assert (tmp_path / update.id).read_text() == update.id
    pool.release([*updates, *children])


def test_a_loaded_update_is_everywhere_until_it_is_released(pool, tmp_path):
    (trained,) = pool.train([job("policy")])
    pool.save(trained, tmp_path / "policy")
    loaded = pool.load(tmp_path / "policy")
    assert loaded == Update("policy")
    assert len(set(processes(pool.sample(ask("a", "b", update=loaded))))) == 2
    pool.release([loaded])
    with pytest.raises(EngineError, match="policy is not here"):
        pool.sample(ask("a", update=loaded))


def test_one_engine_refuses_for_them_all(pool):
    too_long = [Failure("system", f"{prompt} is too long") for prompt in ("short", "much too long")]
    assert pool.fits(["short", "much too long", ""]) == [None, too_long[1], None]
    assert pool.fits(["short", "much too long", ""], reserve=7) == [*too_long, None]


def test_one_engine_describes_them_all(pool):
    assert pool.describe(Recipe(rank=3)) == {"rank": "3"}


# Progress and silence


def test_progress_is_added_up_in_the_callers_thread(pool):
    reports, threads = [], set()

    def progress(*report):
        reports.append(report)
        threads.add(threading.current_thread())

    pool.progress = progress
    pool.sample(ask(*"abcdef"))
    assert threads == {threading.main_thread()}
    assert {what for what, *_ in reports} == {"writing"} and len(reports) == 6
    assert reports[-1][1:3] == (6, 6) and all(total in (3, 6) for _, _, total, _ in reports)
    assert [done for _, done, _, _ in reports] == sorted(done for _, done, _, _ in reports)


def test_workers_print_nothing(pool, capfd):
    pool.sample(ask("print", "print"))
    assert capfd.readouterr() == ("", "")


# The local engine


def test_the_embedded_model_learns_and_answers_as_it_does_alone(tmp_path):
    make, domain, tasks = (
        partial(start_local, ModelConfig(dtype="float64"), 64),
        Knowledge(),
        world.tasks("practice", 3),
    )
    recipes = [Recipe(8, 16.0, 2, 5e-3), Recipe(8, 16.0, 2, 5e-3), Recipe(epochs=1, learning_rate=1e-4, method="full")]
    jobs = [
        Job(BASE, domain.without_edit(task).examples, recipe, seed=0)
        for task, recipe in zip(tasks, recipes, strict=True)
    ]
    results = []
    with closing(Pool(make, 2)) as pool:
        for engine in (make(silent), pool):
            updates = engine.train(jobs)
            engine.save(updates[0], tmp_path / "adapter")
            requests = [
                Request(update, domain.exam(task, question)[0], max_new_tokens=12)
                for update, task in [*zip(updates, tasks, strict=True), (engine.load(tmp_path / "adapter"), tasks[0])]
                for question in task.questions[:2]
            ]
            results.append((updates, engine.sample(requests), engine.describe(Recipe())))
    (updates, answers, described), (pool_updates, *pool_others) = results
    assert pool_others == [answers, described] and all(answers)
    assert [replace(update, loss=None) for update in updates] == [replace(update, loss=None) for update in pool_updates]
    assert [update.loss for update in pool_updates] == pytest.approx([update.loss for update in updates])


# What goes wrong


@pytest.mark.parametrize(
    "order, kind, message",
    [
        ("input", InputError, "a wrong file"),
        ("engine", EngineError, "no memory"),
        ("refused", Refused, "not again"),
        ("other", ZeroDivisionError, "by zero"),
        ("odd", EngineError, "Odd: one and two"),
    ],
)
def test_what_a_worker_raises_is_raised_here_and_the_pool_goes_on(pool, order, kind, message):
    with pytest.raises(kind) as caught:
        pool.sample(ask("fine", order))
    assert type(caught.value) is kind and str(caught.value) == message
    assert [answer.split()[1] for answer in pool.sample(ask("a", "b"))] == ["a", "b"]


def test_an_engine_that_cannot_be_made_says_why():
    with pytest.raises(InputError, match=r"^no such model"):
        Pool(no_engine, 2)


@pytest.mark.parametrize(
    "order, how", [("die", r"was killed \(SIGKILL\)"), ("leave", r"ended by itself \(exit code 7\)")]
)
def test_a_worker_that_dies_is_one_sentence_and_nobody_is_left(order, how):
    pool = Pool(Scripted, 2)
    workers = processes(pool.sample(ask("a", "b")))
    with pytest.raises(EngineError, match=f"^a worker process {how}; if memory ran out, .*$"):
        pool.sample(ask(order, "sleep"))
    assert all(gone(worker) for worker in workers)
    with pytest.raises(EngineError, match="were stopped"):
        pool.sample(ask("a"))


@pytest.fixture
def listening():
    """Ctrl-C as in a terminal: what a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_stops_the_pool_at_once(listening):
    pool = Pool(Scripted, 2)
    workers = processes(pool.sample(ask("a", "b")))
    for worker in workers:
        os.kill(worker, signal.SIGINT)  # a terminal sends it to the workers as well, which leave it to the parent
    assert processes(pool.sample(ask("a", "b"))) == workers
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        pool.sample(ask("sleep", "sleep"))
    assert all(gone(worker) for worker in workers)


def test_a_pool_that_nothing_uses_is_stopped():
    pool = Pool(Scripted, 1)
    workers = processes(pool.sample(ask("a")))
    del pool
    assert all(gone(worker) for worker in workers)


def test_workers_of_a_parent_that_is_killed_end_too():
    code = """if True:
        import os, signal
        from scripted import Scripted
        from selfedit.engines.pool import Pool
        from selfedit.types import BASE, Request
        pool = Pool(Scripted, 2)
        print(*(answer.split()[0] for answer in pool.sample([Request(BASE, "a"), Request(BASE, "b")])), flush=True)
        pool.progress = lambda *report: os.kill(os.getpid(), signal.SIGKILL)
        pool.sample([Request(BASE, "sleep"), Request(BASE, "sleep")])
    """
    folders = os.pathsep.join(path for path in sys.path if path)
    environment = {**os.environ, "PYTHONPATH": folders}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == -signal.SIGKILL and done.stderr == ""
    workers = [int(worker) for worker in done.stdout.split()]
    assert len(workers) == 2 and all(gone(worker) for worker in workers)
