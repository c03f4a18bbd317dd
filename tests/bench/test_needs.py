"""What a model needs that is not here, from its sizes."""

from dataclasses import replace

import pytest
import torch

from selfedit.bench.needs import FOUR_BITS, needs, shape_of, token_bytes_of, weight_bytes
from selfedit.bench.shapes import SHAPES, Shape, load_shape
from selfedit.config import load_config
from selfedit.engines.local.memory import token_bytes
from selfedit.engines.local.targets import adapter_layout
from selfedit.types import Recipe

SIZES = SHAPES["qwen2.5-0.5b"].sizes | {"hidden_size": 448, "intermediate_size": 640, "vocab_size": 4096}
SMALL = Shape("small", "qwen2", SIZES | {"num_hidden_layers": 4})


def config(*overrides):
    return load_config(None, ["model.name=Some/Small", *overrides])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Qwen/Qwen2.5-7B", "qwen2.5-7b"),
        ("Qwen/Qwen2.5-0.5B-Instruct", "qwen2.5-0.5b"),
        ("HuggingFaceTB/SmolLM2-135M", "smollm2-135m"),
        ("someone/embedded", None),
        ("Qwen/Qwen2.5-72B", None),
    ],
)
def test_sizes_are_known_by_the_name_of_the_model(name, key):
    assert shape_of(name) is SHAPES.get(key)


@pytest.mark.parametrize("recipe", [Recipe(rank=2), Recipe(rank=2, top_layers=True)], ids=["all layers", "upper half"])
def test_the_memory_of_a_token_is_that_of_the_whole_model(recipe):
    model, _ = load_shape(SMALL, torch.device("meta"))
    model.to_empty(device="cpu")
    assert token_bytes_of(SMALL, recipe) == pytest.approx(token_bytes(model, adapter_layout(model, [recipe])), rel=0.02)


def test_weights_in_four_bits_are_those_of_the_layers_but_not_of_the_head():
    model, _ = load_shape(SMALL, torch.device("meta"))
    rest = model.get_input_embeddings().weight.numel()
    size = weight_bytes(model, quantized=False)
    assert size == 2 * model.num_parameters()
    assert 2 * rest < weight_bytes(model, quantized=True) < 2 * rest + (size - 2 * rest) * (FOUR_BITS + 0.02) / 1.9


def test_more_memory_takes_more_adapters_up_to_the_limit():
    wide = replace(SMALL, sizes=SMALL.sizes | {"num_hidden_layers": 2, "hidden_size": 3584, "intermediate_size": 18944})
    found = needs(wide, config("inner.rank=256", "max_adapters=60"))["together"].split("; ")
    counts = [int(part.split(" adapters")[0].rpartition(" ")[2]) for part in found]
    assert len(found) == 4 and found[0].startswith("with 24 GB of GPU memory up to ")
    assert counts == sorted(counts) and counts[0] < counts[-1] == 60


def test_a_model_that_does_not_fit_is_said_not_to(monkeypatch):
    monkeypatch.setattr("selfedit.bench.needs.GPUS", (0.0001,))
    assert needs(SMALL, config())["together"] == "with 0.0001 GB of GPU memory too little"


def test_training_all_weights_takes_four_times_their_memory_more():
    found = needs(SMALL, config("inner.method=full"))
    assert found["together"] == "one job at a time" and "GB more in training" in found["memory"]
