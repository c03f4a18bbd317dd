"""What a reasoning model says without what it thinks first."""

from __future__ import annotations

import re

_NAMES = "think|thinking|thought|thoughts|reasoning|reflection|seed:think"
_OPENING = (
    rf"<(?:{_NAMES})>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|inner_prefix\|>|<\|channel>thought"
    r"|<\|channel\|>\s?(?:analysis|commentary)\b"
)
_CLOSING = (
    rf"</(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>|<\|inner_suffix\|>|<channel\|>"
    r"|<\|channel\|>\s?final\b(?:<\|message\|>)?"
)
_MARK = re.compile(rf"({_OPENING})|({_CLOSING})", re.IGNORECASE)
"""As Qwen3, DeepSeek-R1, Seed-OSS, Magistral, Kimi, Command A, Apertus, Gemma and GPT-OSS write them."""

UNFINISHED = "<think>"
"""Begins what a model said that never came to an answer."""

STILL_THINKING = (
    "the model was still thinking when its tokens were used up; raise thinking_tokens of its endpoint, or turn "
    "thinking off where it is served"
)


def without_thoughts(text: str) -> str | None:
    """What is said outside `<think>…</think>`, stripped where there were thoughts; None where a thought did not end.

    without_thoughts("<think>1969? Yes.</think>\\n\\nyes") -> "yes"

    An end without a beginning ends a thought as well: some chat templates write the beginning into the prompt.
    """
    said, thinking, last = list[str](), False, 0
    for mark in _MARK.finditer(text):
        if not thinking and mark[1]:
            said.append(text[last : mark.start()])
        elif not thinking:
            said = []
        thinking, last = bool(mark[1]), mark.end()
    if thinking:
        return None
    return "".join([*said, text[last:]]).strip() if last else text


def answer_in(text: str) -> str:
    """What is said without thoughts; blank where a thought did not end: what is learned, asked and graded."""
    return without_thoughts(text) or ""


def open_thought(prompt: str) -> str:
    """The mark with which a prompt ends that has begun a thought for the model; mostly none."""
    marks = list(_MARK.finditer(prompt))
    return marks[-1][0] if marks and marks[-1][1] and not prompt[marks[-1].end() :].strip() else ""


def closing_of(mark: str) -> str:
    """The mark that ends the thought which `mark` begins, where it is said by a slash: `<think>` -> `</think>`."""
    return mark[0] + "/" + mark[1:] if re.fullmatch(rf"<(?:{_NAMES})>|\[THINK\]|◁think▷", mark, re.IGNORECASE) else ""


def has_mark(text: str) -> bool:
    """Whether a thought begins or ends in the text, which may be a single token."""
    return _MARK.search(text) is not None or text in ("<|channel|>", "<|channel>")
