"""A random Llama small enough to run every arm, and two edits for it."""

import pytest

torch = pytest.importorskip("torch")

from transformers import LlamaConfig, LlamaForCausalLM  # noqa: E402

from selfedit.bench.edits import BenchEdit  # noqa: E402
from selfedit.bench.setting import Setting  # noqa: E402
from selfedit.types import Example, Recipe  # noqa: E402


@pytest.fixture
def setting(byte_tokenizer, sizes):
    torch.manual_seed(0)
    config = LlamaConfig(**sizes, num_key_value_heads=2, max_position_embeddings=128, tie_word_embeddings=True)
    model = LlamaForCausalLM(config).eval().requires_grad_(False)
    return Setting(model, byte_tokenizer(128), Recipe(rank=4, alpha=8.0, epochs=1, learning_rate=1e-2), 4)


@pytest.fixture
def edits(tasks):
    return [BenchEdit(task, (Example("", task.title), Example("", task.context))) for task in tasks[:2]]
