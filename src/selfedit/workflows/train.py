"""SEAL's experiment from end to end: the outer loop on some tasks, then the table of conditions on others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfedit.config import Config
from selfedit.errors import InputError
from selfedit.formats.passages import read_completions
from selfedit.loops.curves import at_budgets
from selfedit.loops.evaluate import (
    OPTIONAL,
    Condition,
    Teacher,
    accuracy,
    conditions,
    paired_gain,
    run_conditions,
    share_by_kind,
    summarise,
    write_edits,
)
from selfedit.loops.examine import Examiner
from selfedit.loops.outer import Outer, parse_edit, run_outer
from selfedit.loops.questions import self_exams
from selfedit.plugins import lookup
from selfedit.protocols import Domain, Engine, Progress, Scorer, silent
from selfedit.results import Summary, Table, TextTable, Words, answer_table, gain_sentence, percent, score_table
from selfedit.store import Run
from selfedit.types import BASE, DraftedQuestions, Prompt, SamplingParams, Score, Task, Trial, Update
from selfedit.workflows.build import make_domain, make_exam_plan, make_examiner, make_outer, make_reward
from selfedit.workflows.configure import domain_type
from selfedit.workflows.data import tasks_of
from selfedit.workflows.endpoints import make_sampler
from selfedit.workflows.engine import leave_out_too_long, load_update


@dataclass(frozen=True, slots=True)
class Experiment:
    """The last policy, the table of conditions (empty without tasks to evaluate on), and the trials behind it: one per
    task of `evaluation`. `remarks` say which tasks were left out, and whether reinforcement changed nothing.
    """

    policy: Update
    table: Table
    trials: dict[str, list[Trial]]
    evaluation: Sequence[Task] = ()
    remarks: Sequence[str] = ()


def train(run: Run, config: Config, engine: Engine, progress: Progress = silent) -> Summary:
    """Reinforce the policy on the run's tasks `train`, then score every condition on `eval`."""
    tasks = tasks_of(run)
    experiment = run_experiment(run, config, tasks["train"], tasks["eval"], engine, progress)
    return summary_of(config, experiment, tasks["train"])


NOTHING_LEARNED = "no edit earned credit in any round, so the policy is still the one that reinforcement began with"


def run_experiment(
    run: Run,
    config: Config,
    train: Sequence[Task],
    evaluation: Sequence[Task],
    engine: Engine,
    progress: Progress = silent,
) -> Experiment:
    """Resumes what the run already holds, and writes `summary.json` and `metrics.jsonl`.

    Passages that are too long for the model are left out, and the remarks say so; InputError, before anything is run,
    where all are. `seconds` in the summary is this call's time and that of the batches that earlier calls ran; what
    those took besides is not known.
    """
    began, earlier = time.monotonic(), sum(run.seconds().values())
    domain, needed = make_domain(config), config.outer.rounds * config.outer.tasks_per_round
    train, left_out = leave_out_too_long(train, engine, lambda task: practice_prompts(task, domain, config), needed)
    evaluation, of_exam = leave_out_too_long(evaluation, engine, lambda task: exam_prompts(task, domain, config))
    examiner, outer = make_examiner(config, engine, train, run.path), make_outer(config, run.path)
    kept = tuple(train[: config.outer.retention_tasks]) if config.outer.retention else ()
    if config.outer.questions == "own":
        train, _, invented = own_questions(run, train[:needed], examiner, outer, progress)
        left_out += invented
    start = load_update(engine, config.outer.policy)
    practice, outer = train[len(kept) :], replace(outer, retention_tasks=kept)
    policy = run_outer(practice, examiner, outer, run.remember, run.updates, progress, start)
    unchanged = [NOTHING_LEARNED] if config.outer.rounds and policy == start else []

    # The final table's tasks are learned alone: nothing comes before them that could be forgotten.
    measurements = {name: m for name, m in examiner.measurements.items() if name != "retention"}
    examiner = replace(examiner, measurements=measurements)
    settings = config.outer.model_copy(update={"sampling": exam_sampling(config)})
    outer = replace(outer, reward=make_reward(config, with_retention=False), settings=settings)
    plan = make_exam_plan(config, len(evaluation))
    teacher = make_teacher(config, examiner.domain, outer, engine, run.path)
    trials: dict[str, list[Trial]] = {}
    known = conditions(policy, examiner, outer, plan, teacher, evaluation, trials)
    rows, of_adapter = named_rows(config, known) if evaluation else {}, plan.tasks_per_adapter
    run_conditions(evaluation, rows, config.max_adapters, run.remember, progress, of_adapter, trials)
    seconds = run.seconds()
    gains = {}
    if {"after_rl", "own_edits"} <= trials.keys():
        gains["rl_gain"] = paired_gain(trials["after_rl"], trials["own_edits"])
    if {"own_edits", "passage_only_equal"} <= trials.keys():
        gains["gain_at_equal_tokens"] = paired_gain(trials["own_edits"], trials["passage_only_equal"])
    scores = tuple(summarise(name, own, seconds[f"exam/{name}"]) for name, own in trials.items())
    shares = share_by_kind({name: [own] for name, own in trials.items()}, evaluation)
    arms = {name: (policy if name == "after_rl" else BASE, own) for name, own in trials.items() if _learned(own)}
    at = at_budgets(arms, evaluation, config.exam.budgets, examiner, outer, run.remember, progress, of_adapter)
    table = Table(scores, gains, round(earlier + time.monotonic() - began, 1), shares, curves_of(at, trials))
    run.keep_json("summary.json", table.to_json())
    run.write_metrics()
    return Experiment(policy, table, trials, evaluation, [*left_out, *of_exam, *unchanged])


