"""Text to token ids and back, the one place that knows about templates, special tokens and the context length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from selfedit.engines.local.chat_template import ChatTemplate, read_chat_template
from selfedit.thoughts import answer_in, has_mark
from selfedit.types import Conversation, Example, LikelihoodRequest, Prompt, as_conversation

_SURROGATE = re.compile("[\ud800-\udfff]")
"""Half a character, which no tokenizer takes."""

_ORDINARY = re.compile(r"[\s▁]+|<0x[0-9A-F]{2}>")
_BRACKETED = re.compile(r"[<>\[\]{}|◁▷].*\w|\w.*[>\]]")

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

    def cut(self, length: int) -> TokenRow:
        """The first `length` tokens of the row, of at most as many as it has."""
        row = replace(self, ids=self.ids[:length], padding=max(0, self.padding - (self.length - length)))
        reference, tokens, probs = (
            None if of_scored is None else of_scored[: row.scored]
            for of_scored in (self.reference_logprobs, self.soft_tokens, self.soft_probs)
        )
        return replace(row, reference_logprobs=reference, soft_tokens=tokens, soft_probs=probs)


Piece = tuple[str, bool]
"""A part of a text, and whether it is markup: what a template writes, whose control tokens are meant."""


class Text:
    """`template` wraps every prompt (`{prompt}` in its place); without one, the tokenizer's chat template does.

    What people and models write never becomes a control token: a control token in it is encoded as the characters that
    it is written with. `thinking` lets a reasoning model think before it answers.
    """

    def __init__(
        self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, template: str = "", thinking: bool = False
    ) -> None:
        self.tokenizer, self.template, self.thinking = tokenizer, template, thinking
        self.context = context_length(model, tokenizer)
        self.end: int = tokenizer.eos_token_id
        self.controls = _controls(tokenizer)
        self._control_ids = {*self.controls.values()} - {tokenizer.unk_token_id}  # the unknown may be any character
        self._sizes = sorted({len(control) for control in self.controls})
        self._starts = re.compile("|".join(sorted({re.escape(control[0]) for control in self.controls})) or "(?!)")
        self._marks = {number for control, number in self.controls.items() if has_mark(control)}
        self._added = _added_at_end(tokenizer)
        self._controls_of_markup: dict[tuple[str, bool], list[int]] = {}
        self.stops = _stops(model, self.end) | {self.turn_end}

    @property
    def chat(self) -> ChatTemplate | None:
        """The tokenizer's chat template, if prompts are wrapped in it. Raises InputError if it cannot be used."""
        if self.template or not self.tokenizer.chat_template:
            return None
        tokenizer = self.tokenizer
        return read_chat_template(
            tokenizer.chat_template, tokenizer.special_tokens_map, self.thinking, tokenizer.name_or_path or "the model"
        )

    @property
    def turn_end(self) -> int:
        """The token that ends an answer: the one that the chat template writes after it, or the end of text."""
        ids = self.tokenizer.encode(self.chat.turn_end.lstrip(), add_special_tokens=False) if self.chat else []
        return ids[0] if ids and ids[0] in self.controls.values() else self.end

    @property
    def style(self) -> str:
        """How prompts are wrapped, for people."""
        if self.template:
            return f"through the template {self.template!r}"
        if not self.tokenizer.chat_template:
            return "as plain text"
        thinks = has_mark(str(self.tokenizer.chat_template))
        return "through the tokenizer's chat template" + f", thinking {'on' if self.thinking else 'off'}" * thinks

    def prompt(self, prompt: Prompt) -> list[int]:
        """A prompt in the template. An empty one stays empty.

        Earlier turns are turns where the chat template has such; elsewhere they stand before the user's words.
        """
        if not prompt:
            return []
        said = as_conversation(prompt)
        if self.template:
            return self._encode([*self._in_template(said), (said.prefill, False)], as_document=True)
        if chat := self.chat:
            return self._encode([*_in_turns(said, chat), (said.prefill, False)], as_document=False)
        return self._encode([(str(prompt), False)], as_document=True)

    def _in_template(self, prompt: Conversation) -> Iterator[Piece]:
        first, *others = self.template.split("{prompt}")
        for number, (user, answer) in enumerate([*prompt.examples, (prompt.user, "")]):
            yield "\n\n" * (number > 0) + first, True
            yield from (piece for other in others for piece in ((user, False), (other, True)))
            yield f" {answer}" * bool(answer), False

    def _encode(self, pieces: Sequence[Piece], as_document: bool) -> list[int]:
        """Token ids of the pieces in a row; a document begins with what the tokenizer puts before a text.

        Where the tokenizer, left to itself, sees the control tokens of the markup and no others, that is the encoding.
        Else it never gets to see a whole one: they are cut behind their first character, and if that is not enough
        (some are found in what a text is normalised to), the text is cut everywhere.
        """
        pieces = [(_SURROGATE.sub("\ufffd", text), is_markup) for text, is_markup in pieces]
        wanted = self._control_ids_of("".join(text for text, is_markup in pieces if is_markup), as_document)
        spelled_out = any(self._control_cuts(text) for text, is_markup in pieces if not is_markup)
        for cuts in (_no_cuts, self._control_cuts, _all_cuts)[spelled_out:]:
            ids = self._encode_chunks(_cut(pieces, cuts), as_document)
            if self._only_controls(ids) == wanted:
                break
        return ids

    def _encode_chunks(self, chunks: Sequence[str], as_document: bool) -> list[int]:
        """Chunks in a row. All but the first are encoded behind a line break, which is taken away again: SentencePiece
        puts a space before the beginning of a text.
        """
        encode, first = self.tokenizer.encode, chunks[0]
        ids = list(encode(first, add_special_tokens=as_document))
        ids = ids[: len(ids) - self._added] if as_document else ids
        line_break = list(encode("\n", add_special_tokens=False)) if len(chunks) > 1 else []
        for chunk in chunks[1:]:
            behind = list(encode(f"\n{chunk}", add_special_tokens=False))
            fits = behind[: len(line_break)] == line_break
            ids += behind[len(line_break) :] if fits else encode(chunk, add_special_tokens=False)
        return ids

    def _control_cuts(self, text: str) -> list[int]:
        """Where to cut so that no control token stays whole: behind the first character of each."""
        places = (found.start() for found in self._starts.finditer(text))
        return [at + 1 for at in places if any(text[at : at + size] in self.controls for size in self._sizes)]

    def _control_ids_of(self, markup: str, as_document: bool) -> list[int]:
        key = markup, as_document
        if key not in self._controls_of_markup:
            self._controls_of_markup[key] = self._only_controls(self._encode_chunks([markup], as_document))
        return self._controls_of_markup[key]

    def _only_controls(self, ids: Sequence[int]) -> list[int]:
        return [token for token in ids if token in self._control_ids]

    def rows(self, example: Example) -> list[TokenRow]:
        """The training rows of an example, each ending in exactly one token that ends a text, or a turn.

        A plain document longer than the context becomes several rows; a prompt with a target is cut at its end.
        """
        if example.prompt:
            prompt = self.prompt(example.prompt)
            ids = [*prompt, *self.target(example.target), self.turn_end][: self.context]
            return [TokenRow(ids, len(prompt), example.weight)]
        ids, size = self.target(example.target, is_document=True), self.context - 1
        return [TokenRow([*ids[i : i + size], self.end], 0, example.weight) for i in range(0, len(ids), size)]

    def padded_rows(self, example: Example) -> list[TokenRow]:
        """The rows as SEAL trains them: filled with end-of-text, which is learned like text (docs/seal.md 1.3, 9.3).

        Nothing else marks the end, but the end of a turn where that is another token. They are as long as the context,
        at most SEAL_LENGTH; of a longer document SEAL learns the beginning only, and here it becomes several rows.
        """
        prompt, size = self.prompt(example.prompt), min(self.context, SEAL_LENGTH)
        ids = [*prompt, *self.target(example.target, is_document=not prompt)]
        if prompt and self.turn_end != self.end:
            ids.append(self.turn_end)
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
        return self._encode([(text, False)], is_document)

    def decode(self, ids: Sequence[int]) -> str:
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True)).strip()

    def answer(self, ids: Sequence[int]) -> str:
        """What a model said, without its thoughts; blank where a thought did not end."""
        said = self.decode(ids)
        if not self._marks.isdisjoint(ids):  # special tokens are not decoded, and some of them are such marks
            said = str(self.tokenizer.decode(list(ids), skip_special_tokens=False))
            for control in self.controls:
                said = said if has_mark(control) else said.replace(control, "")
        return answer_in((self.chat.thought if self.chat else "") + said)


