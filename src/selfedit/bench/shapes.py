"""The models that are measured, and how much of the work fits a few minutes on each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from selfedit.bench.plan import ShapePlan
from selfedit.config import ModelConfig
from selfedit.errors import InputError

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

CONTEXT = 2048
"""The context of the random models, in tokens: what SEAL pads its training rows to."""


FULL = ShapePlan((1, 8, 32, 128), baseline_edits=60, seal_edits=30)


@dataclass(frozen=True, slots=True)
class Shape:
    """A model by its sizes, with random weights; the embedded one has no sizes here and is loaded. `key`: in JSON."""

    key: str
    kind: str = ""
    sizes: dict[str, Any] = field(default_factory=dict)
    cpu: ShapePlan = FULL
    gpu: ShapePlan = FULL

    @property
    def taught(self) -> bool:
        """Whether its answers mean anything."""
        return not self.kind

    def plan(self, device: str) -> ShapePlan:
        return self.cpu if device == "cpu" else self.gpu


def _sizes(
    hidden: int, layers: int, heads: int, kv_heads: int, ffn: int, vocabulary: int, tied: bool
) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "intermediate_size": ffn,
        "vocab_size": vocabulary,
        "tie_word_embeddings": tied,
    }


SHAPES = {
    "embedded": Shape("embedded"),
    "smollm2-135m": Shape(
        "smollm2_135m",
        "llama",
        _sizes(576, 30, 9, 3, 1536, 49152, tied=True),
        cpu=ShapePlan((1, 8, 16), baseline_edits=2, seal_edits=0, epochs=1),
    ),
    "qwen2.5-0.5b": Shape(
        "qwen2_5_0_5b",
        "qwen2",
        _sizes(896, 24, 14, 2, 4864, 151936, tied=True),
        cpu=ShapePlan((1, 8), baseline_edits=2, seal_edits=0, epochs=1),
    ),
    "qwen2.5-7b": Shape(
        "qwen2_5_7b",
        "qwen2",
        _sizes(3584, 28, 28, 4, 18944, 152064, tied=False),
        cpu=ShapePlan((1, 8), baseline_edits=2, seal_edits=0, epochs=1),
        gpu=ShapePlan((1, 8, 32), baseline_edits=10, seal_edits=4),
    ),
}


def shape_named(name: str) -> Shape:
    """Raises InputError with the names there are."""
    if name not in SHAPES:
        raise InputError(f"there is no shape {name!r}; the shapes are {', '.join(SHAPES)}")
    return SHAPES[name]


def load_shape(shape: Shape, device: torch.device) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model, frozen, in bfloat16 on a GPU and float32 elsewhere, and the embedded model's tokenizer."""
    from selfedit.engines.local.model import load_model

    if shape.taught:
        return load_model(ModelConfig(device=str(device)))
    _, tokenizer = load_model(ModelConfig(device="cpu"))
    tokenizer.model_max_length = CONTEXT
    return _random_model(shape, tokenizer, device), tokenizer


def _random_model(shape: Shape, tokenizer: PreTrainedTokenizerBase, device: torch.device) -> PreTrainedModel:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    torch.manual_seed(0)
    config = AutoConfig.for_model(
        shape.kind,
        **shape.sizes,
        max_position_embeddings=CONTEXT,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    dtype = torch.float32 if device.type == "cpu" else torch.bfloat16
    with device:  # made where it is used: seven billion weights are slow to make elsewhere and move
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    made: PreTrainedModel = model.requires_grad_(False).eval()
    return made
