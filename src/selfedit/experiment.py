"""SEAL's experiment from end to end: the outer loop on some tasks, then the table of conditions on others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selfedit.config import Config
from selfedit.credit import CREDITS
from selfedit.domains import DOMAINS
from selfedit.endpoints import make_judge
from selfedit.errors import InputError
from selfedit.evaluate import conditions, paired_gain, run_conditions, summarise
from selfedit.graders import GRADERS
from selfedit.inner import Examiner
from selfedit.outer import Outer, Writing, run_outer
from selfedit.protocols import Engine, Grader, Progress, silent
from selfedit.reward import REWARDS
from selfedit.store import Run
from selfedit.types import Task, Trial, Update

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Result:
    """The last policy, the table of conditions (empty without tasks to evaluate on), and the trials behind it."""

    policy: Update
    summary: dict[str, Any]
    trials: dict[str, list[Trial]]


def lookup(table: Mapping[str, Row], name: str, key: str) -> Row:
    """The row of a table that the config names. Raises InputError with the names there are."""
    if name not in table:
        raise InputError(f"{key} is {name!r}; it can be {', '.join(table)}")
    return table[name]


def make_examiner(config: Config, engine: Engine, folder: Path | None = None) -> Examiner:
    """`folder` is the run's, where a judge's verdicts are kept; without one they are asked for each time."""
    domain = DOMAINS["knowledge"](config.split_newlines)
    return Examiner(engine, domain, make_grader(config, folder), config.exam.max_new_tokens)


def make_grader(config: Config, folder: Path | None) -> Grader:
    graders: dict[str, Grader | None] = {**GRADERS, "judge": None}  # a judge is made from the config
    return lookup(graders, config.exam.grader, "exam.grader") or make_judge(config, folder)


def make_outer(config: Config) -> Outer:
    return Outer(
        rounds=config.outer.rounds,
        tasks_per_round=config.outer.passages_per_round,
        group_size=config.outer.edits_per_passage,
        wave=config.wave,
        writing=Writing(**config.outer.writing.model_dump()),
        inner=config.inner.recipe(),
        recipe=config.outer.recipe.recipe(),
        reward=lookup(REWARDS, config.outer.reward, "outer.reward"),
        credit=lookup(CREDITS, config.outer.credit, "outer.credit"),
        seed=config.seed,
    )


def run_experiment(
    run: Run,
    config: Config,
    train: Sequence[Task],
    evaluation: Sequence[Task],
    engine: Engine,
    progress: Progress = silent,
) -> Result:
    """Reinforce the policy on `train`, then score every condition on `evaluation`. Resumes what the run already holds.

    Writes `summary.json` and `metrics.jsonl`. `seconds` in the summary is this call's time and that of the waves that
    earlier calls ran; what those took besides is not known.
    """
    began, earlier = time.monotonic(), sum(run.seconds().values())
    examiner, outer = make_examiner(config, engine, folder=run.path), make_outer(config)
    policy = run_outer(train, examiner, outer, run.remember, run.updates, progress)
    rows = conditions(policy, examiner, outer) if evaluation else {}
    trials = run_conditions(evaluation, rows, config.wave, run.remember, progress)
    seconds = run.seconds()
    summary: dict[str, Any] = {
        name: {**summarise(of_condition), "seconds": seconds[f"exam/{name}"]} for name, of_condition in trials.items()
    }
    if trials:
        summary["rl_gain"] = paired_gain(trials["after_rl"], trials["own_edits"])
    summary["seconds"] = round(earlier + time.monotonic() - began, 1)
    run.write_json("summary.json", summary)
    run.write_metrics()
    return Result(policy, summary, trials)
