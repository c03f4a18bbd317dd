"""Many adapters trained together are what each would be alone, and what PEFT would make of it."""

import pytest

torch = pytest.importorskip("torch")

from peft import LoraConfig, get_peft_model  # noqa: E402

from selfedit.engines.local.stack import find_targets, initial, views  # noqa: E402
from selfedit.types import BASE, Example, Failure, Job, Recipe, Update  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=3, learning_rate=1e-2)
ATTENTION = ("q_proj", "c_attn", "query_key_value")
MIXED = [
    Job(BASE, (Example("", "Ada was born in Torvik."), Example("", "She sang."), Example("", "x" * 40)), RECIPE, 1),
    Job(BASE, (Example("", "A firm."),), RECIPE, 2),
    Job(BASE, (Example("What?", " A longer answer than the others have."), Example("", "Hm.")), RECIPE, 3),
    Job(BASE, (Example("", "Two documents a step."), Example("", "Yes."), Example("", "No."), Example("", "Maybe so.")),
        Recipe(rank=2, alpha=2.0, epochs=2, learning_rate=3e-3, batch_size=2, targets=ATTENTION), 4),
    Job(BASE, (Example("", "The same rank."),), Recipe(rank=4, alpha=8.0, epochs=5, learning_rate=1e-3), 5),
]  # fmt: skip


def weights(engine, update):
    return engine._trained[update.id][1].weights


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


def test_a_small_wave_gives_the_same(make_engine):
    whole, halves = make_engine(wave=64), make_engine(wave=2)
    jobs = MIXED[:3]
    for one, other in zip(whole.train(jobs), halves.train(jobs), strict=True):
        assert largest_relative_difference(weights(whole, one), weights(halves, other)) <= 1e-9


def test_one_job_equals_peft(make_engine, architecture):
    job = Job(BASE, (Example("", "Ada was born in Torvik."), Example("Where?", " Torvik.")), RECIPE, 7)
    engine = make_engine(architecture, torch.float32)
    targets = find_targets(engine.model)
    start = views(initial(targets, 4, 7, torch.float32, torch.device("cpu"))[None], targets, 4)
    (update,) = engine.train([job])
    ours = weights(engine, update)

    reference = make_engine(architecture, torch.float32)
    config = LoraConfig(
        r=4, lora_alpha=8, target_modules=[t.name for t in targets], fan_in_fan_out=architecture == "gpt2"
    )
    model = get_peft_model(reference.model, config)
    layers = {target.name: model.base_model.model.get_submodule(target.name) for target in targets}
    with torch.no_grad():
        for name, layer in layers.items():
            layer.lora_A["default"].weight.copy_(start[name][0][0])
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=job.recipe.learning_rate, weight_decay=0.0)
    rows = sorted((row for example in job.examples for row in engine.text.rows(example)), key=lambda r: -len(r.ids))
    steps = len(rows) * job.recipe.epochs
    for step in range(steps):
        row = rows[step % len(rows)]
        labels = torch.tensor([[-100] * row.start + row.ids[row.start :]])
        model(input_ids=torch.tensor([row.ids]), labels=labels).loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.param_groups[0]["lr"] = job.recipe.learning_rate * (1 - step / steps)
        optimizer.step()
        optimizer.zero_grad()
    for name, layer in layers.items():
        for mine, theirs in zip(ours[name], (layer.lora_A, layer.lora_B), strict=True):
            assert torch.allclose(mine, theirs["default"].weight, atol=1e-5, rtol=1e-4), name


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
    recipe = Recipe(rank=4, epochs=5, learning_rate=2e-3)
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

    with pytest.raises(InputError, match=r"no layer of the model is called nope; its linear layers are .*q_proj"):
        make_engine().train([Job(BASE, (Example("", "a"),), Recipe(rank=2, targets=("nope",)), 0)])
