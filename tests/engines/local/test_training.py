"""Many adapters trained together are what each would be alone, and what PEFT would make of it."""

import math

import pytest

torch = pytest.importorskip("torch")

from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import get_scheduler  # noqa: E402

from selfedit.engines.local.targets import adapter_layout  # noqa: E402
from selfedit.types import BASE, Example, Failure, Job, Recipe, Update  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=3, learning_rate=1e-2)
ATTENTION = ("q_proj", "c_attn", "query_key_value")


def documents(*texts):
    return tuple(Example("", text) for text in texts)


SOME = documents("Two documents a step.", "Yes.", "No.", "Maybe so.", "It is a long way from here to the sea.")
MIXED = [
    Job(BASE, documents("Ada was born in Torvik.", "She sang.", "x" * 40), RECIPE, 1),
    Job(BASE, documents("A firm."), RECIPE, 2),
    Job(BASE, (Example("What?", " A longer answer than the others have."), Example("", "Hm.")), RECIPE, 3),
    Job(BASE, SOME, Recipe(2, 2.0, 2, 3e-3, batch_size=2, targets=ATTENTION), 4),
    Job(BASE, SOME[:1], Recipe(4, 8.0, 5, 1e-3, weight_decay=0.1), 5),
    Job(BASE, SOME, Recipe(3, 9.0, 3, 5e-3, schedule="cosine", warmup=0.3, clip=0.01), 6),
    Job(BASE, SOME, Recipe(1, 1.0, 2, 2e-2, batch_size=3, schedule="constant", clip=0.0), 7),
    Job(BASE, SOME, Recipe(4, 8.0, 2, 1e-2, pack=True), 8),
    Job(BASE, SOME[:3], Recipe(4, 8.0, 3, 1e-2, dropout=0.4), 9),
    Job(BASE, SOME[:3], Recipe(4, 8.0, 3, 1e-2, dropout=0.1, batch_size=2), 10),
    Job(BASE, SOME[:2], Recipe(4, 8.0, 9, 1e-2, early_stop=5.5), 11),
    Job(BASE, SOME[:3], Recipe(4, 8.0, 3, 1e-2, top_layers=True), 12),
    Job(BASE, SOME[2:], Recipe(2, 8.0, 2, 1e-2, top_layers=True, pack=True), 13),
    Job(BASE, SOME, Recipe(4, 8.0, 1, 1e-2, tokens=77), 14),
    Job(BASE, SOME, Recipe(4, 8.0, 1, 1e-2, top_layers=True, batch_size=2, tokens=77), 15),
]


def weights(engine, update):
    return engine.adapters.chains[update.id].own.weights


def largest_relative_difference(one, other):
    return max(
        float((a - b).abs().max() / b.abs().max().clamp(min=1e-12))
        for name in other
        for a, b in zip(one[name], other[name], strict=True)
    )


def test_together_equals_alone(make_engine, architecture):
    engine = make_engine(architecture)
    together = [weights(engine, update) for update in engine.train(MIXED)]
    for job, weight in zip(MIXED, together, strict=True):
        (alone,) = engine.train([job])
        assert largest_relative_difference(weight, weights(engine, alone)) <= 1e-9


def test_a_budget_of_tokens_is_what_was_trained_and_it_is_counted(make_engine):
    engine = make_engine()
    recipes = [Recipe(4, 8.0, learning_rate=1e-2, tokens=tokens) for tokens in (5, 40, 200)]
    updates = engine.train([Job(BASE, SOME, recipe, 0) for recipe in recipes])
    assert [update.tokens for update in updates] == [5, 39, 199]  # a document's first token alone teaches nothing
    assert updates[0].loss > updates[2].loss


@pytest.mark.parametrize("max_adapters", [1, 2, 5])
def test_few_at_a_time_give_the_same(make_engine, max_adapters):
    """Jobs that are done leave, and those that wait take their slots."""
    whole, few = make_engine(max_adapters=64), make_engine(max_adapters=max_adapters)
    for one, other in zip(whole.train(MIXED), few.train(MIXED), strict=True):
        assert largest_relative_difference(weights(whole, one), weights(few, other)) <= 1e-9


def test_sliding_windows_and_shared_sequences(make_engine):
    """Rows that share a sequence see neither each other nor past the model's window."""
    recipe = Recipe(rank=4, alpha=8.0, epochs=2, learning_rate=1e-2, pack=True)
    jobs = [Job(BASE, SOME, recipe, 0), Job(BASE, documents("x" * 90, *"abc"), recipe, 1), *MIXED]
    engine = make_engine("mistral")
    for job, update in zip(jobs, engine.train(jobs), strict=True):
        (alone,) = engine.train([job])
        assert largest_relative_difference(weights(engine, update), weights(engine, alone)) <= 1e-9


