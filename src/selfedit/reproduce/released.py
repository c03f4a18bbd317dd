"""SEAL's own released data, put through our code: the selections, counts and means that it published come out again.

Nothing is trained: what a model answered, and how it was graded, is taken from the release as it is.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean, median
from typing import Any

from selfedit.domains.knowledge.documents import build_documents
from selfedit.formats.results import Article, ContinualSummary, Matrix, QueryResults, TriedCompletion, Verdict
from selfedit.reproduce import expected
from selfedit.reproduce.release import Release
from selfedit.results import TextTable
from selfedit.rewards.credit import rest_em

RANKINGS = {
    "train/rank_iter0": "sft_best1of5_iter0",
    "train/rank_iter1": "sft_best1of5_iter1",
    **{
        f"alternate_prompts/train/rank_iter{number}_prompt-{prompt}": (
            f"alternate_prompts/sft_best1of5_iter{number}_prompt-{prompt}"
        )
        for prompt in ("long", "self-qa")
        for number in (0, 1)
    },
}
"""A round's measured self-edits, and the rows that SEAL imitated after it."""

DIGITS = 4
"""Stated means are rounded to so many digits, some of them from rounded ones: the last may be off by one."""


@dataclass(frozen=True, slots=True)
class Check:
    """What was published and what came out here: numbers, or lists of them."""

    name: str
    expected: float | Sequence[float]
    found: float | Sequence[float]

    @property
    def equal(self) -> bool:
        return self.expected == self.found


def released(data: Path) -> dict[str, Any]:
    """Check SEAL's release: {"checks": [{"name", "expected", "found", "equal"}, ...], "all_equal"}, ready for JSON.

    `data` is the folder that holds SEAL's `data` and `results`. Shares are in percent, rounded as they were published.
    The subset's passages are compared with SQuAD's development set only where that is at hand (`Release`).
    Raises InputError for a folder or file that is missing or damaged.
    """
    release = Release(data)
    checks = [check for part in PARTS for check in part(release)]
    return {
        "checks": [asdict(check) | {"equal": check.equal} for check in checks],
        "all_equal": all(check.equal for check in checks),
    }


def selections(release: Release) -> Iterator[Check]:
    """Our ReST-EM imitates the rows that SEAL's did, in its order (docs/seal.md 1.2): there, here, equal."""
    for ranking, imitated in RANKINGS.items():
        theirs = [(row.prompt, row.completion) for row in release.imitated(imitated)]
        ours = [(article.prompt, _winner(article).text) for article in release.results(ranking).articles]
        equal = sum(one == other for one, other in zip(ours, theirs, strict=False))  # lengths are compared as well
        rows = [expected.ROUND_ROWS, expected.ROUND_ROWS, expected.ROUND_ROWS]
        yield Check(f"{_short(ranking)}: rows imitated", rows, [len(theirs), len(ours), equal])


def _winner(article: Article) -> TriedCompletion:
    """The self-edit that ReST-EM imitates: the best mean accuracy, the first of equals."""
    return article.completions[rest_em([tried.stats.adapter_mean for tried in article.completions]).index(1.0)]


def rounds(release: Release) -> Iterator[Check]:
    """What the spec says about single rounds (1.1, 1.2, 2.4)."""
    articles = release.results("train/rank_iter0").articles
    winners = [_winner(article).stats for article in articles]
    scores = [[tried.stats.adapter_mean for tried in article.completions] for article in articles]
    found = {
        "winners without gain": sum(stats.gain_mean <= 0 for stats in winners),
        "ties at the maximum": sum(of_one.count(max(of_one)) > 1 for of_one in scores),
        "best of 5, %": _percent(fmean(stats.adapter_mean for stats in winners)),
    }
    yield from (Check(f"rank_iter0: {name}", stated, found[name]) for name, stated in expected.FIRST_ROUND.items())
    for name, stated in expected.QUESTIONS_PER_ROUND.items():
        results = release.results(f"alternate_prompts/train/{name}")
        asked = sum(verdict.rep == 0 for article in results.articles for verdict in article.completions[0].questions)
        yield Check(f"{name}: questions", stated, asked)


