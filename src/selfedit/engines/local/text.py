"""Text to token ids and back, the one place that knows about templates, special tokens and the context length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from selfedit.types import Example, LikelihoodRequest

SEAL_LENGTH = 2048
"""Tokens to which SEAL pads every training text (docs/seal.md 1.3)."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One row to train on or to score: token ids, where its target begins, and the weight of its loss.

    The last `padding` ids are no text: they are predicted like the rest, but no token attends to them.
    `reference_logprobs` [scored, 4] is what the policy's log-probabilities are compared with in training (grpo.py), if
    they are. `soft_tokens` and `soft_probs` [scored, k] are the top tokens of the row's teacher, if it has one.
    """

    ids: list[int]
    start: int
    weight: float
    padding: int = 0
    reference_logprobs: Tensor | None = field(default=None, compare=False)
    soft_tokens: Tensor | None = field(default=None, compare=False)
    soft_probs: Tensor | None = field(default=None, compare=False)

    @property
    def length(self) -> int:
        return len(self.ids)

    @property
    def scored(self) -> int:
        """How many tokens are predicted: all of the target, but the first of a plain text, which follows nothing."""
        return max(0, len(self.ids) - max(self.start, 1))


class Text:
    """`template` wraps every prompt (`{prompt}` in its place); without one, the tokenizer's chat template does."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, template: str = "") -> None:
        self.tokenizer, self.template = tokenizer, template
        self.context = context_length(model, tokenizer)
        self.end: int = tokenizer.eos_token_id
        self.stops = _stops(model, self.end)

    @property
    def style(self) -> str:
        """How prompts are wrapped, for people."""
        if self.template:
            return f"through the template {self.template!r}"
        return "through the tokenizer's chat template" if self.tokenizer.chat_template else "as plain text"

    def prompt(self, text: str) -> list[int]:
        """A prompt in the template. An empty one stays empty."""
        if not text:
            return []
        if self.template:
            return self._encode(self.template.replace("{prompt}", text))
        if self.tokenizer.chat_template:
            message = [{"role": "user", "content": text}]
            rendered = self.tokenizer.apply_chat_template(message, tokenize=False, add_generation_prompt=True)
            return list(self.tokenizer.encode(str(rendered), add_special_tokens=False))
        return self._encode(text)

    def _encode(self, text: str) -> list[int]:
        ids = list(self.tokenizer.encode(text))
        return ids[:-1] if ids and ids[-1] == self.end else ids

    def rows(self, example: Example) -> list[TokenRow]:
        """The training rows of an example, each ending in exactly one end-of-text token.

        A plain document longer than the context becomes several rows; a prompt with a target is cut at its end.
        """
        if example.prompt:
            prompt = self.prompt(example.prompt)
            ids = [*prompt, *self.target(example.target), self.end][: self.context]
            return [TokenRow(ids, len(prompt), example.weight)]
        ids, size = self.target(example.target, is_document=True), self.context - 1
        return [TokenRow([*ids[i : i + size], self.end], 0, example.weight) for i in range(0, len(ids), size)]

    def padded_rows(self, example: Example) -> list[TokenRow]:
        """The rows as SEAL trains them: filled with end-of-text, which is learned like text (docs/seal.md 1.3, 9.3).

        Nothing else marks the end. They are as long as the context, at most SEAL_LENGTH; of a longer document SEAL
        learns the beginning only, and here it becomes several rows.
        """
        prompt, size = self.prompt(example.prompt), min(self.context, SEAL_LENGTH)
        ids = [*prompt, *self.target(example.target, is_document=not prompt)]
        texts = [ids[:size]] if prompt else [ids[i : i + size] for i in range(0, len(ids), size)]
        fills = [size - len(text) for text in texts]
        return [
            TokenRow(text + [self.end] * fill, len(prompt), example.weight, fill)
            for text, fill in zip(texts, fills, strict=True)
        ]

    def likelihood_row(self, request: LikelihoodRequest) -> TokenRow:
        """A target after its prompt, cut where the context ends, without an end-of-text token."""
        prompt = self.prompt(request.prompt)
        target = self.target(request.target, is_document=not prompt)
        return TokenRow([*prompt, *target][: self.context], len(prompt), 1.0)

    def target(self, text: str, is_document: bool = False) -> list[int]:
        """What follows a prompt; or a plain document, which begins with the tokenizer's special tokens."""
        return self._encode(text) if is_document else list(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens the model takes, prompt and answer together: its positions or the tokenizer's limit."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048
    return int(min(positions, tokenizer.model_max_length))


def _stops(model: PreTrainedModel, end: int) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    more = configured if isinstance(configured, list) else [configured]
    return frozenset({end, *(token for token in more if token is not None)})
