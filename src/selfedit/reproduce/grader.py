"""How far our graders agree with the judge whose verdicts stand in SEAL's result files."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os.path import commonpath
from pathlib import Path
from statistics import fmean
from typing import Any
from zlib import crc32

from pydantic import BaseModel, ConfigDict, ValidationError

from selfedit.errors import InputError
from selfedit.files import read_text
from selfedit.graders import GRADERS
from selfedit.reproduce.ranking import rank_correlation
from selfedit.results import TextTable, percent
from selfedit.types import Failure, Question

HELD_OUT = 5
"""One passage in so many, by a hash of its text, was not looked at when `calibrated` was fitted."""

COMPARED = ("calibrated", "contains", "f1")

Pair = tuple[Question, str]


class _Read(BaseModel):
    """Only what is needed here, so that files of all of SEAL's versions can be read (`formats` keeps every key)."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class JudgeVerdict(_Read):
    question: str
    answer: str
    baseline_answer: str = ""
    adapter_answer: str
    baseline_correct: bool | None = None
    adapter_correct: bool


class Tried(_Read):
    questions: list[JudgeVerdict] = []


class JudgedArticle(_Read):
    context: str
    completions: list[Tried]


class Results(_Read):
    articles: list[JudgedArticle]


Named = Mapping[str, Results]


@dataclass(frozen=True, slots=True)
class GradedAnswer:
    """One distinct (passage, question, answer), what the judge mostly said of it, and how often it was asked."""

    passage: str
    question: Question
    answer: str
    right: bool
    times: int

    @property
    def held_out(self) -> bool:
        return is_held_out(self.passage)


def is_held_out(passage: str) -> bool:
    return crc32(passage.encode()) % HELD_OUT == 0


def grader(data: Path) -> dict[str, Any]:
    """Agreement with the judge, row by row, file by file and edit by edit.

    `heldout`: `calibrated` on distinct rows of passages that it was not fitted on, `graders`: others on the same rows.
    A grade from one half counts as right. `files`: mean over passages by judge and graders, in percent. `ranking`: rank
    correlation of the edits of a passage, by our mean grade and by the judge's, over repeats and questions.
    `data` is any folder with result files of SEAL's query server. Raises InputError where it has none.
    """
    results = read_results(data)
    grades = _grades(results)
    rows = distinct_rows(results)
    heldout = [row for row in rows if row.held_out]
    return {
        "heldout": _agreement(heldout, grades["calibrated"]),
        "graders": {
            **{name: _agreement(heldout, grades[name]) for name in COMPARED},
            "majority": _agreement(heldout, _majority(heldout)),
        },
        "all_rows": _agreement(rows, grades["calibrated"]),
        "files": {name: row for file, found in results.items() for name, row in _conditions(file, found, grades)},
        "ranking": {
            part: _ranking(results, grades["calibrated"], only) for part, only in (("heldout", True), ("all", False))
        },
    }


def read_results(data: Path) -> Named:
    """Every query-server result below the folder that holds verdicts, by its path below the folder of them all."""
    if not data.is_dir():
        raise InputError(f"there is no folder {data}; --data takes one with result files of SEAL's query server")
    texts = {path: read_text(path) for path in sorted(data.rglob("*.json"))}
    found = {
        path: _results(path, text)
        for path, text in texts.items()
        if '"adapter_answer"' in text and '"articles"' in text
    }
    if not found:
        raise InputError(f"{data} holds no result file of SEAL's query server with questions and verdicts in it")
    above = Path(commonpath(path.parent for path in found))
    return {str(path.relative_to(above).with_suffix("")): results for path, results in found.items()}


def _results(path: Path, text: str) -> Results:
    try:
        return Results.model_validate_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"{path} is no result file of SEAL's query server: {place}: {problem['msg']}") from None


def distinct_rows(results: Named) -> list[GradedAnswer]:
    """Each (passage, question, gold answer, answer) once, right if most of its verdicts say so."""
    counts: dict[tuple[str, Question, str], Counter[bool]] = defaultdict(Counter)
    for article in (article for found in results.values() for article in found.articles):
        for verdict in _verdicts(article):
            for (question, answer), right in _both(verdict):
                counts[article.context, question, answer][right] += 1
    return [GradedAnswer(*key, 2 * of_row[True] > of_row.total(), of_row.total()) for key, of_row in counts.items()]


def _verdicts(article: JudgedArticle) -> Iterator[JudgeVerdict]:
    return (verdict for tried in article.completions for verdict in tried.questions)


def _both(verdict: JudgeVerdict) -> list[tuple[Pair, bool]]:
    question = Question(verdict.question, verdict.answer)
    both = [((question, verdict.adapter_answer), verdict.adapter_correct)]
    if verdict.baseline_correct is not None:
        both.append(((question, verdict.baseline_answer), verdict.baseline_correct))
    return both


