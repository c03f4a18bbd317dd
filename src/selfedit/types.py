"""The nouns, in the order data meets them.

    Task -> SelfEdit -> Update -> Score -> reward, joined in one row: Trial.

Every value is frozen, made of plain data, and survives a round trip through JSON.
This module imports only the standard library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no value here, and whose fault that is. Only a `policy` failure may become a reward.

    Failure("system", "the judge at localhost:8000 did not answer")
    """

    blame: Literal["policy", "system"]
    message: str


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out question and its gold answer. The policy never sees it while it writes.

    Question("When did Apollo 11 land?", "1969")
    """

    text: str
    target: str


@dataclass(frozen=True, slots=True)
class Task:
    """Something to learn (a titled context), and how we will know it was learned.

    Task("apollo", "Apollo 11", "Apollo 11 landed in 1969.", (Question("When did Apollo 11 land?", "1969"),))
    """

    id: str
    title: str
    context: str
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Example:
    """One training row, for either loop. Loss falls on `target` only, and is scaled by `weight`.

    An empty prompt makes a plain document: Example("", "Apollo 11\\nApollo 11 landed in 1969."). With `teacher`, the id
    of an update, what is learned is not the target itself but how likely that update finds every token in its places:
    soft targets, which pull at nothing as long as the model still is the teacher.
    """

    prompt: str
    target: str
    weight: float = 1.0
    teacher: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train one update. It rides on the self-edit because the policy may choose it.

    `alpha` scales the adapter by alpha / rank. `batch_size` counts examples per optimizer step.
    `targets` names the linear layers that carry an adapter; empty means every linear layer but the head.
    The learning rate rises over the share `warmup` of the steps, then follows `schedule` (linear and cosine end at 0).
    `clip` is the largest gradient norm, 0 for no limit. The defaults are SEAL's (spec 1.3).

    `padding` "seal" trains as SEAL's code does: every row is filled up with end-of-text, which is learned like text
    (spec 1.3). It costs up to forty times as much, and teaches mostly to stop.

    `method` "full" trains all weights of the model instead of an adapter, one job at a time; rank, alpha, targets,
    top_layers and dropout, which are an adapter's, have no meaning then.

    With weights that are advantages: `ratio_clip` bounds how far the probability of a token may move from what it was
    under the parent, `kl` is the weight of the divergence from the base (GRPO, arXiv 2402.03300). 0 is off.

    Of an adapter whose parent is worn beside the weights: `orthogonal` keeps the rows of A orthogonal to the parent's
    (O-LoRA, arXiv 2310.14152). `ewc` goes on training the parent's adapter instead of a new one, and holds its numbers
    by so much times their importance, which the adapter carries along (online EWC, arXiv 1612.00796).

    `mixed` deals rows of all lengths to every step; otherwise a step holds rows of like length, which is less padding.

    Options that change the recipe's cost: `pack` takes all examples in one step per epoch, `top_layers` adapts only the
    upper half of the layers, `early_stop` ends training after an epoch with a mean loss below it (0: never).
    """

    rank: int = 32
    alpha: float = 64.0
    epochs: int = 10
    learning_rate: float = 1e-3
    batch_size: int = 1
    targets: tuple[str, ...] = ()
    schedule: Literal["linear", "cosine", "constant"] = "linear"
    warmup: float = 0.0
    weight_decay: float = 0.0
    clip: float = 1.0
    dropout: float = 0.0
    pack: bool = False
    top_layers: bool = False
    early_stop: float = 0.0
    padding: Literal["none", "seal"] = "none"
    ratio_clip: float = 0.0
    kl: float = 0.0
    method: Literal["lora", "full"] = "lora"
    orthogonal: bool = False
    ewc: float = 0.0
    mixed: bool = False


@dataclass(frozen=True, slots=True)
class SelfEdit:
    """What the policy was shown, what it wrote, and what that means for training."""

    task_id: str
    prompt: str
    text: str = ""
    examples: tuple[Example, ...] = ()
    recipe: Recipe = Recipe()


@dataclass(frozen=True, slots=True)
class Update:
    """A trained adapter and the one it was trained from. A policy is an Update that was promoted.

    `tokens` counts the tokens that were trained on, repeats included; `loss` is the mean of the last epoch.
    """

    id: str
    parent: str | None = None
    tokens: int = 0
    loss: float | None = None


BASE = Update("base")


@dataclass(frozen=True, slots=True)
class Score:
    """Answers and grades for one task's questions, in order. Ungraded is a Failure, never a 0.

    Where they were asked for: `likelihoods`, the log-likelihood of each right answer (nats per token), and `control`,
    that of texts that have nothing to do with the task; `earlier`, the grades on tasks that were learned before it.
    """

    answers: tuple[str | Failure, ...]
    grades: tuple[float | Failure, ...]
    likelihoods: tuple[float | Failure, ...] = ()
    control: tuple[float | Failure, ...] = ()
    earlier: tuple[float | Failure, ...] = ()

    @property
    def value(self) -> float | None:
        """Mean grade in [0, 1], or None unless every question was graded: compare like with like."""
        grades = [grade for grade in self.grades if not isinstance(grade, Failure)]
        return sum(grades) / len(grades) if grades and len(grades) == len(self.grades) else None

    @property
    def whole(self) -> bool:
        """Whether everything that was asked of it was measured."""
        measured = (*self.grades, *self.likelihoods, *self.control, *self.earlier)
        return bool(self.grades) and not any(isinstance(value, Failure) for value in measured)

    @property
    def blank(self) -> float:
        """The share of answers with nothing in them."""
        return sum(isinstance(a, str) and not a.strip() for a in self.answers) / max(1, len(self.answers))


@dataclass(frozen=True, slots=True)
class Trial:
    """One self-edit, tried: one stored row. Fills from left to right; a failure stops it.

    It is the `member`-th edit of its task in this round, tried for the `repeat`-th time.
    """

    edit: SelfEdit
    update: Update | None = None
    before: Score | None = None
    after: Score | None = None
    reward: float | None = None
    failure: Failure | None = None
    member: int = 0
    repeat: int = 0


@dataclass(frozen=True, slots=True)
class Request:
    """Ask `update` to continue `prompt`. At temperature 0 the likeliest token is taken and `seed` is not used."""

    update: Update
    prompt: str
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 64


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
    """Ask how likely `update` finds `target` after `prompt`. An empty prompt reads a plain text."""

    update: Update
    prompt: str
    target: str


@dataclass(frozen=True, slots=True)
class Job:
    """Train one adapter, starting from `parent`."""

    parent: Update
    examples: tuple[Example, ...]
    recipe: Recipe
    seed: int


@dataclass(frozen=True, slots=True)
class StreamStep:
    """One edit of a stream: the task without its questions, the trial, and questions that the model wrote itself.

    The trial's update is the stream's model from here on; none where the edit failed or was rejected.
    """

    task: Task
    trial: Trial
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingStep:
    """The next edit of a stream: the model it began from, the steps so far, the new one, and the job to teach it."""

    stream: int
    start: Update
    past: tuple[StreamStep, ...]
    step: StreamStep
    job: Job

    @property
    def now(self) -> Update:
        """The stream's model before this edit."""
        return model_of(self.start, self.past)


def model_of(start: Update, past: tuple[StreamStep, ...]) -> Update:
    """What a stream's model is after these steps: its last update that stood."""
    return next((step.trial.update for step in reversed(past) if step.trial.update), start)
