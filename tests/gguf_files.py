"""GGUF files of small models, made with the gguf package as llama.cpp's converter makes them."""

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFWriter
from gguf.quants import quantize
from tokenizers import pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

TOKENS = ["<|end|>", "<|pad|>", *sorted(pre_tokenizers.ByteLevel.alphabet()), "Ġt"]
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def small_llama(tied=True, **more):
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(
        **sizes,
        num_key_value_heads=2,
        vocab_size=len(TOKENS),
        max_position_embeddings=128,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=0,
        **more,
    )
    return LlamaForCausalLM(config).eval()


def write_gguf(path, model, kind="F32", settings=(), extra=(), architecture="llama"):
    """Writes the model to `path`: its matrices in a type of GGML, the rest in float32.

    `settings` are functions that are called with the writer, `extra` more tensors by name.
    """
    writer, config = GGUFWriter(path, architecture), model.config
    writer.add_name("small")
    writer.add_block_count(config.num_hidden_layers)
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3] + [1] * (len(TOKENS) - 2))
    writer.add_token_merges(["Ġ t"])
    writer.add_eos_token_id(0)
    writer.add_pad_token_id(1)
    for setting in settings:
        setting(writer)
    for name, weight in model.state_dict().items():
        if not (name.startswith("lm_head") and config.tie_word_embeddings):
            _add(writer, _name_of(name), _turned(name, weight, config).numpy(), kind)
    for name, weight in dict(extra).items():
        writer.add_tensor(name, np.asarray(weight, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _add(writer, name, weight, kind):
    if weight.ndim == 1 or kind == "F32":
        return writer.add_tensor(name, weight)
    stored = GGMLQuantizationType[kind]
    writer.add_tensor(name, quantize(weight, stored), raw_dtype=stored)


def _name_of(name):
    parts = name.removesuffix(".weight")
    if parts.startswith("model.layers."):
        _, _, layer, inner = parts.split(".", 3)
        return f"blk.{layer}.{NAMES[inner]}.weight"
    return f"{NAMES[parts]}.weight"


def _turned(name, weight, config):
    """llama.cpp has the two halves of a rotated head's rows interleaved."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = next((number for part, number in heads.items() if part in name), None)
    if not count:
        return weight
    return weight.view(count, 2, -1, weight.shape[1]).swapaxes(1, 2).reshape(weight.shape).contiguous()
