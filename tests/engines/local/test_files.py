"""Adapters on disk: PEFT reads ours, we read PEFT's, and what is loaded is what was saved."""

import json

import pytest

torch = pytest.importorskip("torch")

from peft import LoraConfig, PeftModel, get_peft_model  # noqa: E402

from selfedit.errors import EngineError, InputError  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=6, learning_rate=2e-2)


def teach(engine, parent, text, seed=0):
    (update,) = engine.train([Job(parent, (Example("", text),), RECIPE, seed)])
    return update


def greedy(engine, update):
    return engine.sample([Request(update, prompt, max_new_tokens=12) for prompt in ("Ada", "The firm")])


def test_peft_reads_our_adapter(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    update = teach(engine, BASE, "Ada was born in Torvik.")
    engine.save(update, tmp_path / "adapter")
    other = make_engine(architecture)
    model = PeftModel.from_pretrained(other.model, tmp_path / "adapter", autocast_adapter_dtype=False)
    prompt = engine.text.prompt("Ada")
    expected = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=12, do_sample=False, pad_token_id=1)
    (answer,) = engine.sample([Request(update, "Ada", max_new_tokens=12)])
    assert answer == engine.text.decode(expected[0, len(prompt) :].tolist())


def test_we_read_an_adapter_of_peft(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    names = [name for name, _ in engine.model.named_modules() if name.endswith(("q_proj", "c_attn", "query_key_value"))]
    config = LoraConfig(r=3, lora_alpha=5, target_modules=names, fan_in_fan_out=architecture == "gpt2")
    model = get_peft_model(make_engine(architecture).model, config)
    torch.manual_seed(1)
    for weight in model.parameters():
        if weight.requires_grad:
            torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(tmp_path / "theirs")
    update = engine.load(tmp_path / "theirs")
    prompt = engine.text.prompt("Ada")
    expected = model.generate(input_ids=torch.tensor([prompt]), max_new_tokens=12, do_sample=False, pad_token_id=1)
    (answer,) = engine.sample([Request(update, "Ada", max_new_tokens=12)])
    assert answer == engine.text.decode(expected[0, len(prompt) :].tolist())


def test_a_loaded_update_answers_as_before_it_was_saved(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    update = teach(engine, BASE, "Ada was born in Torvik.")
    before = greedy(engine, update)
    engine.save(update, tmp_path / "adapter")
    assert greedy(engine, engine.load(tmp_path / "adapter")) == before


def test_an_update_of_an_update_holds_both(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    engine.save(teach(engine, BASE, "Ada was born in Torvik."), tmp_path / "first")
    first = engine.load(tmp_path / "first")
    second = teach(engine, first, "The firm sells soap.", seed=1)
    answers = greedy(engine, second)
    engine.save(second, tmp_path / "second")
    fresh = make_engine(architecture)
    assert greedy(fresh, fresh.load(tmp_path / "second")) == answers
    assert json.loads((tmp_path / "second" / "card.json").read_text())["parent"] == first.id


def test_the_base_is_back_after_an_update_was_merged(make_engine, architecture, tmp_path):
    engine = make_engine(architecture)
    before = {name: weight.clone() for name, weight in engine.model.state_dict().items()}
    engine.save(teach(engine, BASE, "Ada was born in Torvik."), tmp_path / "adapter")
    greedy(engine, engine.load(tmp_path / "adapter"))
    greedy(engine, BASE)
    after = engine.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_an_adapter_of_another_model_is_refused(make_engine, tmp_path):
    llama = make_engine("llama")
    llama.save(teach(llama, BASE, "Ada."), tmp_path / "adapter")
    with pytest.raises(InputError, match="was trained for another model"):
        make_engine("gpt2").load(tmp_path / "adapter")


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "holds no adapter that can be read"), ("{", "is not JSON"), ("{}", "has r = None"), ("[]", "no table")],
)
def test_a_folder_without_an_adapter_is_refused(make_engine, tmp_path, content, message):
    if content is not None:
        (tmp_path / "adapter_config.json").write_text(content)
    with pytest.raises(InputError, match=message):
        make_engine().load(tmp_path)


def test_a_parent_that_is_not_known_is_an_engine_error(make_engine):
    engine = make_engine()
    update = teach(engine, BASE, "Ada.")
    engine.release([update])
    with pytest.raises(EngineError, match="is not known"):
        teach(engine, update, "More.")
