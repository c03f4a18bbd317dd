"""A base in 4 bits: trained over, sampled from and reinforced like any other."""

import json
import shutil
import sys

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file  # noqa: E402

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.errors import InputError  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

RECIPE = Recipe(rank=4, alpha=8.0, epochs=6, learning_rate=2e-2)
JOBS = [Job(BASE, (Example("", text),), RECIPE, 1) for text in ("Ada was born in Torvik.", "It sank.")]


def test_without_the_package_it_says_what_to_install(saved_model, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(InputError, match=r"pip install 'selfedit\[quantized\]'"):
        LocalEngine.from_config(ModelConfig(name=str(saved_model), quantize="4bit"))


@pytest.fixture
def engine(saved_model):
    pytest.importorskip("bitsandbytes")
    return LocalEngine.from_config(ModelConfig(name=str(saved_model), quantize="4bit"))


def test_together_equals_alone(engine):
    for job, update in zip(JOBS, engine.train(JOBS), strict=True):
        (alone,) = engine.train([job])
        assert update.loss == pytest.approx(alone.loss, rel=1e-4)


def test_a_loaded_update_answers_as_before_and_can_be_trained_on(engine, tmp_path):
    first, _ = engine.train(JOBS)
    ask = Request(first, "Ada", max_new_tokens=12)
    before = engine.sample([ask])
    engine.save(first, tmp_path / "first")
    loaded = engine.load(tmp_path / "first")
    assert engine.sample([Request(loaded, "Ada", max_new_tokens=12)]) == before
    (second,) = engine.train([Job(loaded, JOBS[1].examples, RECIPE, 2)])
    assert second.parent == loaded.id
    assert engine.sample([Request(BASE, "Ada", max_new_tokens=12)]) != before


@pytest.mark.parametrize(
    "packing", [{"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, {"load_in_8bit": True}], ids=str
)
def test_weights_that_were_saved_packed_are_trained_over(saved_model, tmp_path, packing):
    pytest.importorskip("bitsandbytes")
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    how = BitsAndBytesConfig(**packing)
    packed = AutoModelForCausalLM.from_pretrained(saved_model, quantization_config=how, device_map={"": "cpu"})
    folder = shutil.copytree(saved_model, tmp_path / "packed")
    packed.save_pretrained(folder)
    engine = LocalEngine.from_config(ModelConfig(name=str(folder)))
    first, _ = engine.train(JOBS)
    engine.save(first, tmp_path / "first")
    assert json.loads((tmp_path / "first" / "card.json").read_text())["effect"]["kl_to_base"] > 0
    ids = torch.tensor([engine.text.prompt("Ada")])
    engine.adapters.merge(BASE.id)
    assert torch.allclose(engine.model(ids).logits, packed(ids).logits, atol=1e-5)
    with pytest.raises(InputError, match="is packed already, by bitsandbytes"):
        LocalEngine.from_config(ModelConfig(name=str(folder), quantize="4bit"))


@pytest.mark.parametrize("method", ["gptq", "awq", "hqq", "no_such_packing"])
def test_other_packings_are_refused_by_name(saved_model, method):
    path = saved_model / "config.json"
    settings = {"quantization_config": {"quant_method": method, "bits": 4, "group_size": 128}}
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))
    with pytest.raises(InputError, match=f"is packed by {method}, which cannot be trained over here"):
        LocalEngine.from_config(ModelConfig(name=str(saved_model)))


def test_weights_in_8_bits_of_floating_point_are_unpacked(saved_model):
    whole = LocalEngine.from_config(ModelConfig(name=str(saved_model)))
    weights = {}
    for key, weight in load_file(saved_model / "model.safetensors").items():
        if "_proj.weight" in key:
            scale = weight.abs().max() / 448
            weights[key], weights[f"{key}_scale_inv"] = (weight / scale).to(torch.float8_e4m3fn), scale.reshape(1, 1)
        else:
            weights[key] = weight
    save_file(weights, saved_model / "model.safetensors", metadata={"format": "pt"})
    path = saved_model / "config.json"
    how = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}
    path.write_text(json.dumps({**json.loads(path.read_text()), "quantization_config": how}))
    engine = LocalEngine.from_config(ModelConfig(name=str(saved_model)))
    ids = torch.tensor([whole.text.prompt("Ada was born")])
    assert torch.allclose(engine.model(ids).logits, whole.model(ids).logits, atol=0.02)
    assert all(update.loss > 0 for update in engine.train(JOBS))
