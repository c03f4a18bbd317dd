"""SEAL's experiment from end to end: the outer loop on some tasks, then the table of conditions on others."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from selfedit.config import Config, lookup
from selfedit.domains import DOMAINS
from selfedit.domains.arc.domain import Arc
from selfedit.domains.knowledge import prompts
from selfedit.errors import InputError
from selfedit.formats.passages import read_completions
from selfedit.graders import GRADERS
from selfedit.loops.evaluate import (
    Condition,
    Exam,
    Teacher,
    conditions,
    paired_gain,
    run_conditions,
    summarise,
    write_edits,
)
from selfedit.loops.inner import CONTROLS, Examiner
from selfedit.loops.outer import Outer, SamplingParams, read, run_outer
from selfedit.loops.questions import self_exams
from selfedit.protocols import Domain, Engine, Grader, Progress, Proxy, Reward, silent
from selfedit.rewards.credit import CREDITS
from selfedit.rewards.measured import REWARDS, gain, with_costs
from selfedit.rewards.proxies import PROXIES
from selfedit.store import Run, read_json
from selfedit.types import BASE, Question, Task, Trial, Update
from selfedit.workflows.endpoints import make_judge, make_rubric, make_sampler


@dataclass(frozen=True, slots=True)
class Result:
    """The last policy, the table of conditions (empty without tasks to evaluate on), and the trials behind it."""

    policy: Update
    summary: dict[str, Any]
    trials: dict[str, list[Trial]]


def make_examiner(config: Config, engine: Engine, tasks: Sequence[Task] = (), folder: Path | None = None) -> Examiner:
    """`tasks` are those of the outer loop: the first of them are the control, where forgetting is charged.

    `folder` is the run's, where a judge's verdicts are kept; without one they are asked for each time.
    """
    domain = make_domain(config)
    grids = domain if isinstance(domain, Arc) else None
    return Examiner(
        engine,
        domain,
        make_grader(config, folder),
        config.exam.max_new_tokens,
        likelihood=config.outer.reward == "likelihood",
        control=tuple(tasks[: CONTROLS + 1]) if config.outer.forgetting else (),
        search=config.arc.search if grids else 0.0,
        weighing=grids if config.arc.scoring == "product" else None,
        earlier=tuple(tasks[: config.outer.earlier]) if config.outer.retention else (),
    )


def make_grader(config: Config, folder: Path | None) -> Grader:
    graders: dict[str, Grader | None] = {**GRADERS, "judge": None}  # a judge is made from the config
    return lookup(graders, config.exam.grader, "exam.grader") or make_judge(config, folder)


def make_domain(config: Config) -> Domain:
    return lookup(DOMAINS, config.domain, "domain")(config)


def make_proxy(config: Config, folder: Path | None) -> Proxy | None:
    """The proxy that the config names as its reward; None for a reward that is measured. Raises InputError."""
    outer = config.outer
    if outer.reward in REWARDS:
        return None
    if outer.forgetting or outer.cost or outer.retention:
        raise InputError(
            f"outer.reward is {outer.reward}, which tries no edit: outer.forgetting, outer.cost and outer.retention "
            "cannot be charged"
        )
    proxies: dict[str, Callable[[], Proxy]] = {**PROXIES, "rubric": lambda: make_rubric(config, folder)}
    return lookup({**REWARDS, **proxies}, outer.reward, "outer.reward") and proxies[outer.reward]()


def make_outer(config: Config, folder: Path | None = None) -> Outer:
    """`folder` is the run's, where the answers of a rubric's model are kept."""
    outer = config.outer
    return Outer(
        rounds=outer.rounds,
        tasks_per_round=outer.passages_per_round,
        group_size=outer.edits_per_passage,
        wave=config.wave,
        writing=SamplingParams(**outer.writing.model_dump()),
        recipe=outer.recipe.recipe(),
        reward=make_reward(config, outer.retention),
        credit=lookup(CREDITS, outer.credit, "outer.credit"),
        seed=config.seed,
        repeats=outer.repeats,
        probe=outer.probe,
        anchors=outer.anchors,
        proxy=make_proxy(config, folder),
    )


def make_reward(config: Config, retention: float) -> Reward:
    """The reward that the config names, less its charges; `retention` in the place of that charge's weight."""
    outer = config.outer
    return with_costs(REWARDS.get(outer.reward, gain), outer.forgetting, outer.cost, retention)


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

    Raises InputError, before anything is run, for a passage that is too long for the model.
    Writes `summary.json` and `metrics.jsonl`. `seconds` in the summary is this call's time and that of the waves that
    earlier calls ran; what those took besides is not known.
    """
    began, earlier = time.monotonic(), sum(run.seconds().values())
    examiner, outer = make_examiner(config, engine, train, run.path), make_outer(config, run.path)
    used = train[: outer.rounds * outer.tasks_per_round]
    refuse_too_long(used, engine, lambda task: practice_prompts(task, examiner.domain, config))
    refuse_too_long(evaluation, engine, lambda task: exam_prompts(task, examiner.domain, config))
    if config.outer.questions == "own":
        train, _ = own_questions(run, used, examiner, outer, progress)
    start = engine.load(Path(config.outer.policy)) if config.outer.policy else BASE
    outer = replace(outer, earlier=examiner.earlier)
    practice = train[len(outer.earlier) :]
    policy = run_outer(practice, examiner, outer, run.remember, run.updates, progress, start)
    examiner = replace(examiner, earlier=())  # the final table's passages are learned alone: nothing comes before them
    outer = replace(outer, earlier=(), reward=make_reward(config, retention=0.0))
    exam = make_exam(config, len(evaluation))
    teacher = make_teacher(config, examiner.domain, outer, run.path)
    rows = named_rows(config, conditions(policy, examiner, outer, exam, teacher)) if evaluation else {}
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


def refuse_too_long(tasks: Sequence[Task], engine: Engine, ask: Callable[[Task], Sequence[str]]) -> None:
    """Raises InputError for the first passage with a prompt, of those that `ask` gives, that the model cannot read."""
    asked = [(task, prompt) for task in tasks for prompt in dict.fromkeys(ask(task))]
    for (task, _), refused in zip(asked, engine.refusals([prompt for _, prompt in asked]), strict=True):
        if refused:
            raise InputError(
                f"passage {task.title!r} is too long: {refused.message}; shorten or cut it, or choose a model with a "
                "longer context"
            )


def practice_prompts(task: Task, domain: Domain, config: Config) -> list[str]:
    """What the outer loop asks about a passage. Not covered: follow-ups, which depend on what the model writes."""
    written = [domain.prompt(task, member) for member in range(config.outer.edits_per_passage)]
    if config.outer.questions == "own" and config.domain == "knowledge":
        return [*written, prompts.questions(task)]
    return [*written, *exam_texts(task, domain, config.outer.reward == "likelihood")]


def exam_prompts(task: Task, domain: Domain, config: Config) -> list[str]:
    """What the rows of the final table ask about a passage."""
    rows = config.exam.rows or ["own_edits", "in_context"]
    writes = not {"own_edits", "after_rl"}.isdisjoint(rows)
    written = [domain.prompt(task, member) for member in range(config.documents.edits if writes else 0)]
    return [*written, *exam_texts(task, domain, "in_context" in rows)]


def exam_texts(task: Task, domain: Domain, open_book: bool = False) -> list[str]:
    """All questions about a task in all their views; `open_book`: with the context in them as well."""
    asks = [domain.exam, domain.open_book] if open_book else [domain.exam]
    return [text for ask in asks for question in task.questions for text in ask(task, question)]


def make_teacher(config: Config, domain: Domain, outer: Outer, folder: Path | None) -> Teacher | None:
    """Who else writes edits: a file of completions in SEAL's format, or a model at an endpoint; None for nobody."""
    teacher, edits = config.teacher, config.documents.edits
    if teacher.completions:
        return _from_file(Path(teacher.completions), domain, edits)
    if not teacher.endpoint.url:
        return None
    sampler = make_sampler(config, "teacher", folder)
    return lambda tasks: write_edits(BASE, tasks, domain, sampler, outer, edits)


