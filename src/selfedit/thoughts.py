"""What a reasoning model says without what it thinks first."""

from __future__ import annotations

import re

_OPENING = r"<(?:think|thinking|thought|thoughts|reasoning|seed:think)>|\[THINK\]|◁think▷|<\|START_THINKING\|>"
_CLOSING = r"</(?:think|thinking|thought|thoughts|reasoning|seed:think)>|\[/THINK\]|◁/think▷|<\|END_THINKING\|>"
_MARK = re.compile(rf"({_OPENING})|({_CLOSING})")
"""As Qwen3, DeepSeek-R1, Seed-OSS, Magistral, Kimi and Command A write them."""

UNFINISHED = "<think>"
"""Begins what a model said that never came to an answer."""


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
