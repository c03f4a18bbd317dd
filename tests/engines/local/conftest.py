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
from selfedit.engines.local.model import attention  # noqa: E402

ARCHITECTURES = {
    "llama": lambda **sizes: LlamaForCausalLM(LlamaConfig(**sizes)),
    "llama-gqa": lambda **sizes: LlamaForCausalLM(LlamaConfig(**sizes, num_key_value_heads=2)),
    "qwen2": lambda **sizes: Qwen2ForCausalLM(Qwen2Config(**sizes, num_key_value_heads=2)),
    "gpt-neox": lambda **sizes: GPTNeoXForCausalLM(GPTNeoXConfig(**sizes)),
    "gpt2": lambda **sizes: GPT2LMHeadModel(GPT2Config(**sizes)),  # it knows these names too
}
OTHERS = {
    "mistral": lambda **sizes: MistralForCausalLM(MistralConfig(**sizes, num_key_value_heads=2, sliding_window=8)),
    "mixed": lambda **sizes: Qwen2ForCausalLM(
        Qwen2Config(
            **sizes,
            num_key_value_heads=2,
            use_sliding_window=True,
            sliding_window=8,
            layer_types=["sliding_attention", "full_attention"] * (sizes["num_hidden_layers"] // 2),
        )
    ),
    "mixtral": lambda **sizes: MixtralForCausalLM(
        MixtralConfig(**sizes, num_key_value_heads=2, num_local_experts=4, experts_implementation="eager")
    ),
}


@pytest.fixture(params=ARCHITECTURES)
def architecture(request):
    return request.param


@pytest.fixture
def make_engine(byte_tokenizer, sizes):
    """(architecture, dtype, ...) -> an engine over a random model; the same arguments give the same weights."""

    def make(architecture="llama", dtype=torch.float64, template="", max_adapters=64, context=128, memory="", **more):
        torch.manual_seed(0)
        model = (ARCHITECTURES | OTHERS)[architecture](**sizes | more, max_position_embeddings=context)
        model.to(dtype).eval().requires_grad_(False)
        if chosen := attention(dtype, torch.device("cpu")):
            model.set_attn_implementation(chosen)
        return LocalEngine(
            model, byte_tokenizer(context), ModelConfig(name="random", template=template, memory=memory), max_adapters
        )

    return make
