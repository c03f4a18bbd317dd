"""What works with each causal language model of transformers, tried on tiny random ones, as a page.

    python -m selfedit.bench.architectures [KIND ...] [--output docs/architectures.md]

Each is made, written to disk, loaded as a user would, taught, asked, and its adapter read by plain PEFT.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from selfedit.config import ModelConfig
from selfedit.engines.start import quieten
from selfedit.errors import EngineError, InputError
from selfedit.results import TextTable, markdown
from selfedit.types import BASE, Example, Failure, Job, LikelihoodRequest, Recipe, Request, Update

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from selfedit.engines.local.engine import LocalEngine

CONTEXT = 128

SIZES: dict[str, Any] = {
    **dict.fromkeys(("hidden_size", "d_model", "n_embd", "dim", "embedding_size", "word_embed_proj_dim"), 32),
    **dict.fromkeys(("intermediate_size", "ffn_dim", "n_inner", "d_ff", "ffn_hidden_size", "mlp_hidden_size"), 48),
    **dict.fromkeys(("encoder_ffn_dim", "decoder_ffn_dim", "dff"), 48),
    **dict.fromkeys(("num_hidden_layers", "n_layer", "n_layers", "num_layers"), 2),
    **dict.fromkeys(("encoder_layers", "decoder_layers", "num_decoder_layers"), 2),
    **dict.fromkeys(("num_attention_heads", "n_head", "n_heads", "num_heads"), 4),
    **dict.fromkeys(("encoder_attention_heads", "decoder_attention_heads"), 4),
    **dict.fromkeys(("num_key_value_heads", "num_kv_heads", "mamba_n_groups_", "linear_num_key_heads"), 2),
    **dict.fromkeys(("head_dim", "kv_channels", "d_kv", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"), 8),
    **dict.fromkeys(("linear_key_head_dim", "linear_value_head_dim", "hidden_size_per_layer_input"), 8),
    **dict.fromkeys(("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len"), CONTEXT),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"), 4),
    **dict.fromkeys(("num_experts_per_tok", "moe_top_k", "moe_k"), 2),
    **dict.fromkeys(("moe_intermediate_size", "shared_expert_intermediate_size", "q_lora_rank", "kv_lora_rank"), 16),
    **dict.fromkeys(("mamba_headdim", "mamba_d_head", "mamba_chunk_size", "chunk_size", "sliding_window"), 16),
    **dict.fromkeys(("n_group", "topk_group", "first_k_dense_replace", "mamba_n_groups"), 1),
    **dict.fromkeys(("mamba_d_conv", "mamba_n_heads", "mamba_dt_rank", "linear_num_value_heads"), 4),
    **{"linear_conv_kernel_dim": 4, "qk_head_dim": 16, "mamba_d_state": 8, "mamba_expand": 2, "mamba_d_ssm": 64},
    **{"attention_window_size": 16, "lru_width": 32, "vocab_size_per_layer_input": 258, "vocab_size": 258},
    **{"eos_token_id": 0, "bos_token_id": 0, "pad_token_id": 1},
}
"""Those that a kind's config knows are used."""

LATENT = {"num_key_value_heads": 4, "head_dim": 8}
ROTARY = {"rotary_dim": 4, "n_inner": 48}
HYBRID = {"num_hidden_layers": 4, "layer_types": ["linear_attention", "full_attention"] * 2}

MORE: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("axk1", "axk2", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe_lite"), LATENT),
    **dict.fromkeys(("glm_moe_dsa", "minicpm3", "youtu"), LATENT),
    **dict.fromkeys(("qwen3_5_text", "qwen3_5_moe_text", "qwen3_next", "qwen4_exp_text", "minimax"), HYBRID),
    **dict.fromkeys(("codegen", "gptj"), ROTARY),
    "bamba": {"num_hidden_layers": 4, "attn_layer_indices": [1, 3]},
    "dots1": {"first_k_dense_replace": 1, "n_shared_experts": 1},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "window_size": 16},
    "granitemoehybrid": {"num_hidden_layers": 4, "layer_types": ["mamba", "attention"] * 2},
    "jamba": {"num_hidden_layers": 4, "attn_layer_period": 2, "attn_layer_offset": 1},
    "lfm2_moe": {"layer_types": ["conv", "full_attention"], "num_dense_layers": 1},
    "mamba2": {"num_heads": 4, "head_dim": 16, "n_groups": 1, "state_size": 8},
    "moshi": {"sliding_window": CONTEXT},  # its cache knows the window, its mask does not: tried within it only
    "mpt": {"attn_config": {}},
    "nemotron_h": {"layers_block_type": ["mamba", "attention", "mlp", "moe"], "n_shared_experts": 1},
    "recurrent_gemma": {"num_hidden_layers": 3},
    "zamba": {"num_hidden_layers": 4, "layers_block_type": ["mamba", "hybrid"] * 2},
    "zamba2": {
        "num_hidden_layers": 4,
        "layers_block_type": ["mamba", "hybrid"] * 2,
        "hybrid_layer_ids": [1, 3],
        "n_mamba_heads": 4,
    },
    "zaya": {"num_experts_per_tok": 1},
}
"""What a kind needs beside them."""

