"""SEAL's experiment from end to end: the outer loop on some tasks, then the table of conditions on others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from selfedit.config import Config
from selfedit.credit import CREDITS
from selfedit.domains import DOMAINS
from selfedit.errors import InputError
from selfedit.evaluate import Condition, Exam, conditions, paired_gain, run_conditions, summarise
from selfedit.graders import GRADERS
from selfedit.inner import CONTROLS, Examiner
from selfedit.outer import Outer, Writing, run_outer
from selfedit.prompts import PROMPTS
from selfedit.protocols import Domain, Engine, Progress, silent
from selfedit.proxies import PROXIES
from selfedit.questions import self_exams
from selfedit.reward import REWARDS, with_costs
from selfedit.store import Run, read_json
from selfedit.types import BASE, Question, Task, Trial, Update

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


def make_examiner(config: Config, engine: Engine, tasks: Sequence[Task] = ()) -> Examiner:
    """`tasks` are those of the outer loop: the first of them are the control, where forgetting is charged."""
    return Examiner(
        engine,
        make_domain(config),
        lookup(GRADERS, config.exam.grader, "exam.grader"),
        config.exam.max_new_tokens,
        likelihood=config.outer.reward == "likelihood",
        control=tuple(tasks[: CONTROLS + 1]) if config.outer.forgetting else (),
    )


def make_domain(config: Config) -> Domain:
    names = {**PROMPTS, "pool": None, "entity-pair": None}
    lookup(names, config.outer.prompt, "outer.prompt")
    documents = config.documents
    return DOMAINS["knowledge"](
        documents.split_newlines, config.outer.prompt, documents.passage != "none", documents.most
    )


def make_outer(config: Config) -> Outer:
    outer, proxy = config.outer, config.outer.reward in PROXIES
    if proxy and (outer.forgetting or outer.cost):
        raise InputError(
            f"outer.reward is {outer.reward}, which tries no edit: outer.forgetting and outer.cost cannot be charged"
        )
    reward = REWARDS["gain"] if proxy else lookup(REWARDS, outer.reward, "outer.reward")
    return Outer(
        rounds=outer.rounds,
        tasks_per_round=outer.passages_per_round,
        group_size=outer.edits_per_passage,
        wave=config.wave,
        writing=Writing(**outer.writing.model_dump()),
        inner=config.inner.recipe(),
        recipe=outer.recipe.recipe(),
        reward=with_costs(reward, outer.forgetting, outer.cost),
        credit=lookup(CREDITS, outer.credit, "outer.credit"),
        seed=config.seed,
        repeats=outer.repeats,
        probe=outer.probe,
        proxy=PROXIES[outer.reward]() if proxy else None,
    )


def make_exam(config: Config, tasks: int) -> Exam:
    documents = config.documents
    return Exam(documents.edits, documents.together or max(1, tasks), documents.passage == "each")


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
    examiner, outer = make_examiner(config, engine, train), make_outer(config)
    if config.outer.questions == "own":
        used = train[: outer.rounds * outer.tasks_per_round]
        train, _ = own_questions(run, used, examiner, outer, progress)
    start = engine.load(Path(config.outer.policy)) if config.outer.policy else BASE
    policy = run_outer(train, examiner, outer, run.remember, run.updates, progress, start)
    exam = make_exam(config, len(evaluation))
    rows = named_rows(config, conditions(policy, examiner, outer, exam)) if evaluation else {}
    trials = run_conditions(evaluation, rows, config.wave, run.remember, progress, exam.together)
    seconds = run.seconds()
    summary: dict[str, Any] = {
        name: {**summarise(of_condition), "seconds": seconds[f"exam/{name}"]} for name, of_condition in trials.items()
    }
    if trials.keys() >= {"after_rl", "own_edits"}:
        summary["rl_gain"] = paired_gain(trials["after_rl"], trials["own_edits"])
    summary["seconds"] = round(earlier + time.monotonic() - began, 1)
    run.write_json("summary.json", summary)
    run.write_metrics()
    return Result(policy, summary, trials)


def named_rows(config: Config, rows: dict[str, Condition]) -> dict[str, Condition]:
    """The conditions that the config asks for; without an outer loop and a policy there is none after it."""
    if not config.outer.rounds and not config.outer.policy:
        rows = {name: row for name, row in rows.items() if name != "after_rl"}
    return {name: lookup(rows, name, "exam.rows") for name in config.exam.rows or rows}


def own_questions(
    run: Run, tasks: Sequence[Task], examiner: Examiner, outer: Outer, progress: Progress = silent
) -> tuple[list[Task], list[Task]]:
    """(reward half, report half): the tasks with questions that the model wrote itself. Kept in `questions.json`.

    A task is in a half only if it has questions there.
    """
    path = run.path / "questions.json"
    if not path.exists():
        progress("questions", 0, len(tasks), "")
        plain = replace(examiner, likelihood=False, control=())
        exams = self_exams(tasks, BASE, plain, outer.writing, outer.seed)
        progress("questions", len(tasks), len(tasks), "")
        rows = [(exam.reward.questions, exam.report.questions) for exam in exams]
        run.write_json(path.name, [[[asdict(q) for q in half] for half in row] for row in rows])
    read = [[tuple(Question(**q) for q in half) for half in row] for row in read_json(path)]
    first, second = (
        [replace(task, questions=row[half]) for task, row in zip(tasks, read, strict=True) if row[half]]
        for half in (0, 1)
    )
    return first, second