def document_counts(release: Release) -> Iterator[Check]:
    """Documents in each evaluation passage's first self-edit by our rules (docs/seal.md 1.3): mean, median, maximum."""
    for name, stated in expected.DOCUMENTS.items():
        edits = release.edits(name)[: expected.EVAL_PASSAGES]  # some files hold 250
        counts = [len(build_documents(edit.title, edit.context, edit.completions[0])) for edit in edits]
        found = [round(fmean(counts), 1), median(counts), max(counts)]
        yield Check(f"{_short(name)}: documents per edit", stated, found)


def passages(release: Release) -> Iterator[Check]:
    """All evaluation files hold the same passages in the same order, the published subset (docs/seal.md 2.1)."""
    sizes = [expected.EVAL_PASSAGES, expected.EVAL_QUESTIONS, expected.EVAL_TITLES]
    tested = {name: release.results(f"eval/{name}") for name in expected.EVAL_FILES}
    for name, results in tested.items():
        titles = {article.title for article in results.articles}
        found = [len(results.articles), len(release.verdicts(f"eval/{name}")), len(titles)]
        yield Check(f"{name}: passages, questions, titles", sizes, found)
    order = _places(tested["base"].articles)
    same = sum(_places(results.articles) == order for results in tested.values())
    yield Check("result files with the same passages", len(tested), same)
    written = [release.edits(f"{name}_val")[: expected.EVAL_PASSAGES] for name in expected.EVAL_FILES]
    same = sum([(edit.title, edit.context) for edit in edits] == order for edits in written)
    yield Check("edit files with the same passages", len(written), same)
    if (pool := release.development_set()) is not None:
        random.Random(expected.SHUFFLE_SEED).shuffle(pool)
        drawn = [(passage.title, passage.context) for passage in pool[: expected.EVAL_PASSAGES]]
        same = sum(one == other for one, other in zip(drawn, order, strict=False))
        yield Check("passages as drawn from SQuAD", expected.EVAL_PASSAGES, same)


def _places(articles: Iterable[Article]) -> list[tuple[str, str]]:
    return [(article.title, article.context) for article in articles]


def accuracies(release: Release) -> Iterator[Check]:
    """The headline numbers, from the verdicts on single questions (docs/seal.md 1.4, 2.4)."""
    before = fmean(_shares(article)[0] for article in release.results("eval/base").articles)
    yield Check("base: correct before the update, %", expected.UNTAUGHT, _percent(before))
    for name, stated in expected.AFTER.items():
        after = fmean(_shares(article)[1] for article in release.results(name).articles)
        yield Check(f"{_short(name)}: correct after, %", stated, _percent(after))
    for name, stated in expected.AFTER_BY_QUESTION.items():
        after = _correct(release.verdicts(name))
        yield Check(f"{_short(name)}: correct by question, %", stated, _percent(after))


def blank_answers(release: Release) -> Iterator[Check]:
    """How often a taught model says nothing, and how often it is right where it says something (docs/seal.md 2.4)."""
    for name, stated in expected.BLANK.items():
        blank = fmean(not verdict.adapter_answer.strip() for verdict in release.verdicts(name))
        yield Check(f"{_short(name)}: blank after, %", stated, _percent(blank))
    before = [v.baseline_answer for name in expected.AFTER for v in release.verdicts(name)]
    yield Check("all evaluation: blank before, %", 0.0, _percent(fmean(not text.strip() for text in before)))
    for name, stated in expected.CORRECT_OF_NOT_BLANK.items():
        said = [verdict for verdict in release.verdicts(name) if verdict.adapter_answer.strip()]
        yield Check(f"{_short(name)}: correct if not blank, %", stated, _percent(_correct(said)))


def stated_means(release: Release) -> Iterator[Check]:
    """The means that a file states follow from its verdicts; from the means per self-edit where it has none."""
    for name in release.result_names():
        results = release.results(name)
        pairs = list(_means(results))
        follow = sum(abs(stated - found) < 10**-DIGITS for stated, found in pairs)
        yield Check(f"{_short(name)}: its own means", len(pairs), follow)


