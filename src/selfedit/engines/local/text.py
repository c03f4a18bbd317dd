"""Text to token ids and back, the one place that knows about templates, special tokens and the context length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from selfedit.types import Example


@dataclass(frozen=True, slots=True)
class Row:
    """One training row: token ids, where its target begins, and the weight of its loss."""

    ids: list[int]
    start: int
    weight: float


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
        """A prompt as the model is used to: through the template. An empty one is empty."""
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

    def rows(self, example: Example) -> list[Row]:
        """The training rows of an example, each ending in exactly one end-of-text token.

        A plain document longer than the context becomes several rows; a prompt with a target is cut at its end.
        """
        if example.prompt:
            prompt = self.prompt(example.prompt)
            ids = [*prompt, *self.target(example.target), self.end][: self.context]
            return [Row(ids, len(prompt), example.weight)]
        ids, size = self.target(example.target, alone=True), self.context - 1
        return [Row([*ids[i : i + size], self.end], 0, example.weight) for i in range(0, len(ids), size)]

    def target(self, text: str, alone: bool = False) -> list[int]:
        """What is learned or read after a prompt; `alone`: a plain text, which begins as the tokenizer begins texts."""
        return self._encode(text) if alone else list(self.tokenizer.encode(text, add_special_tokens=False))

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens the model can read, prompt and answer together: positions or the tokenizer's limit."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048
    return int(min(positions, tokenizer.model_max_length))


def _stops(model: PreTrainedModel, end: int) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    more = configured if isinstance(configured, list) else [configured]
    return frozenset({end, *(token for token in more if token is not None)})
