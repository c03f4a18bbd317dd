"""Chat that is replayed while a model learns, so that it stays a chat model: its own answers to everyday prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from selfedit.errors import InputError
from selfedit.files import read_json
from selfedit.protocols import Sampler
from selfedit.types import Continuation, Example, Request, Update

PROMPTS = Path(__file__).with_name("replay.json")
"""Written for this; none is among those by which the cost of teaching is measured (`capabilities`)."""


def write_replay(sampler: Sampler, model: Update, count: int, max_new_tokens: int = 64) -> list[Continuation]:
    """What the model says to the first `count` everyday prompts, at temperature 0. What it could not say is left out.

    Raises InputError where there are not so many prompts.
    """
    prompts: list[str] = read_json(PROMPTS)
    if count > len(prompts):
        raise InputError(
            f"data.replay is {count}, and there are {len(prompts)} prompts to replay; set it to so many at most"
        )
    asked = prompts[:count]
    texts = sampler.sample([Request(model, prompt, max_new_tokens=max_new_tokens) for prompt in asked])
    said = zip(asked, texts, strict=True)
    return [Continuation(prompt, str(text)) for prompt, text in said if isinstance(text, str) and text.strip()]


def replay_examples(said: Sequence[Continuation], model: Update) -> tuple[Example, ...]:
    """As answers and as plain texts, each with the model's own probabilities as soft targets: they pull at nothing as
    long as it is what it was (learning without forgetting, arXiv 1606.09282).
    """
    rows = [(prompt, one.text) for one in said for prompt in (one.prompt, "")]
    return tuple(Example(prompt, text, teacher=model.id) for prompt, text in rows)
