"""The grid model's tokens and canvas, its recipe, and the weights that ship."""

import json
from random import Random

import pytest

torch = pytest.importorskip("torch")

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.domains.arc.plans import read_plan  # noqa: E402
from selfedit.engines import embedded  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.engines.local.position_ids import PositionIds  # noqa: E402
from selfedit.loops.outer import parse_edit  # noqa: E402
from selfedit.types import BASE, Request  # noqa: E402
from selfedit.workflows.build import make_domain  # noqa: E402
from selfedit.workflows.configure import make_config  # noqa: E402
from selfedit.worlds import pretraining  # noqa: E402
from selfedit.worlds.mosaic import pretrain, tokens, world  # noqa: E402
from selfedit.worlds.mosaic.families import SIDE, TRAINING, draw_task  # noqa: E402

SHIPPED = 12e6
"""Bytes that the grid model may have at most."""


@pytest.fixture(scope="module")
def engine():
    return LocalEngine.from_config(ModelConfig(name="mosaic", device="cpu"))


def test_a_grid_and_a_plan_survive_the_tokenizer():
    tokenizer = tokens.make_tokenizer()
    texts = [tokens.draw_plan(role, Random(seed)) for role in "PW" for seed in range(20)]
    pairs = [draw_task(TRAINING[name], Random(0), 2, 5) for name in list(TRAINING)[:10]]
    texts += ["".join("".join(tokens.pair_text(pair)) for pair in task) for task in pairs]
    for text in texts:
        ids = tokenizer.encode(text, add_special_tokens=False)
        assert tokenizer.unk_token_id not in ids and tokenizer.decode(ids) == text


@pytest.mark.parametrize("role", "PW")
def test_every_plan_that_can_be_drawn_can_be_read(role):
    drawn = {tokens.draw_plan(role, Random(seed)) for seed in range(300)}
    assert len(drawn) > 250
    for text in drawn:
        read_plan(text, wide=role == "W")


def test_a_cell_stands_where_it_is_in_its_grid():
    tokenizer = tokens.make_tokenizer()
    model = pretrain.exported(pretrain.new_model(tokenizer))
    text = "I123\n456\nO12\n"
    ids = torch.tensor([tokenizer.encode(text, add_special_tokens=False)])
    places = PositionIds(model).of(ids, torch.ones_like(ids))[0].tolist()
    row, sheet = tokens.ROW, tokens.SLOT
    assert places == [0, 1, 2, 3, row, row + 1, row + 2, row + 3, 2 * row, sheet, sheet + 1, sheet + 2, sheet + row]


def test_the_canvas_as_one_table_is_the_same_model():
    tokenizer = tokens.make_tokenizer()
    torch.manual_seed(0)
    learner = pretrain.Learner(pretrain.new_model(tokenizer))
    row = pretrain.draw_row(Random(1), 3, lambda text: tokenizer.encode(text, add_special_tokens=False))
    places = PositionIds(learner.model)
    ours = pretrain.loss_of(learner, places, [row]).item()
    learner.model = pretrain.exported(learner.model)
    assert ours == pytest.approx(pretrain.loss_of(learner, places, [row]).item(), rel=1e-5)


def test_the_family_is_learned_by_the_lower_layers_only():
    tokenizer = tokens.make_tokenizer()
    learner = pretrain.Learner(pretrain.new_model(tokenizer))
    row = pretrain.draw_row(Random(1), 3, lambda text: tokenizer.encode(text, add_special_tokens=False))
    other = row._replace(kind=(row.kind + 1) % len(TRAINING))
    difference = pretrain.loss_of(learner, (places := PositionIds(learner.model)), [row])
    difference = difference - pretrain.loss_of(learner, places, [other])
    difference.backward()
    moved = [bool(block.attn.c_attn.weight.grad.abs().max() > 1e-6) for block in learner.model.transformer.h]
    assert moved == [True, True, False, False]


def test_every_row_fits_the_context_and_the_first_output_counts_little():
    tokenizer = tokens.make_tokenizer()

    def encode(text):
        return tokenizer.encode(text, add_special_tokens=False)

    for progress in (0.0, 0.99):
        for batch in pretrain.draw_pool(Random(0), progress, encode)[:4]:
            for row in batch:
                assert len(row.ids) == len(row.weights) <= tokens.CONTEXT and row.weights[-1] == 1.0


def test_the_curriculum_is_narrow_first_and_ends_with_every_side():
    sides = {progress: {pretrain.draw_side(Random(seed), progress) for seed in range(999)} for progress in (0, 0.6, 1)}
    assert sides == {0: {3}, 0.6: {3}, 1: set(range(3, SIDE + 1))}


def test_a_recipe_that_is_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(pretraining, "CHECKPOINT_EVERY", 2)
    monkeypatch.setattr(pretrain, "TOKENS", 256)
    pretrain.pretrain(tmp_path / "whole", 4, 0)

    class Stop(Exception):
        pass

    calls = 0
    loss_of = pretrain.loss_of

    def stopping(*arguments):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise Stop
        return loss_of(*arguments)

    monkeypatch.setattr(pretrain, "loss_of", stopping)
    with pytest.raises(Stop):
        pretrain.pretrain(tmp_path / "parts", 4, 0)
    monkeypatch.setattr(pretrain, "loss_of", loss_of)
    pretrain.pretrain(tmp_path / "parts", 4, 0)
    names = [path / "model.safetensors" for path in (tmp_path / "whole", tmp_path / "parts")]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_muon_steps_are_nearly_orthogonal():
    step = pretraining.orthogonal(torch.randn(8, 20, generator=torch.Generator().manual_seed(0)))
    strengths = torch.linalg.svdvals(step)
    assert strengths.min() > 0.5 and strengths.max() < 1.5


def test_the_shipped_model_is_small_and_reads_its_largest_grids(engine):
    folder = embedded.weights("mosaic")
    assert sum(file.stat().st_size for file in folder.iterdir()) < SHIPPED
    assert engine.text.context == tokens.CONTEXT
    large = "I" + ("1" * SIDE + "\n") * SIDE + "O"
    assert len(engine.text.prompt(large)) == SIDE * (SIDE + 1) + 2


def test_the_shipped_model_writes_plans_that_differ_and_can_be_read(engine):
    domain = make_domain(make_config("mosaic"))
    tasks = world.tasks("practice", 6)
    prompts = [(task, domain.prompts(task)[0]) for task in tasks for _ in range(5)]
    texts = engine.sample([Request(BASE, text, seed, 1.0, 1.0, 64) for seed, (_, text) in enumerate(prompts)])
    trials = [parse_edit(task, 0, text, domain) for (task, _), text in zip(prompts, texts, strict=True)]
    readable = [trial.edit for trial in trials if not trial.failure]
    assert len(readable) >= 28
    assert len({edit.recipe.learning_rate for edit in readable}) >= 4
    assert all(json.loads(edit.text) for edit in readable)
