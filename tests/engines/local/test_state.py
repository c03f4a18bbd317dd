"""Which jobs share a step, how a learning rate runs, and how rows are laid out."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from transformers import GPT2Config, GPT2LMHeadModel, get_scheduler  # noqa: E402

from selfedit.engines.local.batch import lay_out  # noqa: E402
from selfedit.engines.local.state import NEAR, Limits, TrainingState, choose  # noqa: E402
from selfedit.engines.local.text import TokenRow  # noqa: E402
from selfedit.types import Recipe  # noqa: E402

ROWS = st.lists(st.integers(2, 40), min_size=1, max_size=8).map(
    lambda sizes: [TokenRow([1] * n, 0, 1.0) for n in sizes]
)
COURSES = st.lists(
    st.builds(TrainingState, ROWS, st.builds(Recipe, epochs=st.integers(1, 3)), st.just(0)), min_size=1, max_size=9
)


@given(COURSES, st.integers(1, 200))
def test_a_step_keeps_to_its_tokens_and_its_rows_are_alike(courses, tokens):
    chosen = choose(courses, tokens)
    assert len(chosen) == len(set(chosen)) >= 1
    assert min(course.epoch for course in courses) in [courses[index].epoch for index in chosen]
    lengths = [courses[index].length for index in chosen]
    assert len(chosen) == 1 or len(chosen) * max(lengths) <= tokens
    assert max(lengths) <= 3 * max(NEAR, min(lengths))


def test_little_is_padding_when_jobs_are_like_seals():
    """Edits with a passage and a few lines each, as the embedded model writes them."""
    rng = Random(0)
    courses = [
        TrainingState(
            [
                TokenRow([1] * n, 0, 1.0)
                for n in [rng.randint(65, 85), *(rng.randint(10, 30) for _ in range(rng.randint(1, 6)))]
            ],
            Recipe(epochs=3),
            0,
        )
        for _ in range(64)
    ]
    real = padded = 0
    while live := [course for course in courses if course.left]:
        chosen = [live[index] for index in choose(live, 512)]
        real += sum(course.length for course in chosen)
        padded += len(chosen) * max(course.length for course in chosen)
        for course in chosen:
            course.advance(1.0, is_sound=True)
    assert padded < 1.2 * real


@given(COURSES)
def test_every_job_comes_to_its_end(courses):
    steps = sum(course.steps for course in courses)
    taken = 0
    while live := [course for course in courses if course.left]:
        for index in choose(live, 64):
            live[index].advance(1.0, is_sound=True)
            taken += 1
    assert taken == steps


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_learning_rates_are_those_of_transformers(schedule, warmup):
    course = TrainingState(
        [TokenRow([1, 2], 0, 1.0)] * 4, Recipe(epochs=3, learning_rate=0.1, schedule=schedule, warmup=warmup), 0
    )
    name = "constant_with_warmup" if schedule == "constant" else schedule
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    reference = get_scheduler(name, optimizer, int(warmup * 12), 12)
    for _ in range(12):
        assert course.rate == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        course.advance(1.0, is_sound=True)
        optimizer.step()
        reference.step()
    assert not course.left


def test_an_unsound_step_ends_the_job():
    course = TrainingState([TokenRow([1, 2], 0, 1.0)] * 3, Recipe(), 0)
    course.advance(float("nan"), is_sound=False)
    assert course.failed and not course.left


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_a_layout_holds_every_row_once_and_by_itself(jobs):
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1, n_positions=8))
    numbered = [
        [TokenRow([100 * k + r + 1] * len(row.ids), 0, 1.0) for r, row in enumerate(rows)]
        for k, rows in enumerate(jobs)
    ]
    batch = lay_out(numbered, model)
    length = batch.ids.shape[1]
    assert max(len(row.ids) for rows in jobs for row in rows) <= length and batch.ids.shape[0] % len(jobs) == 0
    ids = batch.ids.view(len(jobs), -1)
    positions = torch.arange(length).repeat(len(ids), ids.shape[1] // length)
    positions = positions if batch.positions is None else batch.positions.view(len(jobs), -1)
    for k, rows in enumerate(numbered):
        for row in rows:
            (places,) = torch.where(ids[k] == row.ids[0])
            assert len(places) == len(row.ids)
            assert positions[k][places].tolist() == list(range(len(row.ids)))
            assert places[0] // length == places[-1] // length  # in one sequence
    assert int((batch.weights != 0).sum()) == sum(len(row.ids) - 1 for rows in jobs for row in rows)


def test_halving_never_reaches_zero():
    limits = Limits(5, 3)
    for _ in range(5):
        limits = limits.halved()
    assert limits == Limits(1, 1)
