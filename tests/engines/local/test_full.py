"""Training all weights: equal to a plain loop, and the base is back to the last bit."""

import json

import pytest

torch = pytest.importorskip("torch")

from transformers import AutoModelForCausalLM, get_scheduler  # noqa: E402

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local import engine as engine_module  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.engines.local.full import train_full  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Example, Failure, Job, LikelihoodRequest, Recipe, Request  # noqa: E402

EXAMPLES = (
    Example("", "Ada was born in Torvik."),
    Example("Where?", " Torvik."),
    Example("", "The firm sells soap to the town."),
)
RECIPE = Recipe(epochs=3, learning_rate=2e-3, method="full")
RECIPES = {
    "plain": RECIPE,
    "two rows a step": Recipe(epochs=2, learning_rate=2e-3, batch_size=2, weight_decay=0.1, method="full"),
    "schedule": Recipe(epochs=3, learning_rate=2e-3, schedule="cosine", warmup=0.4, clip=0.05, method="full"),
    "padded": Recipe(epochs=2, learning_rate=2e-3, padding="seal", method="full"),
}


def teach(engine, recipe=RECIPE, parent=BASE, examples=EXAMPLES):
    (update,) = engine.train([Job(parent, examples, recipe, 0)])
    return update


def answers(engine, update):
    """What it says, and how likely it finds something."""
    texts = engine.sample([Request(update, prompt, max_new_tokens=12) for prompt in ("Ada", "The firm")])
    read = [LikelihoodRequest(update, "Where?", " Torvik."), LikelihoodRequest(update, "", "It sank.")]
    return texts, [likelihood.per_token for likelihood in engine.likelihood(read)]


def same(one, other):
    return one[0] == other[0] and one[1] == pytest.approx(other[1], rel=1e-9)