RECIPES = {
    "plain": RECIPE,
    "two rows a step": Recipe(4, 8.0, 3, 1e-2, batch_size=2),
    "packed": Recipe(4, 8.0, 3, 1e-2, pack=True),
    "schedule": Recipe(4, 8.0, 3, 1e-2, schedule="cosine", warmup=0.4),
    "decay and clip": Recipe(4, 8.0, 3, 1e-2, schedule="constant", weight_decay=0.2, clip=0.05),
    "upper half": Recipe(4, 8.0, 3, 1e-2, top_layers=True),
}


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_one_job_equals_peft(make_engine, architecture, recipe):
    assert_equal_to_peft(make_engine, architecture, recipe)


def test_the_upper_half_of_a_model_that_mixes_kinds_of_layers_equals_peft(make_engine):
    assert_equal_to_peft(make_engine, "mixed", RECIPES["upper half"])


def test_a_single_layer_is_its_own_upper_half(make_engine):
    jobs = [Job(BASE, SOME, Recipe(4, 8.0, 2, 1e-2, top_layers=top), 0) for top in (False, True)]
    engine = make_engine(num_hidden_layers=1)
    whole, top = (weights(engine, update) for update in engine.train(jobs))
    assert whole.keys() == top.keys() and largest_relative_difference(whole, top) <= 1e-9


def assert_equal_to_peft(make_engine, architecture, recipe):
    examples = (*documents("Ada was born in Torvik.", "Hm."), Example("Where?", " Torvik."))
    engine = make_engine(architecture, torch.float32)
    (update,) = engine.train([Job(BASE, examples, recipe, 7)])
    ours = weights(engine, update)
    rows = sorted((row for example in examples for row in engine.text.rows(example)), key=lambda r: -len(r.ids))
    for name, layer in trained_by_peft(make_engine(architecture, torch.float32).model, rows, recipe, seed=7).items():
        for mine, theirs in zip(ours[name], (layer.lora_A, layer.lora_B), strict=True):
            assert torch.allclose(mine, theirs["default"].weight, atol=1e-5, rtol=1e-4), name


def trained_by_peft(frozen, rows, recipe, seed):
    """The layers of a PEFT model after a plain loop over the rows, padded to the longest of a step."""
    layout = adapter_layout(frozen, [recipe])
    start = layout.views(layout.initial(layout, seed).float()[None])
    config = LoraConfig(
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        target_modules=[target.name for target in layout.targets],
        fan_in_fan_out=frozen.config.model_type == "gpt2",
    )
    model = get_peft_model(frozen, config)
    layers = {target.name: model.base_model.model.get_submodule(target.name) for target in layout.targets}
    with torch.no_grad():
        for name, layer in layers.items():
            layer.lora_A["default"].weight.copy_(start[name][0][0])
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    size = len(rows) if recipe.pack else recipe.batch_size
    batches = [rows[begin : begin + size] for begin in range(0, len(rows), size)]
    steps = len(batches) * recipe.epochs
    schedule = get_scheduler(recipe.schedule, optimizer, math.ceil(recipe.warmup * steps), steps)
    for step in range(steps):
        batch = batches[step % len(batches)]
        longest = max(len(row.ids) for row in batch)
        pads = [longest - len(row.ids) for row in batch]
        ids = torch.tensor([row.ids + [0] * pad for row, pad in zip(batch, pads, strict=True)])
        labels = torch.tensor(
            [[-100] * row.start + row.ids[row.start :] + [-100] * pad for row, pad in zip(batch, pads, strict=True)]
        )
        mask = torch.tensor([[1] * len(row.ids) + [0] * pad for row, pad in zip(batch, pads, strict=True)])
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        if recipe.clip:
            torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return layers


def test_the_rank_and_layers_of_a_job_are_its_own(make_engine):
    engine = make_engine()
    small, _ = engine.train(
        [
            Job(BASE, SOME, Recipe(rank=2, epochs=1, targets=("q_proj",)), 0),
            Job(BASE, SOME, Recipe(rank=8, epochs=1), 0),
        ]
    )
    assert {name.rpartition(".")[2] for name in weights(engine, small)} == {"q_proj"}
    assert all(a.shape[0] == b.shape[1] == 2 for a, b in weights(engine, small).values())


def test_training_ends_early_when_the_loss_is_low_enough(make_engine):
    engine = make_engine()
    whole, early = engine.train(
        [Job(BASE, SOME, Recipe(rank=4, epochs=20, learning_rate=3e-2, early_stop=stop), 0) for stop in (0.0, 5.45)]
    )
    assert early.tokens < whole.tokens and early.loss < 5.45
    assert early.tokens % sum(len(example.target) + 1 for example in SOME) == 0  # whole epochs


