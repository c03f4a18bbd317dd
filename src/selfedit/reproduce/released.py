"""SEAL's own released data, put through our code: the selections, counts and means that it published come out again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, mean, median
from typing import Any

from selfedit.credit import rest_em
from selfedit.domains.knowledge import build_documents
from selfedit.errors import InputError
from selfedit.formats.files import read, read_sft, read_written
from selfedit.formats.models import Article, ContinualSummary, Results

RANKINGS = {
    "results/query_server/train/rank_iter0.json": "EM_SFT/sft_best1of5_iter0.jsonl",
    "results/query_server/train/rank_iter1.json": "EM_SFT/sft_best1of5_iter1.jsonl",
    **{
        f"results/query_server/alternate_prompts/train/rank_iter{number}_prompt-{prompt}.json": (
            f"EM_SFT/alternate_prompts/sft_best1of5_iter{number}_prompt-{prompt}.jsonl"
        )
        for prompt in ("long", "self-qa")
        for number in (0, 1)
    },
}
"""A round's measured rewards, and the rows that SEAL imitated after it."""

DOCUMENTS = {
    "base_val": [8.6, 7, 57],
    "iter2_val": [7.9, 7, 19],
    "gpt4_1_val": [15.2, 14, 36],
    "alternate_prompts/base/base_val_prompt-long": [18.6, 17, 66],
    "alternate_prompts/base/base_val_prompt-self-qa": [13.7, 12, 100],
    "naive_val": [1.0, 1, 1],
}
"""Documents per self-edit: mean, median, most (spec 1.3)."""

HEADLINES = {"naive": 33.5, "base": 39.7, "gpt4_1": 46.3, "iter2": 47.0}
"""Percent right after the update (spec 2.4, table 2, one passage)."""

UNTAUGHT = 32.7
"""Percent right of the model that nothing was done to, from the run of its own edits (spec 2.4)."""

BLANKS = {
    "eval/base": 16.6,
    "eval/iter1": 15.0,
    "eval/iter2": 10.1,
    "eval/gpt4_1": 7.9,
    "eval/naive": 0.5,
    "alternate_prompts/eval/base_prompt-long": 8.0,
    "alternate_prompts/eval/iter2_prompt-long": 5.1,
    "alternate_prompts/eval/base_prompt-self-qa": 23.7,
    "alternate_prompts/eval/iter2_prompt-self-qa": 8.9,
}
"""Percent of blank answers after the update (spec 2.4)."""

Check = dict[str, Any]


def released(data: Path) -> dict[str, Any]:
    """Every check as {name, expected, found, equal}, and whether all are equal.

    `data` is the folder of SEAL's release that holds `data` and `results`. Raises InputError where a file is missing.
    """
    if not (data / "results").is_dir():
        raise InputError(f"{data} holds no release of SEAL's data: it should have the folders `data` and `results`")
    checks = [check for part in PARTS for check in part(data)]
    return {"checks": checks, "all_equal": all(check["equal"] for check in checks)}


def _check(name: str, expected: object, found: object) -> Check:
    return {"name": name, "expected": expected, "found": found, "equal": expected == found}


def selections(data: Path) -> Iterator[Check]:
    """Our ReST-EM imitates the rows that SEAL's did, in its order."""
    for ranking, chosen in RANKINGS.items():
        expected = [(row.prompt, row.completion) for row in read_sft(data / "data" / "synthetic_data" / chosen)]
        found = [best(article) for article in read(data / ranking, Results).articles]
        equal = sum(one == other for one, other in zip(expected, found, strict=False))
        yield {
            "name": f"{Path(ranking).stem}: rows imitated as in {Path(chosen).name}",
            "expected": len(expected),
            "found": equal,
            "equal": expected == found,
        }


def best(article: Article) -> tuple[str, str]:
    """What the policy was shown, and the self-edit that ReST-EM imitates."""
    weights = rest_em([tried.stats.adapter_mean for tried in article.completions])
    return article.prompt, article.completions[weights.index(1.0)].text


