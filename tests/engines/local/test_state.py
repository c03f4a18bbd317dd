"""Which jobs share a step, how a learning rate runs, and how rows are laid out."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from transformers import GPT2Config, GPT2LMHeadModel, get_scheduler  # noqa: E402

from selfedit.engines.local.batch import pack_rows  # noqa: E402
from selfedit.engines.local.state import LENGTH_SLACK, MemoryLimits, TrainingState, choose  # noqa: E402
from selfedit.engines.local.text import TokenRow  # noqa: E402
from selfedit.types import Recipe  # noqa: E402

ROWS = st.lists(st.integers(2, 40), min_size=1, max_size=8).map(
    lambda sizes: [TokenRow([1] * n, 0, 1.0) for n in sizes]
)
STATES = st.lists(
    st.builds(TrainingState, ROWS, st.builds(Recipe, epochs=st.integers(1, 3)), st.just(0)), min_size=1, max_size=9
)


@given(STATES, st.integers(1, 200))
def test_a_step_keeps_to_its_tokens_and_its_rows_are_alike(states, tokens):
    chosen = choose(states, tokens)
    assert len(chosen) == len(set(chosen)) >= 1
    assert min(state.epoch for state in states) in [states[index].epoch for index in chosen]
    lengths = [states[index].next_tokens for index in chosen]
    assert len(chosen) == 1 or len(chosen) * max(lengths) <= tokens
    assert max(lengths) <= 3 * max(LENGTH_SLACK, min(lengths))


def test_little_is_padding_when_jobs_are_like_seals():
    """Edits with a passage and a few lines each, as the embedded model writes them."""
    rng = Random(0)
    states = [
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
    while live := [state for state in states if state.steps_left]:
        chosen = [live[index] for index in choose(live, 512)]
        real += sum(state.next_tokens for state in chosen)
        padded += len(chosen) * max(state.next_tokens for state in chosen)
        for state in chosen:
            state.advance(1.0, is_finite=True)
    assert padded < 1.2 * real


@given(ROWS, st.integers(1, 3), st.booleans(), st.integers(1, 300))
def test_a_budget_of_tokens_is_spent_to_the_last_one_that_can_be_learned_from(rows, size, pack, tokens):
    """The rows come in turn, and only the last step is cut. One token alone follows nothing and teaches nothing."""
    rows = [TokenRow(list(range(row.length)), 0, 1.0) for row in rows]
    state, seen = TrainingState(rows, Recipe(batch_size=size, pack=pack, tokens=tokens), 0), []
    while state.steps_left:
        seen.append([row.ids for row in state.next_rows])
        state.advance(1.0, is_finite=True)
    assert max(2, tokens - 1) <= state.tokens == sum(len(ids) for step in seen for ids in step) <= max(2, tokens)
    turn = [[row.ids for row in batch] for batch in state.batches]
    assert seen[:-1] == [turn[number % len(turn)] for number in range(len(seen) - 1)]
    last = turn[(len(seen) - 1) % len(turn)]
    assert all(ids == of_turn[: len(ids)] for ids, of_turn in zip(seen[-1], last, strict=False))
    assert state.loss == 1.0 and {tuple(row.ids) for row in rows} >= {tuple(ids) for step in seen[:-1] for ids in step}


def test_a_prompt_longer_than_the_budget_is_still_answered_with_one_token():
    state = TrainingState([TokenRow(list(range(9)), 5, 1.0)], Recipe(tokens=3), 0)
    assert [row.ids for row in state.next_rows] == [list(range(6))]
    state.advance(1.0, is_finite=True)
    assert not state.steps_left


def test_what_is_cut_keeps_the_soft_targets_of_what_is_left():
    row = TokenRow(list(range(9)), 5, 1.0, padding=2, soft_tokens=torch.arange(4), soft_probs=torch.ones(4))
    cut = row.cut(8)
    assert (cut.length, cut.padding, cut.scored) == (8, 1, 3)
    assert cut.soft_tokens.tolist() == [0, 1, 2] and cut.soft_probs.tolist() == [1.0] * 3


@given(STATES)
def test_every_job_comes_to_its_end(states):
    steps = sum(state.steps for state in states)
    taken = 0
    while live := [state for state in states if state.steps_left]:
        for index in choose(live, 64):
            live[index].advance(1.0, is_finite=True)
            taken += 1
    assert taken == steps


@pytest.mark.parametrize("schedule", ["linear", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.25])
def test_learning_rates_are_those_of_transformers(schedule, warmup):
    state = TrainingState(
        [TokenRow([1, 2], 0, 1.0)] * 4, Recipe(epochs=3, learning_rate=0.1, schedule=schedule, warmup=warmup), 0
    )
    name = "constant_with_warmup" if schedule == "constant" else schedule
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=0.1)
    reference = get_scheduler(name, optimizer, int(warmup * 12), 12)
    for _ in range(12):
        assert state.learning_rate == pytest.approx(reference.get_last_lr()[0], abs=1e-12)
        state.advance(1.0, is_finite=True)
        optimizer.step()
        reference.step()
    assert not state.steps_left


def test_an_unsound_step_ends_the_job():
    state = TrainingState([TokenRow([1, 2], 0, 1.0)] * 3, Recipe(), 0)
    state.advance(float("nan"), is_finite=False)
    assert state.failed and not state.steps_left


@given(st.lists(ROWS, min_size=1, max_size=5))
def test_a_layout_holds_every_row_once_and_by_itself(jobs):
    model = GPT2LMHeadModel(GPT2Config(vocab_size=8, n_embd=4, n_layer=1, n_head=1, n_positions=16))
    numbered = [
        [TokenRow([100 * k + r + 1] * len(row.ids), 0, 1.0) for r, row in enumerate(rows)]
        for k, rows in enumerate(jobs)
    ]
    batch = pack_rows(numbered, model)
    length = batch.ids.shape[1]
    assert max(len(row.ids) for rows in jobs for row in rows) <= length and batch.ids.shape[0] % len(jobs) == 0
    ids = batch.ids.view(len(jobs), -1)
    positions = torch.arange(length).repeat(len(ids), ids.shape[1] // length)
    positions = positions if batch.positions is None else batch.positions.view(len(jobs), -1)
    for k, rows in enumerate(numbered):
        for row in rows:
            (found,) = torch.where(ids[k] == row.ids[0])
            assert len(found) == len(row.ids)
            assert positions[k][found].tolist() == list(range(len(row.ids)))
            assert found[0] // length == found[-1] // length  # in one sequence
    assert int((batch.weights != 0).sum()) == sum(len(row.ids) - 1 for rows in jobs for row in rows)


def test_halving_never_reaches_zero():
    limits = MemoryLimits(5, 3)
    for _ in range(5):
        limits = limits.halved()
    assert limits == MemoryLimits(1, 1)
