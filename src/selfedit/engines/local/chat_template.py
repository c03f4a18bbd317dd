"""A tokenizer's chat template as what it is for a prompt: a text before it, one after it, and those between turns."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from selfedit.errors import InputError
from selfedit.thoughts import closing_of, has_mark, open_thought

SECONDS = 30
"""After which a template is given up that has not used up its own limits; its process also has to start."""

SYSTEM = "You are a helpful assistant."
"""What stands in the system's place, for templates that must have one."""

_SHORT, _SAID = "Who wrote Alba?", "Mara Vell wrote it."
_LONG = "\n  Topic: Alba\n\n" + "Question: is 1 < 2 & \"3\" {{ 4 }} <b>'5'</b>?\t\n" * 40 + "Answer: \n"
_NEXT = "Where is it kept?"
_PROBES = (_SHORT, _LONG.strip(), _SAID, _NEXT)


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """`before` and `after` stand around every prompt, of which the template may take the space at its ends.

    `turn_end` is what follows an answer; `thought` the mark of a thought which `after` begins. `turns` are what stands
    before an earlier answer and behind it, up to the next prompt; None where a template takes a single prompt only.
    """

    before: str
    after: str
    strips_left: bool
    strips_right: bool
    turn_end: str
    thought: str
    turns: tuple[str, str] | None = None

    def trimmed(self, prompt: str) -> str:
        prompt = prompt.lstrip() if self.strips_left else prompt
        return prompt.rstrip() if self.strips_right else prompt


def read_chat_template(given: object, special: Mapping[str, Any], thinking: bool, where: str) -> ChatTemplate:
    """The template of the tokenizer `where`, rendered once and never again. Thinking is off unless it is asked for.

    Raises InputError for a template that cannot be used, with its reason.
    """
    what = f"the chat template of {where}"
    if isinstance(given, Mapping):
        if "default" not in given:
            names = ", ".join(map(str, given)) or "none"
            raise _refusal(what, f"there are several, none of them called default ({names})")
        what, given = f"the chat template 'default' of {where}", given["default"]
    if not isinstance(given, str):
        raise _refusal(what, f"it is no text but a {type(given).__name__}")
    tokens = tuple(sorted((name, token) for name, token in special.items() if isinstance(token, str)))
    found = _read(given, tokens, thinking)
    if isinstance(found, str):
        raise _refusal(what, found)
    return found


def _refusal(what: str, why: str) -> InputError:
    why = why if len(why) <= 300 else f"{why[:300]}…"
    return InputError(
        f"{what} cannot be used: {why}; wrap prompts yourself: set model.template to a text with {{prompt}}"
    )


@lru_cache(maxsize=64)
def _read(template: str, special: tuple[tuple[str, str], ...], thinking: bool) -> ChatTemplate | str:
    """The template, or why it cannot be used."""
    switches = {"enable_thinking": thinking, "thinking": thinking} | ({} if thinking else {"thinking_budget": 0})
    named = {name: value for name, value in switches.items() if re.search(rf"\b{name}\b", template)}
    rendered = _render(template, {**dict(special), **named})
    if isinstance(rendered, str):
        return rendered
    short, long, turn, second = rendered
    before, _, after = short.partition(_SHORT)
    core = _LONG.strip()
    lead, _, trail = _LONG.partition(core)
    long_before, _, long_after = long.partition(core)
    if long_before not in (before, before + lead) or long_after not in (after, trail + after) or _SHORT in after:
        return "it treats prompts in different ways, or repeats them"
    strips_left, strips_right = long_before == before, long_after == after
    answered, _, turn_end = turn.rpartition(_SAID)
    if not thinking:
        after = _without_thinking(short, after, answered)
    turns = _turns(second, before, short.partition(_SHORT)[2])
    return ChatTemplate(before, after, strips_left, strips_right, turn_end, open_thought(after), turns)


def _turns(conversation: str, before: str, after: str) -> tuple[str, str] | None:
    """What a template writes around an earlier answer, where the rest is as in a single prompt; else None."""
    opening, found, rest = conversation.partition(_SHORT)
    to_answer, answered, rest = rest.partition(_SAID)
    to_next, asked, end = rest.partition(_NEXT)
    same = opening == before and end == after and found and answered and asked
    return (to_answer, to_next) if same else None


def _without_thinking(prompt: str, after: str, turn: str) -> str:
    """What stands between prompt and answer, with the thought ended that it begins.

    Some templates write, into a finished turn, an empty thought or the channel that an answer is on: then so does this.
    Others are helped as in "Reasoning Models Can Be Effective Without Thinking" (arXiv 2504.09858).
    """
    skipped = turn.removeprefix(prompt) if turn.startswith(prompt) else ""
    if has_mark(skipped):
        return after + skipped
    mark = open_thought(after)
    return f"{after.rstrip()}\n\n{closing_of(mark)}\n\n" if closing_of(mark) else after


def _render(template: str, variables: Mapping[str, Any]) -> list[str] | str:
    """The probes in the template: a short prompt, a long one, an answer (or nothing); or why that failed."""
    forms = [_conversations(system, parts) for parts in (False, True) for system in (False, True)]
    asked = {"template": template, "variables": variables, "forms": forms, "probes": _PROBES}
    command = [sys.executable, "-P", "-W", "ignore", str(Path(__file__).with_name("render.py"))]
    try:
        done = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, timeout=SECONDS)
        answer = json.loads(done.stdout)
    except (subprocess.TimeoutExpired, ValueError, OSError):
        return "it takes too long, or more memory than a template may"
    texts: list[str] | None = answer.get("texts")
    return str(answer["why"]) if texts is None else texts


def _conversations(system: bool, parts: bool) -> list[list[dict[str, Any]]]:
    """What `_PROBES` are looked for in."""

    def message(role: str, text: str) -> dict[str, Any]:
        return {"role": role, "content": [{"type": "text", "text": text}] if parts else text}

    first = [message("system", SYSTEM)] if system else []
    asked = [*first, message("user", _SHORT)]
    answered = [*asked, message("assistant", _SAID)]
    return [asked, [*first, message("user", _LONG)], answered, [*answered, message("user", _NEXT)]]
