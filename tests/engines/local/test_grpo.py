"""Ratio, clip and KL are those of TRL's GRPO: its own code computes what is compared here."""

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
pytest.importorskip("trl")

from selfedit.engines.local.batch import pack_rows  # noqa: E402
from selfedit.engines.local.grpo import grpo_loss, reference_logprobs  # noqa: E402
from selfedit.engines.local.lora import attached  # noqa: E402
from selfedit.engines.local.targets import adapter_layout  # noqa: E402
from selfedit.engines.local.text import TokenRow  # noqa: E402
from selfedit.engines.local.training import gradients  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe  # noqa: E402

PROMPT = "Write: "
WRITTEN = [("It sank.", 1.2), ("The firm sells soap.", -0.7), ("Hm", -0.5)]
LIMITS = [(0.2, 0.0), (0.2, 0.1), (0.05, 0.5), (0.0, 0.1)]


@pytest.fixture
def make_trainer(tmp_path):
    """TRL's trainer of a model, with no more done to it than its losses need."""

    def make(model, tokenizer, ratio_clip, kl):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # TRL uses options that transformers means to drop
            from datasets import Dataset
            from trl import GRPOConfig, GRPOTrainer

            arguments = GRPOConfig(
                str(tmp_path), loss_type="bnpo", epsilon=ratio_clip, beta=0.0, report_to=[], use_cpu=True, bf16=False,
                per_device_train_batch_size=2, num_generations=2, gradient_checkpointing=False,
                use_bias_correction_kl=False,  # as in GRPO's paper; TRL's default is DeepSeek-V3.2's
            )  # fmt: skip
            trainer = GRPOTrainer(
                model, lambda completions, **_: [0.0], arguments, Dataset.from_dict({"prompt": ["", ""]}),
                processing_class=tokenizer,
            )  # fmt: skip
        trainer.beta, trainer.current_gradient_accumulation_steps = kl, 1  # with a beta, it would load a second model
        return trainer

    return make


def inputs(rows, prompt):
    """The batch as TRL takes it: completions padded to the right."""
    completions = [row.ids[prompt:] for row in rows]
    longest = max(len(ids) for ids in completions)
    return {
        "prompt_ids": torch.tensor([row.ids[:prompt] for row in rows]),
        "prompt_mask": torch.ones(len(rows), prompt, dtype=torch.long),
        "completion_ids": torch.tensor([ids + [1] * (longest - len(ids)) for ids in completions]),
        "completion_mask": torch.tensor([[1] * len(ids) + [0] * (longest - len(ids)) for ids in completions]),
        "advantages": torch.tensor([row.weight for row in rows], dtype=torch.float64),
    }


def log_probabilities(trainer, model, batch):
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)
    with torch.no_grad():
        return trainer._get_per_token_logps_and_entropies(model, ids, mask, batch["completion_ids"].shape[1])[0]


def rows_of(engine):
    return [row for text, weight in WRITTEN for row in engine.text.rows(Example(PROMPT, text, weight))]


def leaves_of(model, recipe, seed):
    layout = adapter_layout(model, [recipe])
    flat = torch.randn(1, layout.size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) / 5
    return {
        name: (a.clone().requires_grad_(), b.clone().requires_grad_()) for name, (a, b) in layout.views(flat).items()
    }


@pytest.mark.parametrize("ratio_clip, kl", LIMITS)
def test_loss_and_gradients_equal_trls(make_engine, make_trainer, ratio_clip, kl):
    engine, recipe = make_engine(), Recipe(rank=4, ratio_clip=ratio_clip, kl=kl)
    model, rows, leaves = engine.model, rows_of(engine), leaves_of(engine.model, recipe, 1)
    flat = [weight for pair in leaves.values() for weight in pair]
    trainer, batch = make_trainer(model, engine.text.tokenizer, ratio_clip, kl), inputs(rows, len(PROMPT))
    with attached(model, leaves, torch.ones(1, dtype=torch.float64)):
        now = log_probabilities(trainer, model, batch)
        old, start = (now + torch.randn(now.shape, generator=torch.Generator().manual_seed(s)) / 3 for s in (2, 3))
        before = {"old_per_token_logps": old} if ratio_clip else {}
        theirs = trainer._compute_loss(model, batch | before | {"ref_per_token_logps": start})
        expected = torch.autograd.grad(theirs, flat)
        kept = batch["completion_mask"].bool()
        of_rows = reference_logprobs(
            *([p[mask] for p, mask in zip(of, kept, strict=True)] for of in (old, start)), recipe
        )
        learned = [
            TokenRow(row.ids, row.start, row.weight, reference_logprobs=references)
            for row, references in zip(rows, of_rows, strict=True)
        ]
        (ours,), found = gradients(model, flat, pack_rows([learned], model))
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-6)
    for one, other in zip(found, expected, strict=True):
        assert torch.allclose(one, other, rtol=1e-5, atol=1e-7)
        assert float(other.abs().max()) > 1e-4