def _from_file(path: Path, domain: Domain, edits: int) -> Teacher:
    texts = {(row.title, row.context): row.completions for row in read_completions(path, edits)}

    def written(tasks: Sequence[Task]) -> list[list[Trial]]:
        missing = [task.title for task in tasks if (task.title, task.context) not in texts]
        if missing:
            raise InputError(f"{path} has no self-edits for {missing[0]!r}, nor for {len(missing) - 1} more passages")
        return [
            [
                _somebodys(task, member, text, domain)
                for member, text in enumerate(texts[task.title, task.context][:edits])
            ]
            for task in tasks
        ]

    return written


def _somebodys(task: Task, member: int, text: str, domain: Domain) -> Trial:
    """An empty completion stands for the passage alone (SEAL's naive_val.json)."""
    return read(task, member, text, domain) if text.strip() else Trial(domain.without_edit(task))


def named_rows(config: Config, rows: dict[str, Condition]) -> dict[str, Condition]:
    """The conditions that the config asks for; without an outer loop and a policy there is none after it."""
    if not config.outer.rounds and not config.outer.policy:
        rows = {name: row for name, row in rows.items() if name != "after_rl"}
    return {name: lookup(rows, name, "exam.rows") for name in config.exam.rows or rows}


def own_questions(
    run: Run, tasks: Sequence[Task], examiner: Examiner, outer: Outer, progress: Progress = silent
) -> tuple[list[Task], list[Task]]:
    """(reward half, report half): the tasks with questions that the model wrote itself. Kept in `questions.json`.

    A task is in a half only if it has questions there. A domain that can make exams of the tasks has a first half only.
    """
    made = examiner.domain.own_exams(tasks)
    if made is not None:
        return made, []
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