def plainly(model, rows, recipe):
    """The model after a plain loop over the rows, each in a forward pass of its own."""
    model.requires_grad_()
    optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    batches = [rows[i : i + recipe.batch_size] for i in range(0, len(rows), recipe.batch_size)]
    steps = len(batches) * recipe.epochs
    schedule = get_scheduler(recipe.schedule, optimizer, int(-(-recipe.warmup * steps // 1)), steps)
    for batch in batches * recipe.epochs:
        losses = []
        for row in batch:
            mask = torch.tensor([[1] * (row.length - row.padding) + [0] * row.padding])
            log_p = model(torch.tensor([row.ids]), attention_mask=mask).logits[0].log_softmax(-1)
            losses += [-log_p[place - 1, row.ids[place]] for place in range(max(row.start, 1), row.length)]
        (sum(losses) / len(losses)).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), recipe.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return dict(model.named_parameters())


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_a_job_equals_a_plain_loop(make_engine, architecture, recipe, tied):
    engine, other = (make_engine(architecture, context=48, tie_word_embeddings=tied) for _ in range(2))
    update = teach(engine, recipe)
    split = other.text.padded_rows if recipe.padding == "seal" else other.text.rows
    rows = sorted((row for example in EXAMPLES for row in split(example)), key=lambda row: -row.length)
    expected = plainly(other.model, rows, recipe)
    found = engine.adapters.loaded[update.id].weights
    assert found.keys() == expected.keys()
    for name, weight in expected.items():
        assert torch.allclose(found[name], weight, rtol=1e-9, atol=1e-9), name


def test_the_base_is_back_to_the_last_bit(make_engine, architecture):
    engine = make_engine(architecture, torch.float32)
    before = {name: weight.clone() for name, weight in engine.model.state_dict().items()}
    update = teach(engine)
    assert all(torch.equal(before[name], weight) for name, weight in engine.model.state_dict().items())
    answers(engine, update)
    answers(engine, BASE)
    assert all(torch.equal(before[name], weight) for name, weight in engine.model.state_dict().items())
    assert not any(weight.requires_grad for weight in engine.model.parameters())


def test_other_updates_are_as_if_it_had_not_been_trained(make_engine):
    engine, other = make_engine(), make_engine()
    adapter = Job(BASE, EXAMPLES, Recipe(rank=4, epochs=3, learning_rate=1e-2), 1)
    mixed = engine.train([Job(BASE, EXAMPLES, RECIPE, 0), adapter, Job(BASE, EXAMPLES[:1], RECIPE, 0)])
    (alone,) = other.train([adapter])
    assert same(answers(engine, mixed[1]), answers(other, alone))
    assert len({update.loss for update in mixed}) == 3


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_loaded_answers_as_what_was_saved(make_engine, architecture, tmp_path, tied):
    engine = make_engine(architecture, tie_word_embeddings=tied)
    update = teach(engine)
    before = answers(engine, update)
    assert not same(before, answers(engine, BASE))
    engine.save(update, tmp_path / "update")
    fresh = make_engine(architecture, tie_word_embeddings=tied)
    loaded = fresh.load(tmp_path / "update")
    assert loaded == update and same(answers(fresh, loaded), before)
    assert [path.name for path in tmp_path.iterdir()] == ["update"]
    assert json.loads((tmp_path / "update" / "card.json").read_text())["base"] == "random"


@pytest.mark.parametrize("tied", [False, True])
def test_what_is_saved_is_a_model_by_itself(make_engine, architecture, tmp_path, tied):
    engine = make_engine(architecture, tie_word_embeddings=tied)
    update = teach(engine)
    engine.save(update, tmp_path / "update")
    model = LocalEngine.from_config(ModelConfig(name=str(tmp_path / "update"), dtype="float64"))
    assert same(answers(model, BASE), answers(engine, update))
    ids = torch.tensor([engine.text.prompt("Ada")])
    engine.adapters.merge(update.id)
    plain = AutoModelForCausalLM.from_pretrained(tmp_path / "update", dtype=torch.float64)
    assert torch.allclose(plain(ids).logits, engine.model(ids).logits, atol=1e-12)


def test_it_is_the_parent_of_others_and_they_hold_it(make_engine, architecture, tmp_path):
    """A full update on a full one, an adapter on a full one, a full one on an adapter."""
    engine = make_engine(architecture)
    engine.save(teach(engine), tmp_path / "full")
    engine.save(teach(engine, Recipe(rank=4, epochs=3, learning_rate=1e-2)), tmp_path / "adapter")
    full, adapter = engine.load(tmp_path / "full"), engine.load(tmp_path / "adapter")
    other = (Example("", "It sank in 1843."),)
    low_rank = Recipe(rank=4, epochs=3, learning_rate=1e-2)
    for parent, recipe in ((full, RECIPE), (full, low_rank), (adapter, RECIPE)):
        child = teach(engine, recipe, parent, other)
        expected = answers(engine, child)
        assert child.parent == parent.id and not same(expected, answers(engine, parent))
        engine.save(child, tmp_path / "child")
        fresh = make_engine(architecture)
        assert same(answers(fresh, fresh.load(tmp_path / "child")), expected)


def test_a_job_that_diverges_fails_alone_and_leaves_the_base(make_engine):
    engine = make_engine(dtype=torch.float32)
    before = answers(engine, BASE)
    wild = Job(BASE, EXAMPLES, Recipe(epochs=3, learning_rate=1e30, method="full"), 0)
    failed, kept = engine.train([wild, Job(BASE, EXAMPLES, RECIPE, 0)])
    assert isinstance(failed, Failure) and failed.blame == "policy" and "diverged" in failed.message
    assert same(answers(engine, BASE), before) and kept.loss == teach(make_engine(dtype=torch.float32)).loss


def test_out_of_memory_is_the_systems_failure_and_leaves_the_base(make_engine, monkeypatch):
    engine = make_engine()
    before = answers(engine, BASE)

    def cramped(model, state, on_step):
        def full(adapters, loss):
            raise torch.OutOfMemoryError("CUDA out of memory")

        return train_full(model, state, full)

    monkeypatch.setattr(engine_module, "train_full", cramped)
    failed = teach(engine)
    assert isinstance(failed, Failure) and failed.blame == "system" and "out of memory" in failed.message
    assert same(answers(engine, BASE), before)


def test_another_models_weights_are_refused(make_engine, tmp_path):
    small, large = make_engine(), make_engine(num_hidden_layers=3)
    small.save(teach(small), tmp_path / "small")
    large.save(teach(large), tmp_path / "large")
    for engine, folder in ((small, "large"), (large, "small"), (make_engine("gpt2"), "small")):
        with pytest.raises(InputError, match=r"was trained for another model: .* does not fit random"):
            engine.load(tmp_path / folder)


def test_it_is_forgotten_when_released(make_engine):
    engine = make_engine()
    update = teach(engine)
    engine.release([update])
    assert not engine.adapters.loaded


def test_in_bfloat16_it_runs(make_engine):
    engine = make_engine(dtype=torch.bfloat16)
    update = teach(engine)
    assert update.loss > 0 and {weight.dtype for weight in engine.adapters.loaded[update.id].weights.values()} == {
        torch.bfloat16
    }


def test_describe_says_what_is_trained_and_what_that_takes(make_engine):
    engine = make_engine()
    said = engine.describe(RECIPE)
    assert said["trainable per job"] == f"all {engine.model.num_parameters():,} parameters"
    assert said["together"] == "one job at a time" and "more in training" in said["memory"]
