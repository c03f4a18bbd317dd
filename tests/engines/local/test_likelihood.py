"""The likelihood of a target is the model's own, whatever else is in the batch."""

import pytest

torch = pytest.importorskip("torch")

from peft import PeftModel  # noqa: E402

from selfedit.engines.local.likelihood import score_together  # noqa: E402
from selfedit.types import BASE, Example, Failure, Job, Likelihood, LikelihoodRequest, Recipe  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=4, learning_rate=2e-2)
TEXTS = [("Who sells soap?", " The firm."), ("", "Ada was born in Torvik."), ("It", " sank")]


def trained(engine):
    return engine.train([Job(BASE, (Example("", text),), RECIPE, 0) for text in ("Ada sells soap.", "It sank.")])


def likelihoods(engine, requests):
    """Mean log-probabilities per token."""
    return [likelihood.per_token for likelihood in engine.likelihood(requests)]


def plain(engine, prompt, target):
    """The mean log-probability of the target's tokens, by one forward pass of transformers."""
    before = engine.text.prompt(prompt)
    after = list(engine.text.tokenizer.encode(target, add_special_tokens=False))
    ids = torch.tensor([before + after])
    log_p = engine.model(input_ids=ids).logits[0].log_softmax(-1)
    first = max(len(before), 1)
    return log_p[first - 1 : -1].gather(1, ids[0, first:, None]).mean().item()


def test_it_equals_a_plain_forward_pass(make_engine, architecture):
    engine = make_engine(architecture)
    read = likelihoods(engine, [LikelihoodRequest(BASE, *text) for text in TEXTS])
    assert read == pytest.approx([plain(engine, *text) for text in TEXTS], rel=1e-9)


def test_alone_equals_in_a_batch(make_engine, architecture):
    engine = make_engine(architecture)
    requests = [LikelihoodRequest(update, *text) for update in [BASE, *trained(engine)] for text in TEXTS]
    together = likelihoods(engine, requests)
    assert together == pytest.approx([likelihoods(engine, [request])[0] for request in requests], rel=1e-9)
    assert len(set(together)) == len(requests)


def test_an_update_that_is_attached_reads_as_the_same_update_merged(make_engine, tmp_path):
    engine = make_engine()
    update = trained(engine)[0]
    engine.save(update, tmp_path / "update")
    attached = likelihoods(engine, [LikelihoodRequest(update, *text) for text in TEXTS])
    merged = engine.load(tmp_path / "update")
    assert likelihoods(engine, [LikelihoodRequest(merged, *text) for text in TEXTS]) == pytest.approx(
        attached, rel=1e-6
    )


def test_what_was_learned_becomes_likelier(make_engine):
    engine = make_engine()
    (update,) = engine.train([Job(BASE, (Example("", "It sank."),), Recipe(rank=8, epochs=40, learning_rate=1e-2), 0)])
    before, after = likelihoods(
        engine, [LikelihoodRequest(BASE, "It", " sank."), LikelihoodRequest(update, "It", " sank.")]
    )
    assert after > before + 0.3


def test_what_cannot_be_read_is_a_failure_of_the_system_in_its_place(make_engine):
    engine = make_engine()
    long = "a" * engine.text.context
    read = engine.likelihood(
        [LikelihoodRequest(BASE, "It", ""), LikelihoodRequest(BASE, "It", " sank"), LikelihoodRequest(BASE, long, "b")]
    )
    assert [type(value) for value in read] == [Failure, Likelihood, Failure]
    assert read[0].blame == read[2].blame == "system"


def test_an_update_reads_as_peft_does(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    update = trained(engine)[0]
    engine.save(update, tmp_path / "adapter")
    other = make_engine(architecture)
    other.model = PeftModel.from_pretrained(other.model, tmp_path / "adapter", autocast_adapter_dtype=False)
    read = likelihoods(engine, [LikelihoodRequest(update, *text) for text in TEXTS])
    assert read == pytest.approx([plain(other, *text) for text in TEXTS], rel=1e-9)


def test_a_prompt_goes_through_the_template_and_a_plain_text_does_not(make_engine):
    bare, wrapped = make_engine(), make_engine(template="Q: {prompt} A:")
    assert wrapped.likelihood([LikelihoodRequest(BASE, "Who?", " Ada")]) == bare.likelihood(
        [LikelihoodRequest(BASE, "Q: Who? A:", " Ada")]
    )
    assert wrapped.likelihood([LikelihoodRequest(BASE, "", "Ada")]) == bare.likelihood(
        [LikelihoodRequest(BASE, "", "Ada")]
    )


def test_a_target_is_cut_at_the_context(make_engine):
    engine = make_engine(context=32)
    whole, cut = likelihoods(engine, [LikelihoodRequest(BASE, "Ada", "x" * size) for size in (32 - 3, 100)])
    assert cut == pytest.approx(whole, rel=1e-9)


def test_memory_that_runs_out_halves_the_batch(make_engine, monkeypatch):
    engine = make_engine()
    requests = [LikelihoodRequest(BASE, *text) for text in TEXTS * 3]
    expected = likelihoods(engine, requests)

    def cramped(model, groups, measure):
        if sum(len(rows) for _, rows in groups) > 2:
            raise torch.OutOfMemoryError("too many")
        return score_together(model, groups, measure)

    monkeypatch.setattr("selfedit.engines.local.engine.score_together", cramped)
    assert likelihoods(engine, requests) == pytest.approx(expected, rel=1e-9)


def test_the_log_probability_is_summed_over_as_many_tokens_as_it_counts(make_engine):
    engine = make_engine(dtype=torch.float32)
    (whole,) = engine.likelihood([LikelihoodRequest(BASE, "Ada", " sank")])
    assert whole.tokens == len(" sank")
    parts = [LikelihoodRequest(BASE, "Ada" + " sank"[:end], " sank"[end]) for end in range(whole.tokens)]
    assert whole.nats == pytest.approx(sum(part.nats for part in engine.likelihood(parts)), rel=1e-5)
