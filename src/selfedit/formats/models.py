"""What stands in SEAL's knowledge files (spec 7). Keys that are not named here are kept as they are."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator

from selfedit.types import Question


class _Record(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Asked(_Record):
    question: str
    answer: str


class Passage(_Record):
    """`squad_*.json`: a list of these."""

    title: str
    context: str
    questions: list[Asked] = []

    @property
    def asked(self) -> tuple[Question, ...]:
        return tuple(Question(each.question, each.answer) for each in self.questions)


class Written(Passage):
    """Synthetic data: a list of passages with the self-edits that were written about each.

    `prompt` is the exact text the writer saw. EntiGraph files have `pair_completions` and `triple_completions` in place
    of `completions`, some early files a single `completion`; all are read as `texts`.
    """

    prompt: str = ""
    completions: list[str] = []

    @property
    def texts(self) -> list[str]:
        more = self.model_extra or {}
        single = [more["completion"]] if "completion" in more else []
        return [*self.completions, *single, *more.get("pair_completions", []), *more.get("triple_completions", [])]

    @model_validator(mode="after")
    def _has_texts(self) -> Written:
        if not self.texts:
            raise ValueError("there is no key completions, completion, pair_completions or triple_completions")
        return self


class Verdict(_Record):
    """One question, answered before and after an update. `rep` counts the repeats of the update."""

    rep: int = 0
    question: str
    answer: str
    baseline_answer: str = ""
    adapter_answer: str = ""
    baseline_correct: bool = False
    adapter_correct: bool = False


class CompletionStats(_Record):
    baseline_mean: float
    baseline_std: float | None = None
    adapter_mean: float
    adapter_std: float | None = None
    gain_mean: float


class Tried(_Record):
    """One self-edit and what became of it. Some files leave the questions out."""

    text: str
    stats: CompletionStats
    questions: list[Verdict] = []


class Article(_Record):
    title: str
    context: str
    prompt: str = ""
    completions: list[Tried]


class Results(_Record):
    """A query-server run: every self-edit of every passage, tried."""

    overall: dict[str, Any] = {}
    articles: list[Article]


class ContinualSummary(_Record):
    """Continual runs: row r, column c is the accuracy on passage c after r edits; what is above the diagonal is 0."""

    mean_over_sequences: list[list[float]]
    std_over_sequences: list[list[float]]
    n_sequences: int
    n_datapoints: int
    dataset: str = ""
    base_model: str = ""


class CptResult(_Record):
    """Continued pretraining, the first recipe (LoRA): `per_article` counts right answers by title."""

    overall: dict[str, float]
    per_article: dict[str, dict[str, Any]] = {}
    n_articles: int
    k_completions: int
    train_sequences: int
    eval_questions: int


class CptSummary(_Record):
    """Continued pretraining, the second recipe (full fine-tuning)."""

    metrics: dict[str, float]
    per_question: dict[str, list[Any]] = {}
    n_articles: int
    k_completions: int
    train_sequences: int
    eval_questions: int


class Meta(_Record):
    """How synthetic data was written: `X.json.meta` beside `X.json`."""

    model: str = ""
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    n: int | None = None
    k: int | None = None
    timestamp: str = ""


class SftRow(_Record):
    """A line of an EM_SFT file: what the policy was shown and the completion it is to imitate."""

    prompt: str
    completion: str