def _means(results: QueryResults) -> Iterator[tuple[float, float]]:
    """(stated, found) for every mean before, after and gained: of each self-edit, each passage and the whole."""
    for article in results.articles:
        for tried in article.completions:
            before, after = _tried_shares(tried)
            yield from ((tried.stats.baseline_mean, before), (tried.stats.adapter_mean, after))
        before, after = _shares(article)
        stats = article.stats
        yield from ((stats.baseline_accuracy, before), (stats.adapter_mean_accuracy, after))
        yield stats.mean_gain, after - before
    before, after = (fmean(column) for column in zip(*map(_shares, results.articles), strict=True))
    overall = results.overall
    yield from ((overall.baseline_mean_accuracy, before), (overall.adapter_mean_accuracy, after))
    yield overall.mean_gain, after - before


def continual(release: Release) -> Iterator[Check]:
    """The jobs of the continual experiment average to the published matrices (docs/seal.md 4)."""
    runs, published = release.continual_runs, release.continual
    yield Check("continual: sequences", expected.SEQUENCES, sum(run.n_sequences for run in runs))
    for what, name in (("means", "mean_over_sequences"), ("deviations", "std_over_sequences")):
        stated: Matrix = getattr(published, name)
        ours = [round(cell, DIGITS) for row in _average(runs, name) for cell in row]
        theirs = [cell for row in stated for cell in row]
        equal = sum(one == other for one, other in zip(ours, theirs, strict=True))
        yield Check(f"continual: {what} as published", len(theirs), equal)


def _average(runs: Sequence[ContinualSummary], name: str) -> list[list[float]]:
    """Cell by cell the mean over sequences.

    Of the standard deviations too: the published ones are means of the jobs' own, which leave out how the jobs differ.
    """
    weights = [run.n_sequences for run in runs]
    rows = zip(*(getattr(run, name) for run in runs), strict=True)
    return [[fmean(cell, weights) for cell in zip(*row, strict=True)] for row in rows]


def _correct(verdicts: Sequence[Verdict]) -> float:
    return fmean(verdict.adapter_correct for verdict in verdicts)


def _tried_shares(tried: TriedCompletion) -> tuple[float, float]:
    """Correct before and after one self-edit, shares of its questions in all repeats."""
    if not tried.questions:
        return tried.stats.baseline_mean, tried.stats.adapter_mean
    return fmean(verdict.baseline_correct for verdict in tried.questions), _correct(tried.questions)


def _shares(article: Article) -> tuple[float, float]:
    """Correct before and after, the mean over a passage's self-edits."""
    before, after = zip(*map(_tried_shares, article.completions), strict=True)
    return fmean(before), fmean(after)


def _percent(share: float) -> float:
    return round(100 * share, 1)


def _short(name: str) -> str:
    """alternate_prompts/eval/base_prompt-long -> base_prompt-long"""
    return Path(name).name


PARTS: tuple[Callable[[Release], Iterator[Check]], ...] = (
    selections,
    rounds,
    document_counts,
    passages,
    accuracies,
    blank_answers,
    stated_means,
    continual,
)


def tables(summary: dict[str, Any]) -> list[TextTable]:
    """A row per check: as published, as found, and whether these agree."""
    checks = summary["checks"]
    agree = sum(check["equal"] for check in checks)
    rows = [
        (check["name"], _numbers(check["expected"]), _numbers(check["found"]), "equal" if check["equal"] else "DIFFERS")
        for check in checks
    ]
    title = f"SEAL's released data: {agree} of {len(checks)} checks agree"
    return [TextTable(title, ("check", "published", "found", ""), rows)]


def _numbers(value: float | list[float]) -> str:
    """[8.6, 7.0, 57] -> 8.6 / 7.0 / 57"""
    return " / ".join(str(number) for number in (value if isinstance(value, list | tuple) else [value]))