def test_a_base_in_half_precision_learns_the_same_roughly(make_engine, architecture):
    """In bfloat16. Not in float16: on a CPU some processors make training on it diverge (LOG.md)."""
    dtype = torch.bfloat16
    recipe = Recipe(rank=4, epochs=20, learning_rate=2e-2)
    half, full = (
        make_engine(architecture, kind).train([Job(BASE, SOME, recipe, 0)])[0] for kind in (dtype, torch.float32)
    )
    (first,) = make_engine(architecture, dtype).train(
        [Job(BASE, SOME, Recipe(rank=4, epochs=1, learning_rate=1e-6), 0)]
    )
    assert half.loss < first.loss - 0.1
    assert abs(half.loss - full.loss) < 0.1 * full.loss


def test_experts_kept_in_one_tensor_stay_frozen(make_engine):
    engine = make_engine("mixtral")
    jobs = MIXED[:4]
    for job, update in zip(jobs, engine.train(jobs), strict=True):
        (alone,) = engine.train([job])
        assert not any("experts" in name for name in weights(engine, update))
        assert largest_relative_difference(weights(engine, update), weights(engine, alone)) <= 1e-9


def test_training_leaves_the_base_untouched(make_engine):
    engine = make_engine()
    before = {name: weight.clone() for name, weight in engine.model.state_dict().items()}
    engine.train(MIXED)
    after = engine.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_training_lowers_the_loss(make_engine):
    engine = make_engine()
    short, long = (Recipe(rank=4, epochs=epochs, learning_rate=5e-2) for epochs in (1, 60))
    first, last = engine.train([Job(BASE, (Example("", "Ada sang."),), recipe, 0) for recipe in (short, long)])
    assert last.loss < first.loss - 0.2  # a random head allows little more


def test_a_job_that_diverges_fails_alone(make_engine):
    engine = make_engine(dtype=torch.float32)
    fine = Job(BASE, (Example("", "Ada sang."),), RECIPE, 0)
    wild = Job(BASE, (Example("", "Ada sang.", float("inf")),), RECIPE, 1)
    kept, failed = engine.train([fine, wild])
    (alone,) = engine.train([fine])
    assert isinstance(failed, Failure) and failed.blame == "policy" and "diverged" in failed.message
    assert isinstance(kept, Update) and kept.loss == alone.loss


def test_an_edit_without_tokens_is_the_policys_fault(make_engine):
    (outcome,) = make_engine().train([Job(BASE, (Example("", ""),), RECIPE, 0)])
    assert isinstance(outcome, Failure) and outcome.blame == "policy"


def test_a_negative_weight_pushes_away(make_engine):
    engine = make_engine()
    liked, disliked = Example("q", "ab"), Example("q", "cd", -0.3)
    recipe = Recipe(rank=4, epochs=1, learning_rate=2e-3)
    (update,) = engine.train([Job(BASE, (disliked,), recipe, 0)])
    (other,) = engine.train([Job(BASE, (liked,), recipe, 0)])
    assert update.loss < 0 < other.loss


def test_tokens_are_counted_without_padding(make_engine):
    engine = make_engine()
    (update,) = engine.train([Job(BASE, (Example("", "abc"), Example("", "a" * 20)), RECIPE, 0)])
    assert update.tokens == RECIPE.epochs * (4 + 21)


def test_rank_above_the_width_is_refused(make_engine):
    from selfedit.errors import InputError

    with pytest.raises(InputError, match="rank 500 is above the width"):
        make_engine().train([Job(BASE, (Example("", "a"),), Recipe(rank=500), 0)])


def test_targets_that_match_nothing_are_named(make_engine):
    from selfedit.errors import InputError

    with pytest.raises(InputError, match=r"no layer of the model is called nope; .* can be adapted are .*q_proj"):
        make_engine().train([Job(BASE, (Example("", "a"),), Recipe(rank=2, targets=("nope",)), 0)])


def test_nothing_to_do_is_nothing_done(make_engine):
    engine = make_engine()
    assert engine.train([]) == [] and engine.sample([]) == []


def test_a_learning_rate_that_explodes_stops_that_job_alone(make_engine):
    """In the middle of training: neighbours in the same steps, and those that wait for its place, notice nothing."""
    engine = make_engine(dtype=torch.float32, max_adapters=2)
    wild = Job(BASE, SOME, Recipe(rank=4, epochs=5, learning_rate=1e30, clip=0.0), 0)
    jobs = [MIXED[0], wild, MIXED[1], wild, MIXED[2]]
    outcomes = engine.train(jobs)
    for job, outcome in zip(jobs, outcomes, strict=True):
        if job is wild:
            assert isinstance(outcome, Failure) and outcome.blame == "policy" and "diverged" in outcome.message
        else:
            (alone,) = engine.train([job])
            assert outcome.loss == pytest.approx(alone.loss, rel=1e-5)


def test_a_document_longer_than_the_context_becomes_several_rows(make_engine):
    engine = make_engine(context=32)
    (update,) = engine.train([Job(BASE, documents("x" * 100), Recipe(rank=4, epochs=1), 0)])
    assert update.tokens == 100 + 4  # four rows, an end-of-text each