@pytest.mark.parametrize("ratio_clip, kl", LIMITS)
def test_a_job_equals_a_loop_over_trls_loss(make_engine, make_trainer, tmp_path, ratio_clip, kl):
    """From a parent that is not the base: the ratio is to the parent, the divergence from the base.

    TRL's log-probs are float32, and Adam divides by the gradient's own size: where that is nearly zero, TRL's rounding
    decides the step. So whole matrices are compared and not each element.
    """
    engine, other = make_engine(), make_engine()
    (first,) = engine.train([Job(BASE, (Example("", "It sank."),), Recipe(4, 8.0, 8, 2e-2), 0)])
    engine.save(first, tmp_path / "parent")
    examples = tuple(Example(PROMPT, text, abs(weight) if not ratio_clip else weight) for text, weight in WRITTEN)
    recipe = Recipe(4, 8.0, 4, 2e-2, schedule="constant", pack=True, ratio_clip=ratio_clip, kl=kl)
    (update,) = engine.train([Job(engine.load(tmp_path / "parent"), examples, recipe, 7)])

    rows = sorted((row for example in examples for row in engine.text.rows(example)), key=lambda row: -len(row.ids))
    model, batch = other.model, inputs(rows, len(PROMPT))
    trainer = make_trainer(model, engine.text.tokenizer, ratio_clip, kl)
    batch["ref_per_token_logps"] = log_probabilities(trainer, model, batch)
    other.adapters.merge(other.load(tmp_path / "parent").id)
    if ratio_clip:
        batch["old_per_token_logps"] = log_probabilities(trainer, model, batch)
    layout = adapter_layout(model, [recipe])
    leaves = {
        name: (a.clone().requires_grad_(), b.clone().requires_grad_())
        for name, (a, b) in layout.views(layout.initial(layout, 7)[None]).items()
    }
    flat = [weight for pair in leaves.values() for weight in pair]
    optimizer, losses = torch.optim.AdamW(flat, lr=2e-2, weight_decay=0.0), []
    for _ in range(recipe.epochs):
        with attached(model, leaves, torch.full((1,), 2.0, dtype=torch.float64)):
            loss = trainer._compute_loss(model, batch)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(flat, 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert update.loss == pytest.approx(losses[-1], rel=1e-5)
    assert len(set(losses)) == recipe.epochs
    for name, pair in engine.adapters.chains[update.id].own.weights.items():
        for mine, theirs in zip(pair, leaves[name], strict=True):
            gap, length = (mine - theirs[0]).norm().item(), theirs.norm().item()
            assert gap < 1e-3 * length, name


NUMBERS = st.floats(-3, 3).map(lambda number: round(number, 3))


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1), st.sampled_from([0.0, 0.1, 0.3]), NUMBERS)
def test_the_derivative_is_autograds(tokens, ratio_clip, kl):
    log_p, old, start, advantages = torch.tensor(tokens, dtype=torch.float64).T
    recipe = Recipe(ratio_clip=ratio_clip, kl=abs(kl))
    (references,) = reference_logprobs([old], [start], recipe)
    leaf = log_p.clone().requires_grad_()
    ratio = (leaf - (old if ratio_clip else log_p)).exp()
    limited = ratio.clamp(1 - ratio_clip, 1 + ratio_clip) if ratio_clip else ratio
    expected = -torch.minimum(ratio * advantages, limited * advantages)
    expected = expected + recipe.kl * ((start - leaf).exp() - (start - leaf) - 1)
    losses, wanted = grpo_loss(log_p, advantages, references)
    assert torch.allclose(losses, expected)
    assert torch.allclose(-wanted, torch.autograd.grad(expected.sum(), leaf)[0], atol=1e-12)


def test_jobs_with_and_without_limits_train_side_by_side_as_alone(make_engine):
    engine = make_engine()
    examples = tuple(Example(PROMPT, *one) for one in WRITTEN)
    recipes = [Recipe(4, 8.0, 3, 1e-2, ratio_clip=clip, kl=kl) for clip, kl in LIMITS if clip]
    recipes += [Recipe(4, 8.0, 1, 1e-2), Recipe(4, 8.0, 3, 1e-2, ratio_clip=0.2, kl=0.1, padding="seal")]
    jobs = [Job(BASE, examples, recipe, seed) for seed, recipe in enumerate(recipes)]
    for job, update in zip(jobs, engine.train(jobs), strict=True):
        (alone,) = make_engine().train([job])
        assert update.loss == pytest.approx(alone.loss, rel=1e-9)


def test_negative_weights_without_a_limit_are_refused(make_engine):
    job = Job(BASE, (Example("q", "a", -1.0),), Recipe(rank=2, epochs=2, kl=0.1), 0)
    with pytest.raises(InputError, match="negative weights"):
        make_engine().train([job])
