"""What the loops achieved, on tasks that no policy was trained on: SEAL's conditions, paired and with intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from selfedit.errors import EngineError
from selfedit.loops.inner import Examiner, derive_seed, run_inner
from selfedit.loops.outer import Outer, Remember, propose
from selfedit.protocols import Domain, Progress, Sampler, silent
from selfedit.statistics import mean_interval, paired_interval
from selfedit.types import BASE, Failure, SelfEdit, Task, Trial, Update

Condition = Callable[[Sequence[Task]], list[Trial]]
"""A wave of tasks -> one trial each, its `after` the score under this condition."""


@dataclass(frozen=True, slots=True)
class Exam:
    """How the final table is made. Each passage is learned from `edits` self-edits of the same writer.

    `together` passages share an adapter: 1 is SEAL's single-passage table, more is continued pretraining. With
    `repeat_passage` the passage stands among the documents once for every edit (SEAL's first recipe, spec 2.3).
    """

    edits: int = 1
    together: int = 1
    repeat_passage: bool = False


Teacher = Callable[[Sequence[Task]], list[list[Trial]]]
"""Tasks -> the self-edits that somebody else wrote for each."""


def conditions(
    policy: Update, examiner: Examiner, outer: Outer, exam: Exam = Exam(), teacher: Teacher | None = None
) -> dict[str, Condition]:
    """The rows of the table, in the order in which they should improve. `policy` is what the outer loop ended with."""

    def answers(open_book: bool) -> Condition:
        def run(tasks: Sequence[Task]) -> list[Trial]:
            scores = examiner.score([(BASE, task) for task in tasks], open_book)
            return [Trial(SelfEdit(task.id, ""), BASE, after=s) for task, s in zip(tasks, scores, strict=True)]

        return run

    def learned(edits: Teacher, parent: Update) -> Condition:
        def run(tasks: Sequence[Task]) -> list[Trial]:
            trials = [joined(of_task, exam.repeat_passage) for of_task in edits(tasks)]
            return taught(trials, tasks, parent, examiner, outer, exam.together)

        return run

    def passage(tasks: Sequence[Task]) -> list[list[Trial]]:
        return [[Trial(examiner.domain.without_edit(task))] for task in tasks]

    def own(writer: Update) -> Teacher:
        return lambda tasks: write_edits(writer, tasks, examiner.domain, examiner.engine, outer, exam.edits)

    teachers = {"teacher_edits": learned(teacher, BASE)} if teacher else {}
    return {
        "base": answers(open_book=False),
        "passage_only": learned(passage, BASE),
        "own_edits": learned(own(BASE), BASE),
        **teachers,
        "after_rl": learned(own(policy), policy),
        "in_context": answers(open_book=True),
    }


def write_edits(
    writer: Update, tasks: Sequence[Task], domain: Domain, sampler: Sampler, outer: Outer, edits: int
) -> list[list[Trial]]:
    """`edits` self-edits for every task. All writers share the seeds of the tasks."""
    members = [(task, member) for task in tasks for member in range(edits)]
    seeds = [derive_seed(outer.seed, "exam", task.id, *([member] if member else [])) for task, member in members]
    written = propose(writer, members, domain, sampler, outer.writing, seeds)
    return [written[start : start + edits] for start in range(0, len(written), edits)]


def joined(trials: Sequence[Trial], repeat_passage: bool = False) -> Trial:
    """One trial that learns all these edits of a task, equal documents once unless `repeat_passage`.

    Edits that could not be read are left out; if none could, nor can the whole. One that the system failed fails it.
    """
    readable = [trial for trial in trials if trial.failure is None]
    failed = [trial for trial in trials if trial.failure and trial.failure.blame == "system"]
    if failed or not readable or len(trials) == 1:
        return (failed or list(trials))[0]
    examples = [example for trial in readable for example in trial.edit.examples]
    kept = tuple(examples if repeat_passage else dict.fromkeys(examples))
    text = "\n\n".join(trial.edit.text for trial in readable)
    return replace(readable[0], edit=replace(readable[0].edit, text=text, examples=kept))


def taught(
    trials: Sequence[Trial],
    tasks: Sequence[Task],
    parent: Update,
    examiner: Examiner,
    outer: Outer,
    together: int = 1,
) -> list[Trial]:
    """One update per `together` trials from `parent`, examined and settled. All conditions share the tasks' seeds."""
    seeds = [derive_seed(outer.seed, "exam", trial.edit.task_id) for trial in trials]
    return run_inner(trials, {task.id: task for task in tasks}, parent, examiner, outer.reward, seeds, together)


def run_conditions(
    tasks: Sequence[Task],
    conditions: Mapping[str, Condition],
    wave: int,
    remember: Remember,
    progress: Progress = silent,
    together: int = 1,
) -> dict[str, list[Trial]]:
    """Every condition on every task, a wave at a time; waves that `remember` knows are not run again.

    A wave holds whole groups of `together` tasks.
    """
    wave = max(together, wave // together * together)
    results: dict[str, list[Trial]] = {}
    for name, condition in conditions.items():
        trials: list[Trial] = []
        for number, start in enumerate(range(0, len(tasks), wave)):
            progress(name, len(trials), len(tasks), "")
            of_wave = tasks[start : start + wave]
            trials += remember(f"exam/{name}", number, lambda c=condition, w=of_wave: c(w))  # type: ignore[misc]
        progress(name, len(tasks), len(tasks), "")
        results[name] = trials
    return results


def accuracy(trial: Trial) -> float | None:
    """The trial's accuracy; 0 where the policy wrote nothing that can be used, None where the system failed."""
    if trial.failure:
        return 0.0 if trial.failure.blame == "policy" else None
    return trial.after.value if trial.after else None


def summarise(trials: Sequence[Trial]) -> dict[str, Any]:
    """Mean accuracy over tasks with its 95 % interval, the share of blank answers, trained tokens.

    `n` counts the tasks with a score; `failed` those that the system failed, which are left out and not counted wrong.
    Raises EngineError where it failed them all.
    """
    values = [value for trial in trials if (value := accuracy(trial)) is not None]
    if not values:
        raise EngineError(f"none of {len(trials)} tasks could be scored; {_first_failure(trials)}")
    interval = mean_interval(values)
    blanks = [trial.after.blank for trial in trials if trial.after]
    return {
        **interval.fields,
        "blank": sum(blanks) / len(blanks) if blanks else 0.0,
        "n": interval.n,
        "failed": len(trials) - len(values),
        "tokens": sum(trial.update.tokens for trial in trials if trial.update),
    }


def _first_failure(trials: Sequence[Trial]) -> str:
    grades = [grade for trial in trials if trial.after for grade in trial.after.grades]
    failures = [failure for failure in [*(trial.failure for trial in trials), *grades] if isinstance(failure, Failure)]
    return f"the first failure: {failures[0].message}" if failures else "they have no questions"


def paired_gain(after: Sequence[Trial], before: Sequence[Trial]) -> dict[str, float]:
    """Mean difference on the tasks that both conditions scored, with its 95 % interval (fractions of 1)."""
    scores = [(accuracy(a), accuracy(b)) for a, b in zip(after, before, strict=True)]
    pairs = [(a, b) for a, b in scores if a is not None and b is not None]
    if not pairs:
        raise EngineError(f"no task was scored under both conditions; {_first_failure([*after, *before])}")
    return paired_interval([a for a, _ in pairs], [b for _, b in pairs]).fields


def across_seeds(runs: Sequence[Mapping[str, Sequence[Trial]]]) -> dict[str, Any]:
    """The table over several runs that were examined on the same tasks: each task counts once, with its mean over runs.

    `seeds` holds the mean of every condition in each run: the spread between runs is not in the intervals.
    """
    table: dict[str, Any] = {}
    for name in runs[0]:
        per_run = [summarise(run[name]) for run in runs]
        interval = mean_interval(_task_means([run[name] for run in runs]))
        table[name] = {
            **interval.fields,
            "blank": sum(row["blank"] for row in per_run) / len(runs),
            "n": interval.n,
            "failed": sum(row["failed"] for row in per_run),
            "tokens": sum(row["tokens"] for row in per_run) // len(runs),
            "seeds": [row["mean"] for row in per_run],
        }
    if table.keys() >= {"after_rl", "own_edits"}:
        after, before = (_task_means([run[name] for run in runs]) for name in ("after_rl", "own_edits"))
        table["rl_gain"] = paired_interval(after, before).fields
    return table


def paired_across_seeds(
    runs: Sequence[Mapping[str, Sequence[Trial]]], others: Sequence[Mapping[str, Sequence[Trial]]], row: str
) -> dict[str, float]:
    """The mean difference between two sets of runs in one condition, paired by task, each task's mean over its runs."""
    return paired_interval(*(_task_means([run[row] for run in of_arm]) for of_arm in (runs, others))).fields


def _task_means(runs: Sequence[Sequence[Trial]]) -> list[float]:
    """Each task's mean accuracy over the runs. Raises EngineError if the system failed a task in any of them."""
    columns = [[accuracy(trial) for trial in trials] for trials in zip(*runs, strict=True)]
    if any(value is None for column in columns for value in column):
        raise EngineError("some answers could not be sampled or graded; see the failures in the runs' reports")
    return [sum(value or 0.0 for value in column) / len(column) for column in columns]
