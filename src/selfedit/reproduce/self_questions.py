"""Whether questions that the model wrote rank self-edits as the passages' own questions do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from selfedit.config import Config
from selfedit.domains.knowledge import prompts
from selfedit.loops.outer import run_waves
from selfedit.protocols import Engine, Progress, silent
from selfedit.statistics import mean_interval, spearman
from selfedit.store import Run
from selfedit.types import BASE, Failure, Score, Task, Trial
from selfedit.workflows.train import make_examiner, make_outer, own_questions, practice_prompts, refuse_too_long

Ranking = dict[str, dict[str, list[float]]]
Measure = Callable[[Score, slice], float]


def rank_edits(run: Run, config: Config, tasks: Sequence[Task], engine: Engine, progress: Progress = silent) -> Ranking:
    """Try a group of edits for every passage, and examine each by both kinds of questions.

    Returns lists with one value per passage: the rank correlation of its edits by the written and by the given
    questions, for `accuracy` and for `likelihood`; and how many questions were kept. Passages for which no question was
    kept, or whose edits one side cannot tell apart, are left out.
    """
    examiner, outer = make_examiner(config, engine), make_outer(config)
    examiner = replace(examiner, likelihood=True)
    refuse_too_long(
        tasks, engine, lambda task: [prompts.questions(task), *practice_prompts(task, examiner.domain, config)]
    )
    first, second = own_questions(run, tasks, examiner, outer, progress)
    written = {task.id: task.questions for task in first}
    for task in second:
        written[task.id] = written.get(task.id, ()) + task.questions
    both = [replace(task, questions=task.questions + written[task.id]) for task in tasks if task.id in written]
    trials = run_waves("edits", both, BASE, examiner, outer, run.remember, progress)
    given = {task.id: len(task.questions) for task in tasks}
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.after and trial.after.whole:
            groups.setdefault(trial.edit.task_id, []).append(trial)
    found = {name: _correlations(groups, given, measure) for name, measure in MEASURES.items()}
    return {"spearman": found, "kept": {"questions": [float(len(own)) for own in written.values()]}}


def _correlations(groups: Mapping[str, list[Trial]], given: Mapping[str, int], measure: Measure) -> list[float]:
    found = []
    for task_id, trials in groups.items():
        scores = [trial.after for trial in trials if trial.after]
        sides = [
            [measure(score, part) for score in scores]
            for part in (slice(None, given[task_id]), slice(given[task_id], None))
        ]
        correlation = spearman(*sides)
        found += [] if correlation is None else [correlation]
    return found


def _mean(values: Sequence[float | Failure]) -> float:
    return fmean(value for value in values if not isinstance(value, Failure))


MEASURES: dict[str, Measure] = {
    "accuracy": lambda score, part: _mean(score.grades[part]),
    "likelihood": lambda score, part: _mean(score.likelihoods[part]),
}


def summarise_ranking(runs: Sequence[Ranking]) -> dict[str, Any]:
    """Mean over passages of all seeds, with its 95 % interval, and how many questions a passage kept."""
    rows: dict[str, Any] = {}
    for name in runs[0]["spearman"]:
        interval = mean_interval([value for run in runs for value in run["spearman"][name]])
        rows[name] = {
            "spearman": interval.mean,
            "low": interval.low,
            "high": interval.high,
            "n": interval.n,
            "seeds": [fmean(run["spearman"][name]) for run in runs],
        }
    kept = [value for run in runs for value in run["kept"]["questions"]]
    return {**rows, "passages": len(kept), "questions_per_passage": fmean(kept)}
