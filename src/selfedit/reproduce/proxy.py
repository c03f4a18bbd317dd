"""How well the learned proxy ranks the edits of a passage, beside what the noise in the measured gains allows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import InputError
from selfedit.formats.record import read_record
from selfedit.formats.results import QueryResults
from selfedit.reproduce.grader import is_held_out
from selfedit.reproduce.ranking import rank_correlation
from selfedit.results import TextTable, percent
from selfedit.rewards.proxies.features import features
from selfedit.rewards.proxies.learned import Learned, documents_of
from selfedit.statistics import reliability
from selfedit.types import SelfEdit, Task

if TYPE_CHECKING:
    from numpy import ndarray

ALPHA = 300.0
"""Ridge penalty on standardised features, chosen by cross-validation over passages (LOG.md)."""

FOLDS = 10


@dataclass(frozen=True, slots=True)
class Ranking:
    """A passage and its edits: their measured accuracies, each the mean over repeats, and the repeats where known."""

    task: Task
    edits: tuple[SelfEdit, ...]
    measured: tuple[float, ...]
    repeats: tuple[tuple[float, ...], ...]


def proxy(data: Path) -> dict[str, Any]:
    """Rank correlations within passages, with 95 % intervals over passages.

    `heldout`: passages on which the shipped weights were not fitted; `cross_validated`: all passages, each rated by
    weights fitted on the others. `ceiling`: the correlation that a perfect proxy would show, the square root of the
    reliability of the mean of the repeats. `picked`: the mean gain of the edit it would pick, against a random one and
    the best, over the mean of the passage, in points. `data` is any folder with SEAL's ranking files.
    """
    rankings = read_rankings(data)
    rated = {"learned": _rated(rankings, Learned()), "cross-validated": cross_validated(rankings)}
    baselines = {
        name: _correlation(rankings, [[row[name] for row in _features(r)] for r in rankings])
        for name in ("length", "documents", "content", "twice")
    }
    measured = reliability([[list(edit) for edit in r.repeats] for r in rankings if r.repeats])
    ceiling = math.sqrt(max(0.0, measured.icc_mean)) if measured else None
    heldout = [index for index, r in enumerate(rankings) if is_held_out(r.task.context)]
    result = _correlation(rankings, rated["cross-validated"])
    return {
        "heldout": _correlation([rankings[i] for i in heldout], [rated["learned"][i] for i in heldout]),
        "cross_validated": result,
        "ceiling": {"spearman": ceiling, "icc": measured.icc, "icc_mean": measured.icc_mean} if measured else None,
        "share_of_ceiling": result["spearman"] / ceiling if ceiling and result["spearman"] else None,
        "baselines": baselines,
        "picked": _picked(rankings, rated["cross-validated"]),
    }


def read_rankings(data: Path) -> list[Ranking]:
    """Every passage with several tried edits below the folder. Raises InputError where there is none."""
    if not data.is_dir():
        raise InputError(f"there is no folder {data}; --data takes one with SEAL's ranking files")
    files = [read_record(path, QueryResults) for path in sorted(data.rglob("rank*.json"))]
    found = [ranking for file in files for ranking in _rankings(file)]
    if not found:
        raise InputError(f"{data} holds no ranking file (rank*.json) with several edits of a passage")
    return found


def _rankings(file: QueryResults) -> Iterator[Ranking]:
    domain = Knowledge()
    for article in file.articles:
        task = Task("", article.title, article.context)
        tried = [edit for edit in article.completions if edit.text.strip()]
        if len(tried) > 1:
            yield Ranking(
                task,
                tuple(domain.parse(task, edit.text) for edit in tried),
                tuple(edit.stats.adapter_mean for edit in tried),
                tuple(_repeats(edit.questions) for edit in tried if edit.questions),
            )


def _repeats(verdicts: Sequence[Any]) -> tuple[float, ...]:
    repeats = sorted({verdict.rep for verdict in verdicts})
    return tuple(fmean(v.adapter_correct for v in verdicts if v.rep == repeat) for repeat in repeats)


def _features(ranking: Ranking) -> list[dict[str, float]]:
    task = ranking.task
    return [features(task.title, task.context, edit.text, documents_of(task, edit)) for edit in ranking.edits]


def _rated(rankings: Sequence[Ranking], learned: Learned) -> list[list[float]]:
    return [[float(v) for v in learned.rate([(r.task, e) for e in r.edits])] for r in rankings]  # type: ignore[arg-type]


def fit(rankings: Sequence[Ranking]) -> dict[str, float]:
    """Ridge regression of accuracy on features, both as differences from their passage's mean: the weights by name."""
    import numpy as np

    rows = [_features(ranking) for ranking in rankings]
    names = list(rows[0][0])
    x = np.concatenate([_centred([[row[name] for name in names] for row in of_passage]) for of_passage in rows])
    y = np.concatenate([_centred([[value] for value in ranking.measured]) for ranking in rankings])[:, 0]
    scale = x.std(axis=0) + 1e-9
    z = x / scale
    weights = np.linalg.solve(z.T @ z + ALPHA * np.eye(len(names)), z.T @ y) / scale
    return dict(zip(names, map(float, weights), strict=True))