def _grades(results: Named) -> dict[str, dict[Pair, float]]:
    """What each grader gives for every distinct (question, answer)."""
    articles = [article for found in results.values() for article in found.articles]
    pairs = list({pair: None for article in articles for verdict in _verdicts(article) for pair, _ in _both(verdict)})
    return {name: dict(zip(pairs, _measured(GRADERS[name].grade(pairs)), strict=True)) for name in COMPARED}


def _measured(grades: Sequence[float | Failure]) -> list[float]:
    return [grade for grade in grades if not isinstance(grade, Failure)]


def _majority(rows: Sequence[GradedAnswer]) -> dict[Pair, float]:
    often = float(2 * sum(row.right for row in rows) > len(rows))
    return {(row.question, row.answer): often for row in rows}


def _agreement(rows: Sequence[GradedAnswer], grades: Mapping[Pair, float]) -> dict[str, Any]:
    """The share of rows on which they agree, and Cohen's kappa: agreement beyond what chance would give."""
    n = len(rows)
    if not n:
        return {"agreement": None, "kappa": None, "n": 0}
    ours = [grades[row.question, row.answer] >= 0.5 for row in rows]
    agreement = sum(own == row.right for own, row in zip(ours, rows, strict=True)) / n
    yes, judged = sum(ours) / n, sum(row.right for row in rows) / n
    chance = yes * judged + (1 - yes) * (1 - judged)
    return {"agreement": agreement, "kappa": (agreement - chance) / (1 - chance) if chance < 1 else None, "n": n}


def _conditions(
    name: str, results: Results, grades: Mapping[str, Mapping[Pair, float]]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The mean over passages of the model before and after its updates, in percent."""
    for when, place in (("after", 0), ("before", 1)):
        judge, ours = list[float](), {grader: list[float]() for grader in COMPARED}
        for article in results.articles:
            both = [pair for verdict in _verdicts(article) for pair in _both(verdict)[place : place + 1]]
            if both:
                judge.append(fmean(right for _, right in both))
                for grader in COMPARED:
                    ours[grader].append(fmean(grades[grader][pair] for pair, _ in both))
        if not judge:
            continue
        means = {grader: 100 * fmean(values) for grader, values in ours.items()}
        row = {"judge": 100 * fmean(judge), **means, "passages": len(judge)}
        yield f"{name} ({when})", {**row, "difference": row["calibrated"] - row["judge"]}


def _ranking(results: Named, grades: Mapping[Pair, float], only_held_out: bool) -> dict[str, Any]:
    """Rank correlation of the edits of a passage, by our mean grade and by the judge's."""
    articles = [
        article
        for of_file in results.values()
        for article in of_file.articles
        if is_held_out(article.context) or not only_held_out
    ]
    return rank_correlation(means for article in articles if len((means := _means(article, grades))[0]) > 1)


def _means(article: JudgedArticle, grades: Mapping[Pair, float]) -> tuple[list[float], list[float]]:
    """The mean grade of each edit after its update: ours, and the judge's."""
    after = [[_both(verdict)[0] for verdict in tried.questions] for tried in article.completions if tried.questions]
    ours = [fmean(grades[pair] for pair, _ in of_edit) for of_edit in after]
    return ours, [fmean(right for _, right in of_edit) for of_edit in after]


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    """Agreement with the judge by row, by file and in ranking edits."""
    rows = [
        (name, percent(row["agreement"]), f"{row['kappa']:.3f}", f"{row['n']:,}") if row["n"] else (name, "-", "-", "0")
        for name, row in summary["graders"].items()
    ]
    files = [
        (
            name,
            *(f"{row[key]:.1f}" for key in ("judge", "calibrated")),
            f"{row['difference']:+.1f}",
            f"{row['contains']:.1f}",
        )
        for name, row in summary["files"].items()
    ]
    ranks = [
        (
            name,
            f"{row['spearman']:.3f}",
            f"{row['low']:.2f} to {row['high']:.2f}",
            str(row["passages"]),
            str(row["left_out"]),
        )
        for name, row in summary["ranking"].items()
        if row["passages"]
    ]
    of_files = ("file", "judge", "calibrated", "differs", "contains")
    of_ranks = ("passages", "Spearman", "interval\n(95 %)", "n", "left out")
    return [
        TextTable("Distinct rows of passages that were held out", ("grader", "agreement", "kappa", "rows"), rows),
        TextTable("Mean scores of each file, in percent", of_files, files),
        TextTable("Ranking the edits of a passage", of_ranks, ranks),
    ]