OTHERS = frozenset(
    (
        # of pictures or sounds as well
        *("emu3", "fuyu", "gemma3", "gemma3n", "gemma4", "gemma4_unified", "git", "got_ocr2", "llama4", "mllama"),
        *("moss_transcribe_diarize", "musicgen", "musicgen_melody", "phi4_multimodal", "qwen3_5", "qwen3_5_moe"),
        *("qwen4_exp", "dots3_note"),
        # halves of other models
        *("gemma4_assistant", "gemma4_unified_assistant", "prophetnet"),
        # whose configs make no model as small as this
        *("bailing_hybrid", "blt", "cohere_compass_text", "cpmant", "dbrx", "dots3_note_text", "gemma3n_text"),
        *("kimi_linear", "lfm3", "longcat_flash", "qwen4_exp_text", "reformer", "xlm", "xlstm"),
    )
)
"""Kinds that are not tried."""

LINES = "Ada Vell was born in Torvik.", "She worked as a baker.", "In the evenings she played the tuba by the river."
ASKED = (("Ada", 3), ("Topic: Handbook", 8), ("Where was Ada Vell born?", 12), ("She", 6))
PASSAGE = " ".join(LINES)
ALIKE = ((f"{PASSAGE} Where?", 4), (f"{PASSAGE} Who was it?", 4), (f"{PASSAGE} Where?", 6), (f"{PASSAGE} Where?", 3))
RECIPE = Recipe(rank=2, alpha=8.0, epochs=2, learning_rate=2e-2, batch_size=2)


MAX_GAP = 1e-3
"""Nats: after two epochs in float32. Rounding makes some 1e-6, and Adam more of it where a gradient is nearly zero."""

INTRODUCTION = """\
# Which models work

Made by `python -m selfedit.bench.architectures`: a tiny random model of each kind of causal language model that
transformers has is written to disk and loaded as a user's would be. Two adapters train together as alone, texts that
are scored or written together come out as alone, and plain PEFT writes the same with the saved adapter; otherwise there
would be no page. What families differ in is measured on the model when it is loaded (`engines/local/abilities.py`),
so kinds that are not here need no list either.

- **rows share a sequence**: short rows of an edit are packed; otherwise each has a sequence of its own: that is slower.
- **batches**: prompts of any lengths together; or only of equal lengths, where padding would be seen; or without a
  cache, where the whole text is read again for every token.
- **adapted layers**: the linear layers that see every token in its place. Experts of a mixture stay frozen, and so do
  layers that PEFT refuses or would take for experts (peft#3711), and weights that several layers share."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one kind. `refusal` is the sentence it is refused with, and then the rest is empty.

    `gap` is the largest difference (nats) between texts scored together and alone, after training together and alone.
    `same_texts`: sampled in one batch as alone. `same_in_peft`: plain PEFT writes the same with the saved adapter.
    """

    kind: str
    model: str = ""
    attention: str = ""
    packs: bool = False
    batches: str = ""
    layers: str = ""
    gap: float = 0.0
    same_texts: bool = False
    same_in_peft: bool = False
    refusal: str = ""

    @property
    def wrong(self) -> str:
        """What is not as it should be; nothing of a kind that is refused."""
        if self.refusal:
            return ""
        wrong = {
            f"together {self.gap:.0e} nats from alone": not self.gap < MAX_GAP,
            "a batch gives other texts": not self.same_texts,
            "plain PEFT writes other texts": not self.same_in_peft,
        }
        return ", ".join(what for what, is_so in wrong.items() if is_so)


def kinds() -> list[str]:
    """Every kind of causal language model that transformers has and that is tried here."""
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    return [kind for kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES if kind not in OTHERS]


