"""What the loops achieved, on tasks that no policy was trained on: SEAL's conditions, paired and with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from statistics import fmean
from types import MappingProxyType

from selfedit.errors import EngineError, InputError
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.loops.inner import merge_edits, run_inner
from selfedit.loops.outer import Outer, propose
from selfedit.loops.retrieval import TfIdf, as_asked
from selfedit.protocols import Domain, Progress, Remember, Sampler, Scorer, silent
from selfedit.results import Row, Table
from selfedit.seeds import derive_seed
from selfedit.statistics import Interval, paired_interval, share_interval
from selfedit.types import BASE, Failure, Recipe, Score, SelfEdit, Task, Trial, Update

Condition = Callable[[Sequence[Task]], list[Trial]]
"""A batch of tasks -> one trial each, its `after` the score under this condition."""

Teacher = Callable[[Sequence[Task]], list[list[Trial]]]
"""Tasks -> the self-edits that somebody wrote for each."""


@dataclass(frozen=True, slots=True)
class ExamPlan:
    """How the final table is made. Each task is learned from `edits_per_task` self-edits of the same writer.

    `tasks_per_adapter` is 1 in SEAL's single-passage table; more is continued pretraining. With `repeat_context` the
    passage stands among the documents once for every edit (SEAL's first recipe, docs/seal.md 2.3). `rival_recipe` is
    how the passage alone is trained, where not as its edits are.
    """

    edits_per_task: int = 1
    tasks_per_adapter: int = 1
    repeat_context: bool = False
    rival_recipe: Recipe | None = None


def conditions(
    policy: Update,
    examiner: Examiner,
    outer: Outer,
    plan: ExamPlan = ExamPlan(),
    teacher: Teacher | None = None,
    library: Sequence[Task] = (),
    done: Mapping[str, Sequence[Trial]] = MappingProxyType({}),
) -> dict[str, Condition]:
    """The rows of the table, in the order in which they should improve. `policy` is what the outer loop ended with.

    `done` holds the rows that were made before: `passage_only_equal` trains on the passage for as many tokens as
    `own_edits` took. `retrieved` puts that passage of the `library` into the prompt which is most like the question.
    """

    def untrained(open_book: bool, tasks: Sequence[Task]) -> list[Trial]:
        scores = score(examiner, [Exam(BASE, task) for task in tasks], open_book)
        return [Trial(SelfEdit(task.id, ""), BASE, after=s) for task, s in zip(tasks, scores, strict=True)]

    def trained(writes: Teacher, parent: Update, tasks: Sequence[Task]) -> list[Trial]:
        """One update per `tasks_per_adapter` tasks from `parent`."""
        trials = [merge_edits(of_task, plan.repeat_context) for of_task in writes(tasks)]
        return learn(trials, tasks, parent, examiner, outer, plan.tasks_per_adapter)

    def passage(tasks: Sequence[Task]) -> list[list[Trial]]:
        edits = [examiner.domain.without_edit(task) for task in tasks]
        return [[Trial(replace(edit, recipe=plan.rival_recipe or edit.recipe))] for edit in edits]

    def for_as_long(tasks: Sequence[Task]) -> list[list[Trial]]:
        if "own_edits" not in done:
            raise InputError("exam.rows has passage_only_equal, which needs own_edits before it")
        own = {trial.edit.task_id: trial for trial in done["own_edits"]}
        trials = [trial for (trial,) in passage(tasks)]
        return [[replace(t, edit=for_as_many_tokens(t.edit, own[t.edit.task_id]))] for t in trials]

    def retrieved(tasks: Sequence[Task]) -> list[Trial]:
        scores = score_retrieved(examiner, BASE, tasks, library)
        return [Trial(SelfEdit(task.id, ""), BASE, after=s) for task, s in zip(tasks, scores, strict=True)]

    def own(writer: Update) -> Teacher:
        engine, domain = examiner.engine, examiner.domain
        return lambda tasks: write_edits(writer, tasks, domain, engine, outer, plan.edits_per_task, engine)

    return {
        "base": partial(untrained, False),
        "passage_only": partial(trained, passage, BASE),
        "own_edits": partial(trained, own(BASE), BASE),
        "passage_only_equal": partial(trained, for_as_long, BASE),
        **({"teacher_edits": partial(trained, teacher, BASE)} if teacher else {}),
        "after_rl": partial(trained, own(policy), policy),
        "in_context": partial(untrained, True),
        "retrieved": retrieved,
    }


OPTIONAL = ("passage_only_equal", "retrieved")
"""Conditions that are made only where they are named: the rivals at equal cost, and what people do instead."""


def learn(
    trials: Sequence[Trial],
    tasks: Sequence[Task],
    parent: Update,
    examiner: Examiner,
    outer: Outer,
    tasks_per_adapter: int = 1,
) -> list[Trial]:
    """The edits of these tasks, learned from `parent` and examined. Whoever wrote them, a task has the same seed."""
    seeds = [derive_seed(outer.seed, "exam", trial.edit.task_id) for trial in trials]
    by_id = {task.id: task for task in tasks}
    return run_inner(trials, by_id, parent, examiner, outer.reward, seeds, tasks_per_adapter)


def with_tokens(edit: SelfEdit, tokens: int) -> SelfEdit:
    """The edit, trained for so many tokens."""
    return replace(edit, recipe=replace(edit.recipe, tokens=tokens))


def for_as_many_tokens(edit: SelfEdit, other: Trial) -> SelfEdit:
    """The edit, trained for exactly as many tokens as another trial took; unchanged where that was not trained."""
    return with_tokens(edit, other.update.tokens) if other.update else edit


def with_retrieved(tasks: Sequence[Task], library: Sequence[Task]) -> list[Task]:
    """One task for each question, its context the passage of the library that is most like topic and question."""
    asked = [(task, question) for task in tasks for question in task.questions]
    index = TfIdf([f"{passage.title}\n{passage.context}" for passage in library])
    found = index.most_similar([as_asked(task, question) for task, question in asked], 0.0)
    contexts = [
        task.context if place is None else library[place].context for (task, _), place in zip(asked, found, strict=True)
    ]
    return [replace(t, context=context, questions=(q,)) for (t, q), context in zip(asked, contexts, strict=True)]


def score_retrieved(examiner: Examiner, update: Update, tasks: Sequence[Task], library: Sequence[Task]) -> list[Score]:
    """One score per task, every question asked with that passage of the library before it which is most like it."""
    exams = [Exam(update, asked) for asked in with_retrieved(tasks, library)]
    scores, joined = iter(score(examiner, exams, open_book=True)), list[Score]()
    for task in tasks:
        own = [next(scores) for _ in task.questions]
        joined.append(Score(tuple(a for s in own for a in s.answers), tuple(g for s in own for g in s.grades)))
    return joined


def write_edits(
    writer: Update,
    tasks: Sequence[Task],
    domain: Domain,
    sampler: Sampler,
    outer: Outer,
    edits_per_task: int,
    scorer: Scorer,
) -> list[list[Trial]]:
    """So many self-edits for every task, read again by `scorer`. All writers share the seeds of the tasks."""
    members = [(task, member) for task in tasks for member in range(edits_per_task)]
    seeds = [derive_seed(outer.seed, "exam", task.id, *([member] if member else [])) for task, member in members]
    written = propose(writer, members, domain, sampler, outer.settings.sampling, seeds, scorer)
    return [written[start : start + edits_per_task] for start in range(0, len(written), edits_per_task)]


def run_conditions(
    tasks: Sequence[Task],
    conditions: Mapping[str, Condition],
    max_adapters: int,
    remember: Remember,
    progress: Progress = silent,
    tasks_per_adapter: int = 1,
    done: dict[str, list[Trial]] | None = None,
    stage: str = "exam",
) -> dict[str, list[Trial]]:
    """Every condition on every task, a batch at a time; batches that `remember` knows are not run again.

    A batch holds whole groups of `tasks_per_adapter` tasks. `done` is filled with each row once it is whole. The
    batches of a condition are remembered as `stage`/name.
    """
    size = max(tasks_per_adapter, max_adapters // tasks_per_adapter * tasks_per_adapter)
    results: dict[str, list[Trial]] = {} if done is None else done
    for name, condition in conditions.items():
        trials: list[Trial] = []
        for number, start in enumerate(range(0, len(tasks), size)):
            progress(name, len(trials), len(tasks), "")
            trials += remember(f"{stage}/{name}", number, partial(condition, tasks[start : start + size]), Trial)
        progress(name, len(tasks), len(tasks), "")
        results[name] = trials
    return results


def accuracy(trial: Trial) -> float | None:
    """The trial's accuracy; 0 where the policy wrote nothing that can be used, None where the system failed."""
    if trial.failure:
        return 0.0 if trial.failure.blame == "policy" else None
    return trial.after.value if trial.after else None


def summarise(key: str, trials: Sequence[Trial], seconds: float | None = None) -> Row:
    """Mean accuracy over tasks with its 95 % interval. Raises EngineError where the system failed them all."""
    values = [value for trial in trials if (value := accuracy(trial)) is not None]
    if not values:
        raise EngineError(f"none of {len(trials)} tasks could be scored; {_first_failure(trials)}")
    mean, blanks = share_interval(values), [trial.after.blank for trial in trials if trial.after]
    return Row(
        key,
        mean.mean,
        mean.low,
        mean.high,
        mean.n,
        blank=sum(blanks) / len(blanks) if blanks else 0.0,
        failed=len(trials) - len(values),
        tokens=sum(trial.update.tokens for trial in trials if trial.update),
        seconds=seconds,
    )


def by_kind(trials: Sequence[Trial], tasks: Sequence[Task]) -> dict[str, float]:
    """The share of right answers to each kind of question, over all tasks; none where questions have no kinds. An edit
    that could not be used answers none; where the system failed, a question is left out.
    """
    found: dict[str, list[float]] = {}
    for trial, task in zip(trials, tasks, strict=True):
        grades = trial.after.grades if trial.after else [accuracy(trial)] * len(task.questions)
        for question, grade in zip(task.questions, grades, strict=True):
            if question.kind and isinstance(grade, float | int):
                found.setdefault(question.kind, []).append(grade)
    return {kind: fmean(grades) for kind, grades in found.items()}


def share_by_kind(rows: Mapping[str, Sequence[Sequence[Trial]]], tasks: Sequence[Task]) -> dict[str, dict[str, float]]:
    """Kind of question -> row -> its share of right answers, the mean over the runs that a row has."""
    found: dict[str, dict[str, float]] = {}
    for name, runs in rows.items():
        of_runs = [by_kind(trials, tasks) for trials in runs]
        for kind in of_runs[0]:
            found.setdefault(kind, {})[name] = fmean(of_run[kind] for of_run in of_runs)
    return found


def _first_failure(trials: Sequence[Trial]) -> str:
    grades = [grade for trial in trials if trial.after for grade in trial.after.grades]
    failures = [failure for failure in [*(trial.failure for trial in trials), *grades] if isinstance(failure, Failure)]
    return f"the first failure: {failures[0].message}" if failures else "they have no questions"


def paired_gain(after: Sequence[Trial], before: Sequence[Trial]) -> Interval:
    """Mean difference on the tasks that both conditions scored, with its 95 % interval (fractions of 1)."""
    scores = [(accuracy(a), accuracy(b)) for a, b in zip(after, before, strict=True)]
    pairs = [(a, b) for a, b in scores if a is not None and b is not None]
    if not pairs:
        raise EngineError(f"no task was scored under both conditions; {_first_failure([*after, *before])}")
    return paired_interval([a for a, _ in pairs], [b for _, b in pairs])


def across_seeds(runs: Sequence[Mapping[str, Sequence[Trial]]]) -> Table:
    """The table over several runs that were examined on the same tasks: each task counts once, with its mean over runs.

    `seeds` holds the mean of every condition in each run: the spread between runs is not in the intervals.
    """
    rows = []
    for name in runs[0]:
        per_run = [summarise(name, run[name]) for run in runs]
        over_tasks = share_interval(_task_means([run[name] for run in runs]))
        rows.append(
            replace(
                per_run[0],
                mean=over_tasks.mean,
                low=over_tasks.low,
                high=over_tasks.high,
                n=over_tasks.n,
                blank=sum(row.blank or 0.0 for row in per_run) / len(runs),
                failed=sum(row.failed or 0 for row in per_run),
                tokens=sum(row.tokens or 0 for row in per_run) // len(runs),
                seeds=tuple(row.mean for row in per_run),
            )
        )
    gains = {}
    if {"after_rl", "own_edits"} <= runs[0].keys():
        gains["rl_gain"] = paired_across_seeds(runs, runs, "after_rl", "own_edits")
    return Table(tuple(rows), gains)


def paired_across_seeds(
    runs: Sequence[Mapping[str, Sequence[Trial]]],
    others: Sequence[Mapping[str, Sequence[Trial]]],
    row: str,
    other_row: str = "",
) -> Interval:
    """The mean difference between one condition of some runs and one of others, paired by task, each with its mean over
    its runs. The conditions are the same where no other one is named.
    """
    after = _task_means([run[row] for run in runs])
    return paired_interval(after, _task_means([run[other_row or row] for run in others]))


def _task_means(runs: Sequence[Sequence[Trial]]) -> list[float]:
    """Each task's mean accuracy over the runs. Raises EngineError if the system failed a task in any of them."""
    columns = [[accuracy(trial) for trial in trials] for trials in zip(*runs, strict=True)]
    if any(value is None for column in columns for value in column):
        raise EngineError("some answers could not be sampled or graded; see the failures in the runs' reports")
    return [fmean(value or 0.0 for value in column) for column in columns]