def _centred(rows: Sequence[Sequence[float]]) -> ndarray:
    import numpy as np

    values = np.asarray(rows, dtype=float)
    return np.asarray(values - values.mean(axis=0))


def cross_validated(rankings: Sequence[Ranking]) -> list[list[float]]:
    """Ratings of every passage's edits by weights that were fitted without it, wherever else it stands."""
    passages = sorted({ranking.task.context for ranking in rankings})
    fold = {passage: index % FOLDS for index, passage in enumerate(passages)}
    weights = [
        fit([r for r in rankings if fold[r.task.context] != number]) if len(passages) > FOLDS else fit(rankings)
        for number in range(FOLDS)
    ]
    return [
        [sum(weights[fold[r.task.context]][name] * value for name, value in row.items()) for row in _features(r)]
        for r in rankings
    ]


def _correlation(rankings: Sequence[Ranking], ratings: Sequence[Sequence[float]]) -> dict[str, Any]:
    return rank_correlation((own, ranking.measured) for own, ranking in zip(ratings, rankings, strict=True))


def _picked(rankings: Sequence[Ranking], ratings: Sequence[Sequence[float]]) -> Mapping[str, float]:
    def gain(choose: Callable[[Sequence[float], Sequence[float]], int]) -> float:
        return 100 * fmean(
            r.measured[choose(own, r.measured)] - fmean(r.measured) for own, r in zip(ratings, rankings, strict=True)
        )

    return {
        "random": 0.0,
        "proxy": gain(lambda own, _: max(range(len(own)), key=lambda i: own[i])),
        "oracle": gain(lambda _, measured: max(range(len(measured)), key=lambda i: measured[i])),
    }


def tables(summary: Mapping[str, Any]) -> list[TextTable]:
    """How the learned proxy ranks edits, beside simple ones and the ceiling."""
    rated = {
        "learned, held-out passages": summary["heldout"],
        "learned, cross-validated": summary["cross_validated"],
        **summary["baselines"],
    }
    ranks = [
        (name, f"{row['spearman']:.3f}", f"{row['low']:.2f} to {row['high']:.2f}", str(row["passages"]))
        for name, row in rated.items()
        if row["passages"]
    ]
    if summary["ceiling"]:
        share = f"{percent(summary['share_of_ceiling'])} of it reached" if summary["share_of_ceiling"] else ""
        ranks.append(("the most that noise allows", f"{summary['ceiling']['spearman']:.3f}", share, ""))
    picked = [(name, f"{points:+.1f}") for name, points in summary["picked"].items()]
    return [
        TextTable("Ranking the edits of a passage", ("rated by", "Spearman", "interval\n(95 %)", "passages"), ranks),
        TextTable("Gain of the edit that is picked, over its passage's mean", ("picked", "points"), picked),
    ]