def exam_sampling(config: Config) -> SamplingParams:
    """How the edits of the table are written: one a task by `exam.temperature`, several as in reinforcement."""
    temperature = config.exam.temperature
    if temperature is None or config.exam.edits_per_task > 1:
        return config.outer.sampling
    return replace(config.outer.sampling, temperature=temperature)


def _learned(trials: Sequence[Trial]) -> bool:
    return any(trial.edit.examples for trial in trials)


def curves_of(
    at: Mapping[str, Mapping[int, Sequence[Trial]]], trials: Mapping[str, Sequence[Trial]]
) -> dict[str, list[dict[str, float]]]:
    """Condition -> its scores by tokens a task, with its own row in its place where that had a budget too."""
    curves = {}
    for name, of in at.items():
        budgets = {trial.edit.recipe.tokens for trial in trials[name] if trial.edit.examples}
        own = {tokens: trials[name] for tokens in budgets if tokens and len(budgets) == 1}
        if of:
            curves[name] = [summarise(name, found).point(tokens) for tokens, found in sorted({**own, **of}.items())]
    return curves


def summary_of(config: Config, experiment: Experiment, train: Sequence[Task]) -> Summary:
    """The table, one worked example before it, and what it cost."""
    words, table, trials = domain_type(config).words, experiment.table, experiment.trials
    evaluation = experiment.evaluation
    sections: list[tuple[str, str]] = []
    tables = []
    if evaluation and {"own_edits", "after_rl"} <= trials.keys():
        # A task of middling score, neither the best nor the worst; the nearest to it that shows what follows.
        ranked = sorted(range(len(evaluation)), key=lambda index: accuracy(trials["after_rl"][index]) or 0.0)
        middle = len(ranked) // 2
        shown = [ranked[place] for place in sorted(range(len(ranked)), key=lambda place: abs(place - middle))]
        implied = ((index, implied_answer(evaluation[index], trials["after_rl"][index])) for index in shown)
        index, told = next(((index, told) for index, told in implied if told), (shown[0], ""))
        own, after, task = trials["own_edits"][index], trials["after_rl"][index], evaluation[index]
        sections = [
            (f"A {words.task} it had never seen (one of middling score)", task.context),
            (f"Its {words.edit} before reinforcement", own.edit.text),
            (f"Its {words.edit} after reinforcement", after.edit.text),
        ]
        if told:
            sections.append((f"What follows from the {words.task}, learned from its {words.edit}", told))
        title = f"Answers: having learned the {words.edit} before, and after"
        kept = few_questions(task)
        few = replace(task, questions=tuple(task.questions[number] for number in kept))
        tables.append(answer_table(few, only(own.after, kept), only(after.after, kept), title))
    if evaluation:
        title = f"{words.title} on {len(evaluation)} unseen {words.task}s"
        tables.append(score_table(table, words, title))
    if table.by_kind:
        tables.append(kind_table(table, words))
    remarks = [*experiment.remarks, *(gain_sentence(gain, words.task, name) for name, gain in table.gains.items())]
    remarks.append(f"Policy: {experiment.policy.id}   {table.seconds} s")
    return Summary(table, None, sections, tables, remarks, [*train, *evaluation])


def implied_answer(task: Task, trial: Trial) -> str:
    """A question that was answered although its answer stands only in the edit, not in the context: the line of the
    edit, the question and the answer. Empty where there is none.
    """
    if not trial.after:
        return ""
    for question, answer, grade in zip(task.questions, trial.after.answers, trial.after.grades, strict=True):
        lines = [line for line in trial.edit.text.split("\n") if question.target.lower() in line.lower()]
        if lines and grade == 1 and question.target.lower() not in task.context.lower():
            return f"Note:     {lines[0]}\nQuestion: {question.text}\nAnswer:   {answer}"
    return ""


MOST_QUESTIONS = 8
"""In a worked example."""


