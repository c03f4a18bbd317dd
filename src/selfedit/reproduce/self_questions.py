"""Whether questions that the model wrote rank self-edits as the passages' own questions do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any

from selfedit.config import Config
from selfedit.loops.examine import MEASUREMENTS
from selfedit.loops.outer import try_edits
from selfedit.protocols import Engine, Progress, silent
from selfedit.reproduce import arms
from selfedit.reproduce.options import Options
from selfedit.reproduce.plan import read_plan
from selfedit.results import TextTable
from selfedit.statistics import mean_interval, required_mean, spearman
from selfedit.store import Run
from selfedit.types import BASE, Score, Task, Trial, Value
from selfedit.workflows.build import make_examiner, make_outer
from selfedit.workflows.data import read_data
from selfedit.workflows.engine import leave_out_too_long, open_engine
from selfedit.workflows.runs import start
from selfedit.workflows.train import own_questions, practice_prompts

Rankings = dict[str, dict[str, list[float]]]
Measure = Callable[[Score, slice], float]


def self_questions(options: Options) -> dict[str, Any]:
    """The arms of its plan, and how the two kinds of questions rank the same edits."""
    summary, plan, rankings = arms.arms(options), read_plan(options.name), list[Rankings]()
    config = options.config(plan.tree(plan.reference, 0))
    with open_engine(config, options.progress, parallel=True) as engine:
        for seed in range(plan.seeds):
            config = options.config(plan.tree(plan.reference, seed))
            tasks = read_data(config)["eval"]
            path = options.folder / "ranking" / f"seed-{seed}"
            with start("train", path, config, {"train": [], "eval": tasks}, "reproduce") as run:
                rankings.append(rank_edits(run, config, tasks, engine, options.progress))
    return {**summary, "ranking": summarise_ranking(rankings)}


def rank_edits(
    run: Run, config: Config, tasks: Sequence[Task], engine: Engine, progress: Progress = silent
) -> Rankings:
    """Try a group of edits for every passage, and examine each by both kinds of questions.

    Returns lists with one value per passage: the rank correlation of its edits by the written and by the given
    questions, for `accuracy` and for `likelihood`; and how many questions were kept. Passages for which no question was
    kept, or whose edits one side cannot tell apart, are left out.
    """
    examiner, outer = make_examiner(config, engine), make_outer(config)
    examiner = replace(examiner, measurements={"likelihood": MEASUREMENTS["likelihood"](tasks)})
    domain = examiner.domain
    tasks, _ = leave_out_too_long(
        tasks, engine, lambda task: [*domain.question_prompts(task), *practice_prompts(task, domain, config)]
    )
    first, second, _ = own_questions(run, tasks, examiner, outer, progress)
    written = {task.id: task.questions for task in first}
    for task in second:
        written[task.id] = written.get(task.id, ()) + task.questions
    both = [replace(task, questions=task.questions + written[task.id]) for task in tasks if task.id in written]
    trials = try_edits("edits", both, BASE, examiner, outer, run.remember, progress)
    given = {task.id: len(task.questions) for task in tasks}
    groups: dict[str, list[Trial]] = {}
    for trial in trials:
        if trial.after and trial.after.is_complete:
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


MEASURES: dict[str, Measure] = {
    "accuracy": lambda score, part: _mean(score.grades[part]),
    "likelihood": lambda score, part: _mean(score.measurements["likelihood"][part]),
}


def _mean(values: Sequence[Value]) -> float:
    return required_mean(values, "an edit could not be measured")


def summarise_ranking(runs: Sequence[Rankings]) -> dict[str, Any]:
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


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    ranking = summary["ranking"]
    rows = [
        (name, f"{row['spearman']:.2f}", f"{row['low']:.2f} to {row['high']:.2f}", str(row["n"]))
        for name, row in ranking.items()
        if isinstance(row, Mapping)
    ]
    title = (
        "Rank correlation of a passage's edits by questions the model wrote and by those given "
        f"({ranking['questions_per_passage']:.1f} written per passage)"
    )
    columns = ("measured by", "Spearman", "interval\n(95 %)", "passages")
    return [*arms.tables(summary), TextTable(title, columns, rows)]
