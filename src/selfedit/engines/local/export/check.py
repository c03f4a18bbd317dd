"""What the examined model answers, and whether what was exported answers the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from selfedit.engines.local.engine import LocalEngine
from selfedit.engines.local.forward import run
from selfedit.engines.local.sampling import TokenizedRequest, decode_together
from selfedit.engines.local.text import Text
from selfedit.errors import EngineError, InputError
from selfedit.types import Update

NEW_TOKENS = 32
"""Of every answer that is compared."""

TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-3, torch.float16: 0.05, torch.bfloat16: 0.25}
"""Nats between the log-probabilities of a token, by the type that was written. Seen with 135 million parameters in 30
layers: 7e-6 in float32, 3e-3 in float16, 1e-2 in bfloat16. The rest is room for deeper models.
"""


@dataclass(frozen=True, slots=True)
class ExaminedAnswer:
    """The greedy answer to a prompt: token ids of both, and `log_probs` [tokens + 1, vocabulary] on the CPU, of every
    token of the answer and of the one behind it.
    """

    prompt: str
    ids: list[int]
    said: list[int]
    log_probs: Tensor


@dataclass(frozen=True, slots=True)
class Checked:
    """`answers` were compared. In `ties` of them another token came, which the examined model finds as likely up to the
    rounding of the type. `max_gap` is the largest difference of a token's log-probability, in nats.
    """

    answers: int
    ties: int
    max_gap: float


@torch.no_grad()
def examine(engine: LocalEngine, update: Update, prompts: Sequence[str]) -> list[ExaminedAnswer]:
    """The update's answers, merged. Prompts that are too long are left out; raises InputError where none is left."""
    fits = engine.fits(prompts, NEW_TOKENS)
    engine.adapters.merge(update.id)
    answers = []
    for prompt in [prompt for prompt, refusal in zip(prompts, fits, strict=True) if refusal is None]:
        ids = engine.text.prompt(prompt)
        request = TokenizedRequest(ids, max_new_tokens=min(NEW_TOKENS, engine.text.context - len(ids)))
        ((said,),) = decode_together(engine.model, [(None, [request])], engine.text.stops, lambda done, total: None)
        answers.append(ExaminedAnswer(prompt, ids, said, log_probs_after(engine.model, ids, said)))
    if not answers:
        raise InputError("the model reads too little for the questions that an export is compared by")
    return answers


def log_probs_after(model: Any, ids: Sequence[int], said: Sequence[int]) -> Tensor:
    """Of what follows the prompt [tokens + 1, vocabulary]: at every token of the answer, and behind it."""
    inputs = torch.tensor([[*ids, *said]], device=model.device)
    return run(model, input_ids=inputs, use_cache=False)[0, len(ids) - 1 :].log_softmax(-1).cpu()


@torch.no_grad()
def compare(model: Any, text: Text | None, answers: Sequence[ExaminedAnswer], dtype: torch.dtype, what: str) -> Checked:
    """Read every answer in the exported model, which was written in this type, and compare what it would say there.

    By induction over its tokens: where the likeliest token is the same after every beginning of an answer, the greedy
    answer is. Raises EngineError at the first that differs. `text`: its own tokenizer, where it brings one.
    """
    tolerance, ties, largest = TOLERANCE[dtype], 0, 0.0
    for answer in answers:
        if text and text.prompt(answer.prompt) != answer.ids:
            raise EngineError(f"{what} makes other tokens of {_short(answer.prompt)}; nothing of it was kept")
        expected, found = answer.log_probs, log_probs_after(model, answer.ids, answer.said).to(answer.log_probs.dtype)
        wanted, given = expected.argmax(-1), found.argmax(-1)
        places = torch.arange(len(wanted))
        gap = float((found - expected)[places, wanted].abs().max())
        margin = float((expected[places, wanted] - expected[places, given]).max())
        if not (gap <= tolerance and margin <= 2 * tolerance):  # what is not a number is a difference too
            raise EngineError(
                f"{what} answers differently at {_short(answer.prompt)}: its log-probabilities differ by up to "
                f"{gap:.2g} nats from those of the model that was examined; nothing of it was kept"
            )
        largest, ties = max(largest, gap), ties + int(not torch.equal(wanted, given))
    return Checked(len(answers), ties, float(f"{largest:.1g}"))


def _short(prompt: str) -> str:
    """Its last words, in which the prompts of an exam differ."""
    words = " ".join(prompt.split())
    return repr(words if len(words) <= 80 else f"…{words[-80:]}")