def few_questions(task: Task) -> list[int]:
    """MOST_QUESTIONS of a task's questions, by number, about as many of every kind."""
    numbers: dict[str, list[int]] = {}
    for number, question in enumerate(task.questions):
        numbers.setdefault(question.kind, []).append(number)
    each = -(-MOST_QUESTIONS // max(1, len(numbers)))
    return sorted(number for of_kind in numbers.values() for number in of_kind[:each])


def only(score: Score | None, kept: Sequence[int]) -> Score | None:
    """The score on some of the questions."""
    if score is None:
        return None
    return Score(tuple(score.answers[number] for number in kept), tuple(score.grades[number] for number in kept))


def kind_table(table: Table, words: Words) -> TextTable:
    """The share of right answers by kind of question."""
    rows = [
        (words.conditions.get(row.key, row.key), *(percent(found[row.key]) for found in table.by_kind.values()))
        for row in table
        if all(row.key in found for found in table.by_kind.values())
    ]
    return TextTable("By kind of question", ("condition", *table.by_kind), rows)


def practice_prompts(task: Task, domain: Domain, config: Config) -> list[Prompt]:
    """What the outer loop asks about a task. Not covered: follow-ups, which depend on what the model writes."""
    written = [prompt for member in range(config.outer.edits_per_task) for prompt in domain.prompts(task, member)]
    if config.outer.questions == "own" and domain.own_exams([]) is None:
        return [*written, *domain.question_prompts(task)]
    return [*written, *question_prompts(task, domain, config.outer.reward == "likelihood")]


def exam_prompts(task: Task, domain: Domain, config: Config) -> list[Prompt]:
    """What the rows of the final table ask about a task."""
    rows = config.exam.rows or ["own_edits", "in_context"]
    writes = not {"own_edits", "after_rl"}.isdisjoint(rows)
    edits = range(config.exam.edits_per_task if writes else 0)
    written = [prompt for member in edits for prompt in domain.prompts(task, member)]
    return [*written, *question_prompts(task, domain, not {"in_context", "retrieved"}.isdisjoint(rows))]


def question_prompts(task: Task, domain: Domain, open_book: bool = False) -> list[Prompt]:
    """All questions about a task in all their views; `open_book`: with the context in them as well."""
    asks = [domain.exam, domain.open_book] if open_book else [domain.exam]
    return [text for ask in asks for question in task.questions for text in ask(task, question)]


def make_teacher(config: Config, domain: Domain, outer: Outer, scorer: Scorer, folder: Path | None) -> Teacher | None:
    """Who else writes edits: a file of completions in SEAL's format, or a model at an endpoint; None for nobody."""
    edits_per_task = config.exam.edits_per_task
    if config.data.teacher:
        return _from_file(Path(config.data.teacher), domain, edits_per_task)
    if not config.endpoints.teacher.url:
        return None
    sampler = make_sampler(config, "teacher", folder)
    return lambda tasks: write_edits(BASE, tasks, domain, sampler, outer, edits_per_task, scorer)


def _from_file(path: Path, domain: Domain, edits_per_task: int) -> Teacher:
    """An empty completion stands for the passage alone (SEAL's naive_val.json)."""
    texts = {(row.title, row.context): row.completions for row in read_completions(path, edits_per_task)}

    def written(tasks: Sequence[Task]) -> list[list[Trial]]:
        missing = [task.title for task in tasks if (task.title, task.context) not in texts]
        if missing:
            raise InputError(f"{path} has no self-edits for {missing[0]!r}, nor for {len(missing) - 1} more passages")
        edits = []
        for task in tasks:
            own = enumerate(texts[task.title, task.context][:edits_per_task])
            without = Trial(domain.without_edit(task))
            edits.append([parse_edit(task, n, text, domain) if text.strip() else without for n, text in own])
        return edits

    return written


def named_rows(config: Config, rows: dict[str, Condition]) -> dict[str, Condition]:
    """The conditions that the config asks for; without an outer loop and a policy there is none after it."""
    if not config.outer.rounds and not config.outer.policy:
        rows = {name: row for name, row in rows.items() if name != "after_rl"}
    usual = [name for name in rows if name not in OPTIONAL]
    return {name: lookup(rows, name, "exam.rows") for name in config.exam.rows or usual}


def own_questions(
    run: Run, tasks: Sequence[Task], examiner: Examiner, outer: Outer, progress: Progress = silent
) -> tuple[list[Task], list[Task], list[str]]:
    """(reward half, report half, remarks): the tasks with questions that the model wrote itself, kept in the run.

    A task is in a half only if it has questions there. A domain that can make exams of the tasks has a first half only.
    """
    made = examiner.domain.own_exams(tasks)
    if made is not None:
        return made, [], []

    def write() -> list[DraftedQuestions]:
        progress("questions", 0, len(tasks), "")
        exams = self_exams(tasks, BASE, examiner, outer.settings.sampling, outer.seed)
        progress("questions", len(tasks), len(tasks), "")
        rows = [row for exam in exams for row in ((exam.reward, exam.invented), (exam.report, 0))]
        return [DraftedQuestions(half.id, half.questions, invented) for half, invented in rows]

    drafted = run.remember("questions", 0, write, DraftedQuestions)
    first, second = (
        [
            replace(task, questions=own.questions)
            for task, own in zip(tasks, drafted[half::2], strict=True)
            if own.questions
        ]
        for half in (0, 1)
    )
    return first, second, invented_remark(drafted)


def invented_remark(drafted: Sequence[DraftedQuestions]) -> list[str]:
    """How many questions were dropped because their answer does not stand in the document, if any."""
    kept, invented = sum(len(own.questions) for own in drafted), sum(own.invented for own in drafted)
    what = f"{invented} questions that the model wrote were dropped: their answer does not stand in the document"
    return [f"{what}; {kept} others count"] if invented else []