def _in_turns(prompt: Conversation, chat: ChatTemplate) -> Iterator[Piece]:
    yield chat.before, True
    if chat.turns:
        to_answer, to_next = chat.turns
        for user, answer in prompt.examples:
            yield from ((chat.trimmed(user), False), (to_answer, True), (answer, False), (to_next, True))
        yield chat.trimmed(prompt.user), False
    else:
        yield chat.trimmed(str(replace(prompt, prefill="")).rstrip()), False
    yield chat.after, True


def _no_cuts(text: str) -> list[int]:
    return []


def _all_cuts(text: str) -> list[int]:
    return list(range(len(text) + 1))


def _cut(pieces: Sequence[Piece], cuts: Callable[[str], Sequence[int]]) -> list[str]:
    """The pieces in a row, cut in those that are no markup."""
    chunks = [""]
    for text, is_markup in pieces:
        places = [0, *([] if is_markup else cuts(text)), len(text)]
        first, *others = [text[start:end] for start, end in pairwise(places)]
        chunks[-1] += first
        chunks += others
    return chunks


def _controls(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The tokens that stand for more than what they are written with: special ones, and added ones in brackets.

    Other added tokens (words, runs of spaces, bytes) are ordinary text. A single character cannot be written otherwise.
    """
    added = tokenizer.added_tokens_decoder.items()
    controls = {t.content: number for number, t in added if t.special or _BRACKETED.search(t.content)}
    controls |= dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {text: number for text, number in controls.items() if len(text) > 1 and not _ORDINARY.fullmatch(text)}


def _added_at_end(tokenizer: PreTrainedTokenizerBase) -> int:
    """How many special tokens the tokenizer puts behind a text."""
    plain, whole = tokenizer.encode("a", add_special_tokens=False), tokenizer.encode("a")
    places = [place for place in range(len(whole) + 1) if whole[place : place + len(plain)] == plain]
    return len(whole) - places[-1] - len(plain) if places else 0


def context_length(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> int:
    """The most tokens the model takes, prompt and answer together: its positions or the tokenizer's limit."""
    config = model.config.get_text_config()
    positions = getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 2048
    return int(min(positions, tokenizer.model_max_length))


def _stops(model: PreTrainedModel, end: int) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config else None
    more = configured if isinstance(configured, list) else [configured]
    return frozenset({end, *(token for token in more if token is not None)})
