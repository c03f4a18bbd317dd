"""What stands behind the names in a config: domain, grader, rewards, credit, measurements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from selfedit.config import Config, validated
from selfedit.engines import ENGINES
from selfedit.errors import InputError
from selfedit.graders import GRADERS
from selfedit.loops.evaluate import ExamPlan
from selfedit.loops.examine import MEASUREMENTS, Examiner
from selfedit.loops.outer import Outer
from selfedit.plugins import lookup, made
from selfedit.protocols import Domain, Engine, Grader, Proxy, Reward
from selfedit.rewards import CREDITS, PROXIES, REWARDS
from selfedit.rewards.measured import gain, with_costs
from selfedit.types import Task
from selfedit.workflows.configure import domain_type
from selfedit.workflows.endpoints import make_judge, make_rubric


def make_domain(config: Config) -> Domain:
    kind = domain_type(config)
    if hasattr(kind, "prompt") or hasattr(kind, "question_prompt"):  # a plug-in's, which would be passed over
        raise InputError(
            f"domain {config.domain.name} has the method prompt or question_prompt of earlier versions; it must have "
            "prompts or question_prompts, which return a list of prompts"
        )
    options = validated(kind.Options, config.domain.options, "the config", "domain")
    return kind.from_config(options, config.inner, config.seed)


def make_examiner(config: Config, engine: Engine, tasks: Sequence[Task] = (), folder: Path | None = None) -> Examiner:
    """`tasks` are those of the outer loop: the first of them are the control, where forgetting is charged.

    `folder` is the run's, where a judge's verdicts are kept; without one they are asked for each time.
    """
    outer, of_retention = config.outer, tasks[: config.outer.retention_tasks]
    measured = {
        "likelihood": outer.reward == "likelihood",
        "control": bool(outer.forgetting and tasks),
        "retention": bool(outer.retention and tasks),
    }
    measurements = {
        name: MEASUREMENTS[name](of_retention if name == "retention" else tasks)
        for name, is_needed in measured.items()
        if is_needed
    }
    grader = make_grader(config, folder)
    return Examiner(engine, make_domain(config), grader, config.exam.max_new_tokens, measurements)


def make_grader(config: Config, folder: Path | None) -> Grader:
    graders: dict[str, Any] = {**GRADERS, "judge": None}  # a judge is made from the config
    grader: Grader = made(lookup(graders, config.exam.grader, "exam.grader")) or make_judge(config, folder)
    return grader


def make_outer(config: Config, folder: Path | None = None) -> Outer:
    """`folder` is the run's, where the answers of a rubric's model are kept."""
    return Outer(
        config.outer,
        reward=make_reward(config),
        credit=lookup(CREDITS, config.outer.credit, "outer.credit"),
        seed=config.seed,
        max_adapters=config.max_adapters,
        proxy=make_proxy(config, folder),
    )


def make_reward(config: Config, with_retention: bool = True) -> Reward:
    """The reward that the config names, less its charges; of a proxy, which tries no edit, the gain: exams use that."""
    outer, found = config.outer, _reward(config)
    measured: Reward = gain if found is None or hasattr(found, "rate") else found
    return with_costs(measured, outer.forgetting, outer.cost, outer.retention if with_retention else 0.0)


def make_proxy(config: Config, folder: Path | None) -> Proxy | None:
    """The proxy that the config names as its reward; None for a reward that is measured. Raises InputError."""
    outer, found = config.outer, _reward(config)
    if found is not None and not hasattr(found, "rate"):
        return None
    if outer.forgetting or outer.cost or outer.retention:
        raise InputError(
            f"outer.reward is {outer.reward}, which tries no edit: outer.forgetting, outer.cost and outer.retention "
            "cannot be charged"
        )
    if outer.line_tokens:
        raise InputError(
            f"outer.reward is {outer.reward}, which tries no edit, and outer.line_tokens tries its lines; set "
            "outer.line_tokens to 0, or outer.reward to one that is measured"
        )
    proxy: Proxy = made(found) or make_rubric(config, folder)
    return proxy


def _reward(config: Config) -> Any:
    """A function, or a proxy or its class (they have `rate`); None for a rubric, which is made from the config."""
    rows: dict[str, Callable[..., Any] | None] = {**REWARDS, **PROXIES, "rubric": None}
    return lookup(rows, config.outer.reward, "outer.reward")


def check_names(config: Config) -> None:
    """Look up every name that the config has for a row of a table. Raises InputError for one that is not there: before
    an engine starts, and before a folder is made.
    """
    make_domain(config)
    lookup(ENGINES, config.model.engine, "model.engine")
    lookup({**GRADERS, "judge": None}, config.exam.grader, "exam.grader")
    lookup(CREDITS, config.outer.credit, "outer.credit")
    _reward(config)


def make_exam_plan(config: Config, tasks: int) -> ExamPlan:
    """`tasks` is how many there are: what 0 tasks per adapter stands for."""
    exam = config.exam
    together = exam.tasks_per_adapter or max(1, tasks)
    return ExamPlan(exam.edits_per_task, together, exam.repeat_context, exam.rival_recipe)
