"""What teaching costs the rest of the model: the same checks before and after, compared in pairs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from selfedit.capabilities import chat_format, instructions, multiple_choice, neutral_text
from selfedit.capabilities.compare import Measure, compare, first_failure
from selfedit.capabilities.instructions import InstructionPrompt, read_instructions
from selfedit.capabilities.multiple_choice import read_multiple_choice, score_choices
from selfedit.capabilities.neutral_text import score_neutral
from selfedit.capabilities.records import OWN
from selfedit.changes import Change
from selfedit.config import Config, CostConfig
from selfedit.errors import InputError
from selfedit.protocols import Engine, NounT, Progress, Remember, silent
from selfedit.results import Summary, cost_table
from selfedit.types import BASE, Failure, ItemScore, Update
from selfedit.workflows.data import read_neutral
from selfedit.workflows.engine import load_update

log = logging.getLogger(__name__)

Scores = list[list[ItemScore]]
"""Of every update, one for each item."""


@dataclass(frozen=True, slots=True)
class AbilityCheck:
    """Items that are measured together. `groups` are the names of what is measured, as tables and JSON have them."""

    name: str
    groups: Mapping[str, Mapping[str, Measure]]
    run: Callable[[Engine, Sequence[Update]], Scores]


@dataclass(frozen=True, slots=True)
class Cost:
    """What changed, measure by measure, what could not be measured, and what was answered, before and after, by the key
    of the prompt.
    """

    changes: Sequence[Change] = ()
    remarks: Sequence[str] = ()
    answers: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def read_checks(config: CostConfig) -> list[AbilityCheck]:
    """The checks that the config names, with their items: its files, or the package's own. Raises InputError."""
    wanted: set[str] = {*config.checks}
    checks, most = list[AbilityCheck](), config.max_items or None
    asked: dict[str, Mapping[str, Measure]] = {
        "instructions": instructions.MEASURES,
        "chat_format": chat_format.MEASURES,
    }
    if groups := {name: measures for name, measures in asked.items() if name in wanted}:
        prompts = read_instructions(Path(config.instructions or OWN / "instructions.json"))[:most]
        checks.append(AbilityCheck("answers", groups, partial(_ask, prompts, config.max_new_tokens)))
    if "multiple_choice" in wanted:
        for path in map(Path, config.multiple_choice or [OWN / "everyday.json"]):
            items, name = read_multiple_choice(path)[:most], f"multiple_choice/{path.stem}"
            checks.append(AbilityCheck(name, {name: multiple_choice.MEASURES}, partial(score_choices, items)))
    if "neutral" in wanted:
        texts = read_neutral(Path(config.neutral or OWN / "neutral.json"))[:most]
        checks.append(AbilityCheck("neutral", {"neutral": neutral_text.MEASURES}, partial(score_neutral, texts)))
    names = [check.name for check in checks]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise InputError(f"cost.multiple_choice names two files that would both be called {twice}; rename one")
    return checks


def _ask(asked: Sequence[InstructionPrompt], max_new_tokens: int, engine: Engine, updates: Sequence[Update]) -> Scores:
    """Every answer is judged by what it was asked for, and by its form."""
    answers = instructions.answers_of([one.prompt for one in asked], engine, updates, max_new_tokens)
    return [[_judged(*pair) for pair in zip(asked, of_update, strict=True)] for of_update in answers]


def _judged(asked: InstructionPrompt, answer: str | Failure) -> ItemScore:
    values = {**instructions.verdicts(asked, answer), **chat_format.chat_format(answer)}
    return ItemScore(asked.key, values, answer if isinstance(answer, str) else "")


def at_once(stage: str, step: int, compute: Callable[[], list[NounT]], noun: type[NounT]) -> list[NounT]:
    """A Remember that keeps nothing."""
    return compute()


def measure_cost(
    config: CostConfig,
    engine: Engine,
    before: Update,
    after: Update,
    remember: Remember = at_once,
    progress: Progress = silent,
) -> Cost:
    """Every check under both updates, which are asked the same items in one batch. A check is a step of the run, under
    the stage `cost/…`. Raises InputError.
    """
    changes, remarks, checks = list[Change](), list[str](), read_checks(config)
    answers: dict[str, tuple[str, str]] = {}
    for number, check in enumerate(checks):
        progress("cost", number, len(checks), check.name)
        scores = remember(f"cost/{check.name}", 0, partial(_one_after_another, check, engine, before, after), ItemScore)
        half = len(scores) // 2
        pairs = zip(scores[:half], scores[half:], strict=True)
        answers |= {old.item: (old.text, new.text) for old, new in pairs if old.text or new.text}
        for name, measures in check.groups.items():
            found = compare(name, measures, scores[:half], scores[half:])
            changes += found
            if failure := first_failure(scores):
                left_out = max((change.left_out for change in found), default=half)
                remarks.append(f"{name}: {left_out} of {half} items left out: {failure.message}")
    progress("cost", len(checks), len(checks), "")
    for remark in remarks:
        log.warning("%s", remark)
    return Cost(changes, remarks, answers)


def _one_after_another(check: AbilityCheck, engine: Engine, before: Update, after: Update) -> list[ItemScore]:
    """The scores of all items before, then those of all items after."""
    return [score for of_update in check.run(engine, (before, after)) for score in of_update]


def cost_of(config: Config, engine: Engine, folder: Path, progress: Progress = silent) -> tuple[Summary, Cost]:
    """What the update in a folder costs the base model, for people, and as it was measured. Raises InputError."""
    found = measure_cost(config.cost, engine, BASE, load_update(engine, folder), progress=progress)
    if not found.changes:
        raise InputError("nothing could be measured; " + ("; ".join(found.remarks) or "cost.checks names no check"))
    return Summary(tables=[cost_table(found.changes)], remarks=found.remarks, cost=found.changes), found
