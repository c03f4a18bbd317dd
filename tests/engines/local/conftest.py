"""Small random models of several architectures, with a byte tokenizer: nothing is fetched."""

import pytest

torch = pytest.importorskip("torch")

from transformers import (  # noqa: E402
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402

VOCABULARY = 258
SIZES = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
    "vocab_size": VOCABULARY,
    "bos_token_id": None,
    "eos_token_id": 0,
}
ARCHITECTURES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SIZES)),
    "llama-gqa": lambda: LlamaForCausalLM(LlamaConfig(**SIZES, num_key_value_heads=2)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(**SIZES, num_key_value_heads=2, tie_word_embeddings=True)),
    "gpt-neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)),
    "gpt2": lambda: GPT2LMHeadModel(
        GPT2Config(
            vocab_size=VOCABULARY, n_positions=128, n_embd=32, n_layer=2, n_head=4, bos_token_id=None, eos_token_id=0
        )
    ),
}


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture
def make_engine(byte_tokenizer):
    """(architecture, dtype, ...) -> an engine over a random model; the same arguments give the same weights."""

    def make(architecture="llama", dtype=torch.float64, template="", wave=64):
        torch.manual_seed(0)
        model = ARCHITECTURES[architecture]().to(dtype).eval().requires_grad_(False)
        return LocalEngine(model, byte_tokenizer(128), ModelConfig(name="random", template=template), wave)

    return make
