"""SEAL's release as a folder: its files by name, each read once."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from selfedit.errors import InputError
from selfedit.formats.imitation import ImitationRow, read_imitation
from selfedit.formats.passages import Completions, Passage, read_completions, read_passages
from selfedit.formats.record import read_record
from selfedit.formats.results import ContinualSummary, QueryResults, Verdict

_ADVICE = "pass the folder that holds `data` and `results` of SEAL's repository (its knowledge-incorporation folder)"


class Release:
    """The files under `folder`. Every method raises InputError where a file is missing or damaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results = dict[str, QueryResults]()
        for part in (self.synthetic, self.measured):
            if not part.is_dir():
                raise InputError(f"there is no folder {part}; {_ADVICE}")

    @property
    def synthetic(self) -> Path:
        return self.folder / "data" / "synthetic_data"

    @property
    def measured(self) -> Path:
        return self.folder / "results" / "query_server"

    def results(self, name: str) -> QueryResults:
        """A run of the query server: eval/base, train/rank_iter0, ..."""
        if name not in self._results:
            path = self.measured / f"{name}.json"
            results = read_record(_there(path), QueryResults)
            if not results.articles or not all(article.completions for article in results.articles):
                raise InputError(f"{path} has no articles, or one without completions; {_ADVICE}")
            self._results[name] = results
        return self._results[name]

    def verdicts(self, name: str) -> list[Verdict]:
        """All verdicts of such a run, in its order; at least one."""
        articles = self.results(name).articles
        verdicts = [verdict for article in articles for tried in article.completions for verdict in tried.questions]
        if not verdicts:
            raise InputError(f"{self.measured / name}.json has no questions in any of its completions; {_ADVICE}")
        return verdicts

    def result_names(self) -> list[str]:
        """The names of all runs of the query server."""
        paths = sorted(self.measured.rglob("*.json"))
        return [path.relative_to(self.measured).with_suffix("").as_posix() for path in paths]

    def edits(self, name: str) -> list[Completions]:
        """Self-edits about evaluation passages: base_val, ..."""
        return read_completions(_there(self.synthetic / "eval" / f"{name}.json"))

    def imitated(self, name: str) -> list[ImitationRow]:
        """The rows that a round imitated: sft_best1of5_iter0, ..."""
        return read_imitation(_there(self.synthetic / "EM_SFT" / f"{name}.jsonl"))

    @cached_property
    def continual(self) -> ContinualSummary:
        """The matrix that was published."""
        return read_record(_there(self._continual / "overall_results.json"), ContinualSummary)

    @cached_property
    def continual_runs(self) -> list[ContinualSummary]:
        """The jobs that the published matrix is the mean of; at least one."""
        paths = sorted(self._continual.glob("run*/summary_*.json"))
        if not paths:
            raise InputError(f"there is no file {self._continual / 'run*' / 'summary_*.json'}; {_ADVICE}")
        runs = [read_record(path, ContinualSummary) for path in paths]
        for path, run in zip(paths, runs, strict=True):
            if run.n_datapoints != self.continual.n_datapoints:
                raise InputError(f"{path}: n_datapoints is not that of {path.parents[1] / 'overall_results.json'}")
        return runs

    @property
    def _continual(self) -> Path:
        return self.folder / "results" / "continual_self_edits"

    def development_set(self) -> list[Passage] | None:
        """SQuAD's development set where it is at hand: in the release's `data`, or in a folder `squad` beside it."""
        places = (self.folder / "data", self.folder.parent / "squad")
        found = [place / "squad_val.json" for place in places if (place / "squad_val.json").is_file()]
        return read_passages(found[0]) if found else None


def _there(path: Path) -> Path:
    if not path.is_file():
        raise InputError(f"there is no file {path}; {_ADVICE}")
    return path