def document_counts(data: Path) -> Iterator[Check]:
    """Each passage's first self-edit, cut into training documents by our rules."""
    for name, expected in DOCUMENTS.items():
        records = read_written(data / "data" / "synthetic_data" / "eval" / f"{name}.json")[:200]
        counts = [len(build_documents(r.title, r.context, r.texts[0])) for r in records]
        found = [round(mean(counts), 1), median(counts), max(counts)]
        yield _check(f"{Path(name).name}: documents per edit (mean, median, most)", expected, found)


def headlines(data: Path) -> Iterator[Check]:
    """Means over passages of the share of right answers (SEAL's headline, spec 1.4), from the verdicts themselves."""
    for name, expected in HEADLINES.items():
        results = read(data / "results" / "query_server" / "eval" / f"{name}.json", Results)
        yield _check(f"{name}: right after the update, percent", expected, _percent(_macro(results, "adapter_correct")))
    base = read(data / "results" / "query_server" / "eval" / "base.json", Results)
    yield _check("untaught model, percent", UNTAUGHT, _percent(_macro(base, "baseline_correct")))


def own_statistics(data: Path) -> Iterator[Check]:
    """The means that a results file states about itself follow from its verdicts, to the fourth digit."""
    for path in sorted((data / "results" / "query_server").rglob("*.json")):
        results = read(path, Results)
        if results.articles and results.articles[0].completions[0].questions:
            found = round(_macro(results, "adapter_correct"), 4)
            name = path.relative_to(data / "results" / "query_server").with_suffix("")
            yield _check(f"{name}: its stated mean", results.overall["adapter_mean_accuracy"], found)


def blanks(data: Path) -> Iterator[Check]:
    for name, expected in BLANKS.items():
        results = read(data / "results" / "query_server" / f"{name}.json", Results)
        answers = [v.adapter_answer for article in results.articles for t in article.completions for v in t.questions]
        found = _percent(mean(not answer.strip() for answer in answers))
        yield _check(f"{Path(name).name}: blank answers, percent", expected, found)


def continual(data: Path) -> Iterator[Check]:
    """The eight jobs of the continual experiment average to the published matrix (means and standard deviations)."""
    folder = data / "results" / "continual_self_edits"
    expected = read(folder / "overall_results.json", ContinualSummary)
    runs = [read(path, ContinualSummary) for path in sorted(folder.glob("run*/summary_*.json"))]
    if not runs:
        raise InputError(f"{folder} holds no run*/summary_*.json")
    found = pooled(runs)
    yield _check("continual runs: sequences", expected.n_sequences, found.n_sequences)
    for name in ("mean_over_sequences", "std_over_sequences"):
        yield _check(f"continual runs: {name}", getattr(expected, name), getattr(found, name))


def pooled(runs: Sequence[ContinualSummary]) -> ContinualSummary:
    """Several runs as one. Means *and* standard deviations are averaged over sequences, and rounded to 4 digits.

    That is how the published matrix came about; averaged standard deviations leave out the spread between runs.
    """
    counts = [run.n_sequences for run in runs]

    def averaged(name: str) -> list[list[float]]:
        matrices = zip(*(getattr(run, name) for run in runs), strict=True)
        return [[round(_weighted(cell, counts), 4) for cell in zip(*rows, strict=True)] for rows in matrices]

    names = ("mean_over_sequences", "std_over_sequences")
    return runs[0].model_copy(update={**{name: averaged(name) for name in names}, "n_sequences": sum(counts)})


def _weighted(values: Sequence[float], counts: Sequence[int]) -> float:
    return sum(value * count for value, count in zip(values, counts, strict=True)) / sum(counts)


def _macro(results: Results, verdict: str) -> float:
    """Mean over passages of the share of verdicts that are right."""
    return fmean(
        fmean(getattr(v, verdict) for tried in article.completions for v in tried.questions)
        for article in results.articles
    )


def _percent(share: float) -> float:
    return round(100 * share, 1)


PARTS: tuple[Callable[[Path], Iterator[Check]], ...] = (
    selections,
    document_counts,
    headlines,
    own_statistics,
    blanks,
    continual,
)
