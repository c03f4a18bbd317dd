"""What is saved is what was trained: seen by reading it back, by plain PEFT and merged, before it counts as saved."""

import json

import pytest

torch = pytest.importorskip("torch")

from selfedit.engines.local.effect import gap_between, logits_in_peft, logits_of, mean_kl  # noqa: E402
from selfedit.errors import EngineError  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=6, learning_rate=2e-2)
TEXT = "Ada was born in Torvik."


def teach(engine, parent=BASE, recipe=RECIPE, text=TEXT, seed=0):
    (update,) = engine.train([Job(parent, (Example("", text),), recipe, seed)])
    return update


def effect(folder):
    return json.loads((folder / "card.json").read_text())["effect"]


def state(model):
    modules = {
        name: (id(layer), layer.training, tuple(layer._forward_hooks), tuple(sorted(vars(layer))))
        for name, layer in model.named_modules()
    }
    weights = {name: (id(weight), weight.requires_grad, weight.clone()) for name, weight in model.named_parameters()}
    return modules, weights, model.config.to_dict()


def test_the_card_says_what_was_seen(make_engine, architecture, tmp_path):
    engine = make_engine(architecture, torch.float32)
    update = teach(engine)
    engine.save(update, tmp_path / "update")
    seen = effect(tmp_path / "update")
    assert seen["max_logit_gap"] < 1e-5 and seen["merged_logit_gap"] < 1e-5
    assert seen["kl_to_base"] > 1e-3 and seen["tokens"] == update.tokens > 0


def test_full_weights_are_read_back_too(make_engine, tmp_path):
    engine = make_engine()
    engine.save(teach(engine, recipe=Recipe(epochs=3, learning_rate=2e-3, method="full")), tmp_path / "update")
    seen = effect(tmp_path / "update")
    assert seen["max_logit_gap"] == seen["merged_logit_gap"] == 0 and seen["kl_to_base"] > 1e-6


def test_updates_of_updates_and_scaled_ones(make_engine, tmp_path):
    engine = make_engine()
    first = teach(engine)
    engine.save(first, tmp_path / "first")
    second = teach(engine, engine.load(tmp_path / "first"), text="The firm sells soap.", seed=1)
    half = engine.scale(second, 0.5)
    for name, update in (("second", second), ("half", half)):
        engine.save(update, tmp_path / name)
        assert effect(tmp_path / name)["merged_logit_gap"] < 1e-9
    assert 0 < effect(tmp_path / "half")["kl_to_base"] < effect(tmp_path / "second")["kl_to_base"]


def test_reading_it_back_leaves_the_model_as_it_was(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    modules, weights, config = state(engine.model)
    engine.save(teach(engine), tmp_path / "update")
    engine.adapters.merge(BASE.id)
    after = state(engine.model)
    assert after[0] == modules and after[2] == config and after[1].keys() == weights.keys()
    for name, (number, trains, weight) in weights.items():
        assert after[1][name][:2] == (number, trains) and torch.equal(after[1][name][2], weight)


def test_it_changes_no_answer_and_no_byte(make_engine, tmp_path):
    engine, other = make_engine(), make_engine()
    for place, one in (("a", engine), ("b", other)):
        update = teach(one)
        if place == "a":
            one.save(update, tmp_path / "in between")
        one.save(update, tmp_path / place)
    files = [{path.name: path.read_bytes() for path in (tmp_path / place).iterdir()} for place in "ab"]
    assert files[0] == files[1]
    ask = [Request(update, "Ada", max_new_tokens=8)]
    assert engine.sample(ask) == other.sample(ask)


def test_another_update_in_its_place_is_noticed(make_engine, tmp_path):
    engine = make_engine(dtype=torch.float32)
    one, other = teach(engine), teach(engine, text="The firm sells soap to the town.", seed=1)
    engine.save(one, tmp_path / "one")
    with pytest.raises(EngineError, match="is not the one that was trained: in PEFT its logits differ by up to"):
        engine.adapters._prove(other, engine.adapters.whole(other), tmp_path / "one")


def test_nothing_is_left_where_the_proof_fails(make_engine, tmp_path):
    engine = make_engine()
    update = teach(engine)
    chain = engine.adapters.chains[update.id]
    a, b = chain.combined.weights.pop("model.layers.0.self_attn.q_proj")
    weights = {**chain.combined.weights, "model.layers.0.self_attn.q_proj": (a, b + 1)}
    engine.adapters.whole = lambda update: type(chain.combined)(weights, chain.combined.rank, chain.combined.alpha)
    with pytest.raises(EngineError, match="is not the one that was trained"):
        engine.save(update, tmp_path / "update")
    assert not (tmp_path / "update").exists()


def test_a_layer_that_peft_passes_over_is_noticed_and_the_model_is_whole(make_engine, tmp_path):
    engine = make_engine()
    engine.save(teach(engine), tmp_path / "update")
    path = tmp_path / "update" / "adapter_config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "target_modules": config["target_modules"][1:]}))
    modules = state(engine.model)[0]
    with pytest.raises(EngineError, match="PEFT passes over base_model"):
        logits_in_peft(engine.model, tmp_path / "update", [1, 2, 3])
    path.write_text(json.dumps({**config, "target_modules": ["no_such_layer"]}))
    with pytest.raises(EngineError, match="PEFT cannot load the adapter"):
        logits_in_peft(engine.model, tmp_path / "update", [1, 2, 3])
    assert state(engine.model)[0] == modules


def test_what_changes_nothing_has_no_divergence(make_engine, tmp_path):
    engine = make_engine(dtype=torch.float32)
    engine.save(teach(engine, recipe=Recipe(rank=4, epochs=1, learning_rate=1e-30)), tmp_path / "update")
    assert effect(tmp_path / "update")["kl_to_base"] == 0


def test_gaps_and_divergences():
    one = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
    other = one.roll(1)
    expected = torch.nn.functional.kl_div(
        other.log_softmax(-1), one.log_softmax(-1), log_target=True, reduction="batchmean"
    )
    assert mean_kl(one, other) == pytest.approx(float(expected), rel=5e-3) and mean_kl(one, one) == 0
    assert gap_between(one, one + 1e-6, "") == pytest.approx(1e-6, rel=0.5)
    for wrong in (other, one * float("nan"), one + 0.5):
        with pytest.raises(EngineError):
            gap_between(one, wrong, "")


def test_logits_are_those_of_the_model_as_it_is(make_engine):
    engine = make_engine()
    assert torch.equal(logits_of(engine.model, [1, 2, 3]), engine.model(torch.tensor([[1, 2, 3]])).logits[0])
