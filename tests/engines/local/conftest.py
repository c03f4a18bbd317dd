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
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from selfedit.config import ModelConfig  # noqa: E402
from selfedit.engines.local.engine import LocalEngine  # noqa: E402

VOCABULARY = 258
SIZES = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_attention_heads": 4,
    "vocab_size": VOCABULARY,
    "bos_token_id": None,
    "eos_token_id": 0,
}
ARCHITECTURES = {
    "llama": lambda **more: LlamaForCausalLM(LlamaConfig(**SIZES | more)),
    "llama-gqa": lambda **more: LlamaForCausalLM(LlamaConfig(**SIZES | more, num_key_value_heads=2)),
    "qwen2": lambda **more: Qwen2ForCausalLM(Qwen2Config(**SIZES | more, num_key_value_heads=2)),
    "gpt-neox": lambda **more: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES | more)),
    "gpt2": lambda **more: GPT2LMHeadModel(GPT2Config(**SIZES | more)),  # it knows these names too
}
OTHERS = {
    "mistral": lambda **more: MistralForCausalLM(
        MistralConfig(**SIZES | more, num_key_value_heads=2, sliding_window=8)
    ),
    "mixtral": lambda **more: MixtralForCausalLM(
        MixtralConfig(**SIZES | more, num_key_value_heads=2, num_local_experts=4, experts_implementation="eager")
    ),
}


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture
def make_engine(byte_tokenizer):
    """(architecture, dtype, ...) -> an engine over a random model; the same arguments give the same weights."""

    def make(architecture="llama", dtype=torch.float64, template="", wave=64, context=128, memory="", **more):
        torch.manual_seed(0)
        model = (ARCHITECTURES | OTHERS)[architecture](max_position_embeddings=context, **more)
        model.to(dtype).eval().requires_grad_(False)
        return LocalEngine(
            model, byte_tokenizer(context), ModelConfig(name="random", template=template, memory=memory), wave
        )

    return make
