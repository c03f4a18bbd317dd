"""The likelihood of a target is the model's own, whatever is read beside it."""

import pytest

torch = pytest.importorskip("torch")

from peft import PeftModel  # noqa: E402

from selfedit.types import BASE, Example, Failure, Job, LikelihoodRequest, Recipe  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=4, learning_rate=2e-2)
TEXTS = [("Who sells soap?", " The firm."), ("", "Ada was born in Torvik."), ("It", " sank")]


def trained(engine):
    return engine.train([Job(BASE, (Example("", text),), RECIPE, 0) for text in ("Ada sells soap.", "It sank.")])


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
    read = engine.likelihood([LikelihoodRequest(BASE, *text) for text in TEXTS])
    assert read == pytest.approx([plain(engine, *text) for text in TEXTS], rel=1e-9)


def test_alone_equals_in_a_batch(make_engine, architecture):
    engine = make_engine(architecture)
    readings = [LikelihoodRequest(update, *text) for update in [BASE, *trained(engine)] for text in TEXTS]
    together = engine.likelihood(readings)
    assert together == pytest.approx([engine.likelihood([reading])[0] for reading in readings], rel=1e-9)
    assert len(set(together)) == len(readings)


def test_an_update_worn_reads_as_the_same_update_merged(make_engine, tmp_path):
    engine = make_engine()
    update = trained(engine)[0]
    engine.save(update, tmp_path / "update")
    worn = engine.likelihood([LikelihoodRequest(update, *text) for text in TEXTS])
    merged = engine.load(tmp_path / "update")
    assert engine.likelihood([LikelihoodRequest(merged, *text) for text in TEXTS]) == pytest.approx(worn, rel=1e-6)


def test_what_was_learned_becomes_likelier(make_engine):
    engine = make_engine()
    (update,) = engine.train([Job(BASE, (Example("", "It sank."),), Recipe(rank=8, epochs=40, learning_rate=1e-2), 0)])
    before, after = engine.likelihood(
        [LikelihoodRequest(BASE, "It", " sank."), LikelihoodRequest(update, "It", " sank.")]
    )
    assert after > before + 0.3


def test_what_cannot_be_read_is_a_failure_of_the_system_in_its_place(make_engine):
    engine = make_engine()
    long = "a" * engine.text.context
    read = engine.likelihood(
        [LikelihoodRequest(BASE, "It", ""), LikelihoodRequest(BASE, "It", " sank"), LikelihoodRequest(BASE, long, "b")]
    )
    assert [type(value) for value in read] == [Failure, float, Failure]
    assert read[0].blame == read[2].blame == "system"


def test_an_update_reads_as_peft_does(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    update = trained(engine)[0]
    engine.save(update, tmp_path / "adapter")
    other = make_engine(architecture)
    other.model = PeftModel.from_pretrained(other.model, tmp_path / "adapter", autocast_adapter_dtype=False)
    read = engine.likelihood([LikelihoodRequest(update, *text) for text in TEXTS])
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
    whole, cut = engine.likelihood([LikelihoodRequest(BASE, "Ada", "x" * size) for size in (32 - 3, 100)])
    assert cut == pytest.approx(whole, rel=1e-9)


def test_memory_that_runs_out_halves_the_batch(make_engine, monkeypatch):
    engine = make_engine()
    readings = [LikelihoodRequest(BASE, *text) for text in TEXTS * 3]
    expected, read = engine.likelihood(readings), engine._read

    def small(batch):
        if len(batch) > 2:
            raise torch.OutOfMemoryError("too many")
        return read(batch)

    monkeypatch.setattr(engine, "_read", small)
    assert engine.likelihood(readings) == pytest.approx(expected, rel=1e-9)
