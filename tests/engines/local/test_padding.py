"""Texts padded as SEAL pads them: the end of text that fills them is learned, and seen by no token."""

import pytest

torch = pytest.importorskip("torch")

from peft import LoraConfig, get_peft_model  # noqa: E402
from transformers import DataCollatorWithPadding, get_scheduler  # noqa: E402

from selfedit.engines.local.targets import adapter_layout  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe  # noqa: E402

TEXTS = ("The firm sells soap to the town.", "Ada sang.", "Hm")
RECIPE = Recipe(4, 8.0, 2, 1e-2, padding="seal")
CONTEXT = 40


def documents(*texts):
    return tuple(Example("", text) for text in texts)


def trained(engine, *jobs):
    updates = engine.train(jobs)
    return updates, [engine.adapters.chains[update.id].own.weights for update in updates]


def by_transformers(model, tokenizer, recipe, seed):
    """The layers of a PEFT model, trained as SEAL's server trains it (docs/seal.md 1.3): labels are what is padded."""
    layout = adapter_layout(model, [recipe])
    start = layout.views(layout.initial(layout, seed)[None])
    names = [target.name for target in layout.targets]
    config = LoraConfig(
        r=recipe.rank, lora_alpha=recipe.alpha, target_modules=names, fan_in_fan_out=model.config.model_type == "gpt2"
    )
    model = get_peft_model(model, config, autocast_adapter_dtype=False).double()
    layers = {name: model.base_model.model.get_submodule(name) for name in names}
    with torch.no_grad():
        for name, layer in layers.items():
            layer.lora_A["default"].weight.copy_(start[name][0][0])
    tokenizer.pad_token = tokenizer.eos_token
    collate = DataCollatorWithPadding(tokenizer, padding="max_length", max_length=CONTEXT)
    parameters = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=recipe.learning_rate, weight_decay=0.0)
    batches = [TEXTS[i : i + recipe.batch_size] for i in range(0, len(TEXTS), recipe.batch_size)]
    schedule = get_scheduler("linear", optimizer, 0, recipe.epochs * len(batches))
    for texts in batches * recipe.epochs:
        batch = collate([{"input_ids": tokenizer.encode(text)} for text in texts])
        logits = model(**batch).logits  # transformers' own loss would round them to float32
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), batch["input_ids"][:, 1:].flatten()).backward()
        torch.nn.utils.clip_grad_norm_(parameters, recipe.clip)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return layers


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_job_equals_transformers_with_seals_collator(make_engine, architecture, batch_size):
    recipe = Recipe(4, 8.0, 2, 1e-2, batch_size=batch_size, padding="seal")
    engine = make_engine(architecture, context=CONTEXT)
    _, (ours,) = trained(engine, Job(BASE, documents(*TEXTS), recipe, 7))
    other = make_engine(architecture, context=CONTEXT)
    for name, layer in by_transformers(other.model, other.text.tokenizer, recipe, 7).items():
        for mine, theirs in zip(ours[name], (layer.lora_A, layer.lora_B), strict=True):
            assert torch.allclose(mine, theirs["default"].weight, atol=1e-9, rtol=1e-9), name


def test_together_equals_alone(make_engine, architecture):
    engine = make_engine(architecture, context=CONTEXT)
    recipes = [RECIPE, Recipe(4, 8.0, 1, 1e-2, batch_size=3, padding="seal"), Recipe(4, 8.0, 2, 1e-2)]
    recipes += [Recipe(4, 8.0, 2, 1e-2, top_layers=True, padding=padding) for padding in ("seal", "none")]
    jobs = [Job(BASE, documents(*TEXTS[: 1 + seed % 3]), recipe, seed) for seed, recipe in enumerate(recipes * 2)]
    _, together = trained(engine, *jobs)
    for job, weights in zip(jobs, together, strict=True):
        _, (alone,) = trained(engine, job)
        for name, pair in alone.items():
            assert all(torch.allclose(*ab, atol=1e-9, rtol=1e-9) for ab in zip(weights[name], pair, strict=True))


def test_padding_changes_what_is_learned_and_counts_as_trained(make_engine):
    engine = make_engine(context=CONTEXT)
    examples = (*documents("Ada sang."), Example("Who sang?", " Ada"))
    padded, plain = engine.train([Job(BASE, examples, recipe, 0) for recipe in (RECIPE, Recipe(4, 8.0, 2, 1e-2))])
    assert padded.tokens == RECIPE.epochs * 2 * CONTEXT
    assert plain.tokens == RECIPE.epochs * (len("Ada sang.") + len("Who sang?") + len(" Ada") + 2)
    assert padded.loss != plain.loss


def test_rows_are_filled_to_the_context_and_a_prompt_is_not_learned(make_engine):
    text = make_engine(context=16).text
    (row,) = text.padded_rows(Example("Who?", " Ada", 0.5))
    assert (row.length, row.start, row.padding, row.weight) == (16, 4, 8, 0.5)
    assert row.ids[8:] == [text.end] * 8
    rows = text.padded_rows(Example("", "x" * 20))
    assert [(row.length, row.padding) for row in rows] == [(16, 0), (16, 12)]
