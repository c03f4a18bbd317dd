"""What SEAL measured: its folder `results` (docs/seal.md 7). Accuracies are shares of 1, spreads deviations."""

from __future__ import annotations

from pydantic import model_validator

from selfedit.formats.record import Record

# Single passages: the files of the query server


class Verdict(Record):
    """One question, asked before and after the update. `rep` counts the repeats of the same update from 0."""

    rep: int
    question: str
    answer: str
    baseline_answer: str
    adapter_answer: str
    baseline_correct: bool
    adapter_correct: bool


class CompletionStats(Record):
    """Means over the repeats of one self-edit. `baseline_std` is null in `rank_iter1.json`."""

    baseline_mean: float
    baseline_std: float | None
    adapter_mean: float
    adapter_std: float
    gain_mean: float
    proxy_mean: float | None = None


class TriedCompletion(Record):
    """One self-edit, tried. `rank_iter1.json` was released without its questions."""

    text: str
    stats: CompletionStats
    questions: tuple[Verdict, ...]
    proxy_scores: dict[str, float] | None = None


class ArticleStats(Record):
    """Means over the self-edits of one passage. The spread within them is null in `rank_iter1.json`."""

    baseline_accuracy: float
    adapter_mean_accuracy: float
    adapter_std_over_completions: float
    mean_adapter_std_within_completions: float | None
    mean_gain: float
    proxy_mean: float | None = None


class Article(Record):
    """A passage, the prompt its self-edits were written for, and what became of each."""

    stats: ArticleStats
    title: str
    context: str
    completions: tuple[TriedCompletion, ...]
    prompt: str = ""


class Overall(Record):
    """Means over the passages, each of the same weight (docs/seal.md 1.4)."""

    baseline_mean_accuracy: float
    baseline_std_of_article_means: float
    adapter_mean_accuracy: float
    adapter_std_of_article_means: float
    mean_adapter_std_over_completions: float
    mean_adapter_std_within_completions: float
    mean_gain: float
    mean_proxy_score: float | None = None


class LoraParams(Record):
    rank: int
    alpha: int
    dropout: float
    epochs: int
    lr: float
    batch_size: int
    grad_accum_steps: int


class QueryResults(Record):
    """A run of the query server. Its name is `exp_name`, `model` in the oldest; `timestamp` is MMDD_HHMMSS."""

    overall: Overall
    timestamp: str
    exp_name: str | None = None
    model: str | None = None
    dataset: str
    reward_mode: str | None = None
    split_newlines: bool
    n_articles: int
    k_completions: int
    eval_times: int
    lora_params: LoraParams
    articles: tuple[Article, ...]


# Continued pretraining. None of these files is in the release that was at hand: they follow SEAL's description.


class CptAccuracy(Record):
    baseline_accuracy: float
    adapter_accuracy: float
    gain: float


class CptArticle(Record):
    """Verdicts on one title's questions, in order. Passages of one title share these (docs/seal.md 6.3, defect 11)."""

    baseline_correct: tuple[bool, ...]
    adapter_correct: tuple[bool, ...]


class CptResults(Record):
    """Continued pretraining, first version (LoRA). `train_sequences` and `eval_questions` are counts."""

    overall: CptAccuracy
    timestamp: str
    dataset: str
    n_articles: int
    k_completions: int
    split_newlines: bool
    lora_params: LoraParams
    per_article: dict[str, CptArticle]
    train_sequences: int
    eval_questions: int


class CptMetrics(Record):
    baseline_accuracy: float
    adapter_accuracy: float
    adapter_gain: float


class CptQuestions(Record):
    """Answers and verdicts, in the order of the questions."""

    baseline_texts: tuple[str, ...]
    adapter_texts: tuple[str, ...]
    baseline_correct: tuple[bool, ...]
    adapter_correct: tuple[bool, ...]


class CptSummary(Record):
    """Continued pretraining, second version (full finetuning)."""

    timestamp: str
    dataset: str
    n_articles: int
    k_completions: int
    train_sequences: int
    eval_questions: int
    model: str
    metrics: CptMetrics
    per_question: CptQuestions


# Continual self-edits

Matrix = tuple[tuple[float, ...], ...]


class ContinualSummary(Record):
    """`summary_*.json` and `overall_results.json`: row r, column c is the accuracy on passage c after r edits.

    There are `n_datapoints` passages, so `n_datapoints` + 1 rows; row 0 is the model before any edit. What was not
    measured, above the diagonal of the other rows, is 0. `std_over_sequences` holds standard deviations.
    """

    mean_over_sequences: Matrix
    std_over_sequences: Matrix
    n_sequences: int
    n_datapoints: int
    dataset: str
    base_model: str

    @model_validator(mode="after")
    def _is_rectangular(self) -> ContinualSummary:
        size = self.n_datapoints
        for name in ("mean_over_sequences", "std_over_sequences"):
            if [len(row) for row in getattr(self, name)] != [size] * (size + 1):
                raise ValueError(f"{name} should have {size + 1} rows of {size} numbers, for {size} n_datapoints")
        return self
