"""What trains together fits the memory there is; running out of it costs neither results nor neighbours."""

import logging
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")

from selfedit.engines.local import engine as engine_module  # noqa: E402
from selfedit.engines.local.memory import COPIES, fit, free_memory, max_rows, token_bytes  # noqa: E402
from selfedit.engines.local.sampling import decode_together  # noqa: E402
from selfedit.engines.local.targets import adapter_layout  # noqa: E402
from selfedit.engines.local.training import train_together  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Example, Failure, Job, Recipe, Request  # noqa: E402

RECIPE = Recipe(rank=4, epochs=2)
JOBS = [Job(BASE, (Example("", "a" * size), Example("", "b")), RECIPE, size) for size in range(3, 11)]


def test_what_a_token_saves_grows_with_the_layers(make_engine):
    small, large = make_engine(), make_engine(num_hidden_layers=4)
    few, many = (token_bytes(engine.model, adapter_layout(engine.model, [RECIPE])) for engine in (small, large))
    assert 1.5 * few < many < 2.5 * few


def test_a_cap_allows_fewer_adapters(make_engine):
    model = make_engine().model
    layout = adapter_layout(model, [RECIPE])
    held = _held()
    cap = held + int(200 * token_bytes(model, layout) * 2 + 10 * COPIES * 8 * layout.size)
    capped, free = fit(model, layout, 10_000, cap), fit(model, layout, 10_000, 0)
    assert 1 <= capped.adapters < free.adapters and capped.tokens <= free.tokens


def _held():
    import psutil

    return psutil.Process().memory_info().rss


def test_a_cap_below_one_adapter_says_what_to_do(make_engine):
    engine = make_engine(memory="1MB")
    with pytest.raises(InputError, match=r"training one adapter takes .* MB .* are free; choose a lower rank"):
        engine.train(JOBS)


def test_free_memory_is_a_share_of_what_there_is():
    assert free_memory(torch.device("cpu"), 0) > 0
    assert free_memory(torch.device("cpu"), 1) < 0


def test_out_of_memory_halves_the_adapters_and_says_so(make_engine, monkeypatch, caplog):
    """With the training function as the seam: it fails, as PyTorch does, while more than two adapters are allowed."""

    def cramped(model, states, limits, on_step):
        done = train_together(model, states, limits, on_step)
        yield next(done)  # what is finished is kept
        if limits.adapters > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        yield from done

    expected = make_engine().train(JOBS)
    monkeypatch.setattr(engine_module, "train_together", cramped)
    with caplog.at_level(logging.WARNING):
        assert make_engine(max_adapters=8).train(JOBS) == expected
    assert "out of memory; going on with 4 adapters at a time" in caplog.text


def test_a_job_too_large_even_alone_is_the_systems_failure(make_engine, monkeypatch):
    def full(model, states, limits, on_step):
        raise torch.OutOfMemoryError("CUDA out of memory")
        yield

    monkeypatch.setattr(engine_module, "train_together", full)
    outcomes = make_engine().train(JOBS[:2])
    assert all(isinstance(outcome, Failure) and outcome.blame == "system" for outcome in outcomes)


REAL = """
import resource, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
from selfedit.engines.local.memory import is_out_of_memory
torch.set_num_threads(1)
torch.ones(8) @ torch.ones(8)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 50_000_000, -1))
try:
    torch.ones(100_000_000)
except (RuntimeError, MemoryError) as error:
    sys.exit(0 if is_out_of_memory(error) else 3)
sys.exit(4)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_real_allocation_that_fails_is_recognised():
    assert subprocess.run([sys.executable, "-c", REAL], timeout=120).returncode == 0


def test_other_errors_are_not_taken_for_memory(make_engine, monkeypatch):
    def broken(model, states, limits, on_step):
        raise RuntimeError("shapes do not match")
        yield

    monkeypatch.setattr(engine_module, "train_together", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        make_engine().train(JOBS)


def test_out_of_memory_halves_what_is_written_together(make_engine, monkeypatch, caplog):
    def cramped(model, groups, stops, on_token):
        if sum(len(requests) for _, requests in groups) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return decode_together(model, groups, stops, on_token)

    engine = make_engine()
    requests = [Request(update, "Ada", max_new_tokens=5) for update in [BASE, *engine.train(JOBS)] for _ in range(2)]
    expected = engine.sample(requests)
    monkeypatch.setattr(engine_module, "decode_together", cramped)
    with caplog.at_level(logging.WARNING):
        assert engine.sample(requests) == expected
    assert "out of memory; going on with 4 sequences at a time" in caplog.text


def test_long_texts_are_written_fewer_at_a_time(make_engine):
    model = make_engine(dtype=torch.float32).model
    short, long = (max_rows(model, tokens, 1, _held() + 50_000_000) for tokens in (50, 500))
    assert long < short <= 11 * long


def test_keys_and_values_grow_beyond_their_first_capacity(make_engine):
    engine = make_engine(context=512)
    (text,) = engine.sample([Request(BASE, "Ada", seed=1, temperature=1.0, max_new_tokens=200)])
    prompt = engine.text.prompt("Ada")
    expected = engine.model.generate(torch.tensor([prompt]), max_new_tokens=150, do_sample=False, pad_token_id=1)
    (greedy,) = engine.sample([Request(BASE, "Ada", max_new_tokens=150)])
    assert greedy == engine.text.decode(expected[0, len(prompt) :].tolist()) and text