def byte_tokenizer() -> PreTrainedTokenizerBase:
    """One token per byte."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<|end|>", "<|pad|>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.add_special_tokens(["<|end|>", "<|pad|>"])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|end|>", pad_token="<|pad|>", model_max_length=CONTEXT
    )


def save_tiny(kind: str, folder: Path) -> None:
    """Write a random model of this kind, of some ten thousand parameters, and its tokenizer."""
    import torch
    from transformers import CONFIG_MAPPING, AutoConfig, AutoModelForCausalLM

    known = CONFIG_MAPPING[kind]().to_dict()
    sizes = {name: value for name, value in SIZES.items() if name in known}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **sizes | MORE.get(kind, {})))
    for weight in model.parameters():
        if weight.dim() > 1:  # as large as in a trained model: with small ones Adam makes much of rounding
            torch.nn.init.normal_(weight, std=weight.shape[-1] ** -0.5)
    model.save_pretrained(folder)
    byte_tokenizer().save_pretrained(folder)


def examine(kind: str, folder: Path) -> Finding:
    """Everything about the model in this folder, where its adapter is saved too."""
    from selfedit.engines.local.engine import LocalEngine
    from selfedit.engines.local.targets import find_targets

    try:
        engine = LocalEngine.from_config(ModelConfig(name=str(folder), device="cpu", dtype="float32"), max_adapters=4)
        engine.describe(RECIPE)
    except InputError as error:
        return Finding(kind, refusal=str(error).replace(str(folder), "the model"))
    able = engine.abilities
    updates, gap = _train(engine)
    return Finding(
        kind,
        type(engine.model).__name__,
        engine.model.config._attn_implementation or "none",
        able.packs,
        "any prompts" if able.pads_left and able.caches else "equal lengths" if able.caches else "without a cache",
        ", ".join(sorted({target.name.rpartition(".")[2] for target in find_targets(engine.model)})),
        gap,
        _same_texts(engine, [BASE, *updates]),
        _same_in_peft(engine, updates[0], folder),
    )


def _train(engine: LocalEngine) -> tuple[list[Update], float]:
    """Two updates that trained together, and how far they, and texts scored together, are from those alone."""
    jobs = [Job(BASE, tuple(Example("", line) for line in LINES[k:]), RECIPE, k) for k in range(2)]
    asked = [("Where?", LINES[0]), ("", LINES[1]), ("Who played the tuba?", " Ada"), ("", "She")]
    apart: list[float] = []
    for job in jobs:
        (alone,) = _updates(engine.train([job]))
        apart += [_nats(engine, [LikelihoodRequest(alone, *one)])[0] for one in asked]
    together = _updates(engine.train(jobs))
    shared = _nats(engine, [LikelihoodRequest(update, *one) for update in together for one in asked])
    return together, max(abs(a - b) for a, b in zip(apart, shared, strict=True))


def _updates(outcomes: Sequence[Update | Failure]) -> list[Update]:
    failures = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    if failures:
        raise EngineError(f"training failed: {failures[0].message}")
    return [outcome for outcome in outcomes if isinstance(outcome, Update)]


def _nats(engine: LocalEngine, requests: Sequence[LikelihoodRequest]) -> list[float]:
    return [float("nan") if isinstance(found, Failure) else found.nats for found in engine.likelihood(requests)]


def _same_texts(engine: LocalEngine, updates: Sequence[Update]) -> bool:
    """Whether prompts and answers of several lengths come out in one batch as they do alone; whatever they share."""
    for asked in (ASKED, ALIKE):
        requests = [Request(update, prompt, max_new_tokens=new) for update in updates for prompt, new in asked]
        if engine.sample(requests) != [engine.sample([request])[0] for request in requests]:
            return False
    return True


def _same_in_peft(engine: LocalEngine, update: Update, folder: Path) -> bool:
    """Whether plain PEFT, over the base read again, writes the same likeliest tokens with the saved adapter."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    engine.save(update, folder / "adapter")
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, str(folder / "adapter")).eval()
    asked = ASKED[1:3]
    for text, (prompt, new) in zip(
        engine.sample([Request(update, prompt, max_new_tokens=new) for prompt, new in asked]), asked, strict=True
    ):
        ids = start = engine.text.prompt(prompt)
        while len(ids) < len(start) + new and (ids == start or ids[-1] not in engine.text.stops):
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits
            ids = [*ids, int(logits[0, -1].argmax())]
        if text != engine.text.decode([token for token in ids[len(start) :] if token not in engine.text.stops]):
            return False
    return True


def page(findings: Sequence[Finding]) -> str:
    """What was found, as Markdown."""
    right = [one for one in findings if not one.refusal]
    columns = ("kind", "model", "attention", "rows share a sequence", "batches", "adapted layers", "in plain PEFT")
    rows = [
        (one.kind, one.model, one.attention, "yes" if one.packs else "no", one.batches, one.layers, "equal")
        for one in right
    ]
    refused = [(one.kind, one.refusal) for one in findings if one.refusal]
    works = TextTable(f"{len(right)} kinds that work", columns, rows)
    return "\n\n".join(
        [INTRODUCTION, markdown(works), markdown(TextTable(f"{len(refused)} refused", ("kind", "why"), refused))]
    )


def find_all(names: Sequence[str]) -> Iterator[Finding]:
    """Each kind, tried on a random model in a folder of its own."""
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            save_tiny(name, Path(folder))
            yield examine(name, Path(folder))


def main() -> None:
    parser = argparse.ArgumentParser(description="What works with each causal language model of transformers")
    parser.add_argument("kinds", nargs="*", help="all where none is named")
    parser.add_argument("--output", type=Path, default=Path("docs/architectures.md"))
    options, findings = parser.parse_args(), list[Finding]()
    for found in find_all(options.kinds or kinds()):
        findings.append(found)
        sys.stderr.write(f"{found.kind}: {found.refusal or found.wrong or 'right'}\n")
    if wrong := [found.kind for found in findings if found.wrong]:
        sys.exit(f"wrong: {', '.join(wrong)}; nothing is written")
    options.output.write_text(page(findings) + "\n", encoding="utf-8")


if __name__ == "__main__":
    quieten()
    main()
