"""Damaged and hostile model folders and adapters: loaded, or refused in one sentence; nothing else ever happens."""

import json
import shutil

import pytest
from hypothesis import given

torch = pytest.importorskip("torch")

from mutations import examples, mutated_bytes, mutated_json, survives  # noqa: E402

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402
from selfedit.types import BASE, Example, Job, Recipe, Request  # noqa: E402

CONFIG = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "dtype": "float32",
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 258,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-6,
    "layer_types": ["full_attention", "full_attention"],
    "rope_parameters": {"rope_theta": 10000.0, "rope_type": "default"},
    "eos_token_id": 0,
    "use_cache": True,
}
ADAPTER = {
    "peft_type": "LORA",
    "r": 2,
    "lora_alpha": 4,
    "target_modules": ["q_proj"],
    "bias": "none",
    "rank_pattern": {},
    "alpha_pattern": {"q_proj": 4},
    "use_rslora": False,
    "modules_to_save": None,
    "base_model_name_or_path": "some/base",
}
CARD = {"base": "random", "id": "0123456789abcdef", "parent": "base", "tokens": 12, "loss": 1.5, "effect": {}}


def load(folder):
    engine = LocalEngine.from_config(ModelConfig(name=str(folder)))
    return engine.sample([Request(BASE, "Ada", max_new_tokens=2)])


@pytest.fixture
def model(saved_model):
    """Puts a file into the model's folder for as long as the engine is made."""

    def make(name, content):
        path = saved_model / name
        before = path.read_bytes()
        path.write_bytes(content)
        try:
            return survives(load, saved_model)
        finally:
            path.write_bytes(before)

    return make


@pytest.fixture
def adapter(make_engine, tmp_path):
    """Loads an adapter in which a file has other content."""
    engine, folder = make_engine(dtype=torch.float32), tmp_path / "adapter"
    (update,) = engine.train([Job(BASE, (Example("", "Ada"),), Recipe(rank=2, epochs=1, targets=("q_proj",)), 0)])
    engine.save(update, folder)

    def make(name, content):
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        (copy / name).write_bytes(content)
        return survives(engine.load, copy)

    return make


def test_the_original_is_loaded(model, adapter):
    assert model("config.json", json.dumps(CONFIG).encode())
    assert adapter("adapter_config.json", json.dumps(ADAPTER).encode()) and adapter(
        "card.json", json.dumps(CARD).encode()
    )


@pytest.mark.parametrize("name", ["config.json", "generation_config.json", "tokenizer_config.json"])
def test_any_config_of_a_model(model, name):
    originals = {
        "config.json": CONFIG,
        "generation_config.json": {"eos_token_id": 0, "do_sample": True, "temperature": 0.7, "max_length": 20},
        "tokenizer_config.json": {
            "eos_token": "<|end|>",
            "model_max_length": 512,
            "tokenizer_class": "TokenizersBackend",
        },
    }

    @examples(15)
    @given(content=mutated_json(originals[name]))
    def attack(content):
        model(name, content)

    attack()


def test_any_weights_of_a_model(model, saved_model):
    @examples(15)
    @given(content=mutated_bytes((saved_model / "model.safetensors").read_bytes()))
    def attack(content):
        model("model.safetensors", content)

    attack()


@pytest.mark.parametrize(("name", "original"), [("adapter_config.json", ADAPTER), ("card.json", CARD)])
def test_any_config_and_card_of_an_adapter(adapter, name, original):
    @examples(30)
    @given(content=mutated_json(original))
    def attack(content):
        adapter(name, content)

    attack()


def test_any_weights_of_an_adapter(adapter, tmp_path):
    @examples(30)
    @given(content=mutated_bytes((tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()))
    def attack(content):
        adapter("adapter_model.safetensors", content)

    attack()
