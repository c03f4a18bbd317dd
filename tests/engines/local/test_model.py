"""Loading: what cannot be loaded says why, and what to do."""

import json

import pytest

pytest.importorskip("torch")

from selfedit.config import ModelConfig
from selfedit.engines.local.engine import LocalEngine
from selfedit.errors import InputError
from selfedit.types import BASE, Request


def load(name, **options):
    return LocalEngine.from_config(ModelConfig(name=str(name), **options))


def test_a_directory_loads_and_answers(saved_model):
    (answer,) = load(saved_model).sample([Request(BASE, "Ada", max_new_tokens=3)])
    assert isinstance(answer, str)


def test_a_model_without_a_tokenizer(saved_model):
    for file in saved_model.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(InputError, match=r"has no tokenizer: put its tokenizer\.json beside config\.json"):
        load(saved_model)


def test_a_tokenizer_without_an_end_of_text(saved_model):
    path = saved_model / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token": None}))
    with pytest.raises(InputError, match="has no end-of-text token"):
        load(saved_model)


def test_pickled_weights_are_refused(saved_model):
    (saved_model / "model.safetensors").rename(saved_model / "pytorch_model.bin")
    with pytest.raises(InputError, match="only safetensors files are loaded"):
        load(saved_model)


def test_code_from_a_model_is_never_run(saved_model):
    path = saved_model / "config.json"
    code = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "model_type": "evil", "auto_map": code}))
    (saved_model / "evil.py").write_text("raise SystemExit('code from a model was run')")
    with pytest.raises(InputError):
        load(saved_model)


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(InputError, match=r"is not a model directory: it has no config\.json"):
        load(tmp_path / "nothing" / "here")


def test_a_hub_that_cannot_be_reached_says_how_to_pass_a_directory():
    with pytest.raises(InputError, match="--model path/to/directory"):
        load("someone/some-model")


def test_a_device_that_is_not_there(saved_model):
    with pytest.raises(InputError, match=r"model\.device is 'tpus'"):
        load(saved_model, device="tpus")
