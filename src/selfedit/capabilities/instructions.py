"""Instruction following with verifiers: prompts and verdicts as in IFEval, strict and loose."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, ValidationError, validate_call

from selfedit.capabilities.compare import Measure
from selfedit.capabilities.records import read_records, text_of
from selfedit.capabilities.verifiers import VERIFIERS, follows, follows_loosely
from selfedit.errors import InputError
from selfedit.loops.examine import batched
from selfedit.protocols import Sampler
from selfedit.types import Failure, Request, Update, Value

MEASURES = {
    "prompts_strict": Measure("prompts followed"),
    "prompts_loose": Measure("prompts followed (loose)"),
    "instructions_strict": Measure("instructions followed"),
    "instructions_loose": Measure("instructions followed (loose)"),
}


@dataclass(frozen=True, slots=True)
class InstructionPrompt:
    """A prompt, and the instructions in it that can be verified: IFEval's name for each, with its arguments."""

    key: str
    prompt: str
    instructions: tuple[tuple[str, Mapping[str, Any]], ...]


def read_instructions(path: Path) -> list[InstructionPrompt]:
    """Prompts in IFEval's layout: key, prompt, instruction_id_list, kwargs. An argument that is null is left out.

    Raises InputError for a record that is none, and for an instruction that cannot be verified.
    """
    return [_instruction_prompt(where, record) for where, record in read_records(path)]


def _instruction_prompt(where: str, record: dict[str, Any]) -> InstructionPrompt:
    prompt, names, arguments = text_of(where, record, "prompt"), record.get("instruction_id_list"), record.get("kwargs")
    if not (isinstance(names, list) and isinstance(arguments, list) and len(names) == len(arguments) > 0):
        raise InputError(
            f"{where} needs 'instruction_id_list' and 'kwargs', two lists of one length that are not empty"
        )
    given = [_checked(where, name, own) for name, own in zip(names, arguments, strict=True)]
    return InstructionPrompt(str(record.get("key", where)), prompt, tuple(given))


def _checked(where: str, name: object, given: object) -> tuple[str, dict[str, Any]]:
    """An instruction that its verifier takes, as it is tried on a text. Raises InputError."""
    if not isinstance(name, str) or name not in VERIFIERS:
        raise InputError(
            f"{where}: there is no verifier for the instruction {name!r}; there are {', '.join(VERIFIERS)}"
        )
    if not isinstance(given, dict):
        raise InputError(f"{where}: the arguments of {name} are no table of names and values")
    arguments = {key: value for key, value in given.items() if value is not None}
    try:
        validate_call(config=ConfigDict(strict=True))(VERIFIERS[name])("One sentence.\n\nAnother.", **arguments)
    except InputError:
        raise
    except ValueError as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        takes = list(inspect.signature(VERIFIERS[name]).parameters)[1:]
        raise InputError(f"{where}: {name} takes {', '.join(takes) or 'no arguments'}: {why}") from None
    return name, arguments


def answers_of(
    prompts: Sequence[str], sampler: Sampler, updates: Sequence[Update], max_new_tokens: int
) -> list[list[str | Failure]]:
    """What each update answers to each prompt, in one batch at temperature 0."""
    requests = [[Request(update, prompt, max_new_tokens=max_new_tokens) for prompt in prompts] for update in updates]
    return batched(requests, sampler.sample)


def verdicts(asked: InstructionPrompt, answer: str | Failure) -> dict[str, tuple[Value, ...]]:
    """The verdict on each instruction (0 or 1), and whether all of the prompt's are followed."""
    if isinstance(answer, Failure):
        return dict.fromkeys(MEASURES, (answer,))
    found: dict[str, tuple[Value, ...]] = {}
    for name, is_followed in (("strict", follows), ("loose", follows_loosely)):
        each = [is_followed(answer, instruction, arguments) for instruction, arguments in asked.instructions]
        found |= {f"prompts_{name}": (float(all(each)),), f"instructions_{name}": tuple(map(float, each))}
    return found
