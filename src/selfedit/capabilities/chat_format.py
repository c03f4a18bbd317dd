"""Whether answers still are answers: with something in them, without loops or marks, and with an end."""

from __future__ import annotations

import re

from selfedit.capabilities.compare import Measure
from selfedit.types import Cut, Failure, Value

MEASURES = {
    "blank": Measure("blank answers"),
    "looping": Measure("answers that loop"),
    "cut": Measure("answers without an end"),
    "marks": Measure("answers with template marks"),
}

_MARK = re.compile(
    r"<\|[^|<>\s]{1,40}\|>|<\uff5c[^<>\n]{1,40}\uff5c>|</?s>|\[/?INST\]|<</?SYS>>|</?(?:start|end)_of_turn>"
    r"|^[ \t]*(?:user|assistant|system|model)[ \t]*:?[ \t]*$|^#{2,3} (?:Instruction|Response):",
    re.MULTILINE,
)
"""What common chat templates write between turns, and a line with nothing but a role."""

TIMES, WORDS = 3, 8
"""A loop: a phrase that comes again so many times in a row, and so many words that are repeated at least."""

_SAME = re.compile(r"(\S{1,6}?)\1{15}")
"""A few characters that come again and again without a space."""

_LONGEST = 4000
"""Words at the end of an answer that are looked at: a loop runs on to the end of the answer, or to its limit."""


def chat_format(answer: str | Failure) -> dict[str, tuple[Value, ...]]:
    """1 where the answer is as the measure says, which is bad, and 0 where it is not."""
    if isinstance(answer, Failure):
        return dict.fromkeys(MEASURES, (answer,))
    found = {
        "blank": not answer.strip(),
        "looping": is_looping(answer),
        "cut": isinstance(answer, Cut),
        "marks": _MARK.search(answer) is not None,
    }
    return {name: (float(value),) for name, value in found.items()}


def is_looping(text: str) -> bool:
    """Whether a phrase comes again TIMES times, with WORDS words or more in them. Digits and marks count for nothing:
    numbered lines that are the same otherwise are a loop, too.
    """
    if _SAME.search(re.sub(r"[\W_]", " ", text)):
        return True
    words = re.findall(r"[^\W\d_]+", text.lower())[-_LONGEST:]
    for period in range(1, len(words) // (TIMES + 1) + 1):
        same = 0
        for early, late in zip(words, words[period:], strict=False):
            same = same + 1 if early == late else 0
            if same >= max(WORDS, TIMES * period):
                return True
    return False
