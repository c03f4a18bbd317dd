"""Asking a model for an opinion that is read as a number: what judges and rubrics share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfedit.errors import EndpointDown
from selfedit.protocols import Sampler
from selfedit.thoughts import STILL_THINKING, without_thoughts
from selfedit.types import BASE, Failure, Request

Read = Callable[[str], float | None]
"""A model's answer -> the number in it, or None where there is none."""


def ask(sampler: Sampler, prompts: Sequence[str], read: Read, max_new_tokens: int) -> list[float | Failure]:
    """One number per prompt, at temperature 0; equal prompts are asked once.

    An answer that cannot be read is asked for once more, with another seed; then it is a Failure, never a number.
    Thoughts are not read, and a thought that did not end is no answer.
    Where an answer could not be had at all this raises EndpointDown, so that nothing half-graded is stored: the batch
    is done again when the run goes on. An unreadable answer does not stop the run: it would stop it every time.
    """
    numbers: dict[str, float | Failure] = {}
    for seed in (0, 1):
        missing = [prompt for prompt in dict.fromkeys(prompts) if not isinstance(numbers.get(prompt), float)]
        requests = [Request(BASE, prompt, seed, max_new_tokens=max_new_tokens) for prompt in missing]
        texts = _all_answers(sampler.sample(requests)) if requests else []
        numbers |= {prompt: _number(text, read) for prompt, text in zip(missing, texts, strict=True)}
    return [numbers[prompt] for prompt in prompts]


def _all_answers(texts: Sequence[str | Failure]) -> list[str | Failure]:
    """Raises EndpointDown where the system failed one; what the model itself failed to say stays in its place."""
    lost = [text.message for text in texts if isinstance(text, Failure) and text.blame == "system"]
    if lost:
        raise EndpointDown(f"{len(lost)} of {len(texts)} verdicts could not be had: {lost[-1]}")
    return list(texts)


def _number(text: str | Failure, read: Read) -> float | Failure:
    said = without_thoughts(text) if isinstance(text, str) else None
    if said is None:
        return Failure("system", text.message if isinstance(text, Failure) else STILL_THINKING)
    number = read(said)
    return Failure("system", f"a verdict could not be read: {said[:80]!r}") if number is None else number
