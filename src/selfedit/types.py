"""The nouns, in the order data meets them.

    Task -> SelfEdit -> Update -> Score -> reward, joined in one row: Trial.

Every value is frozen, made of plain data, and survives a round trip through JSON.
This module imports the standard library, and the names of limits from `annotated_types`: the config reads them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no value here, and whose fault that is. Only a `policy` failure may become a reward.

    Failure("system", "the judge at localhost:8000 did not answer")
    """

    blame: Literal["policy", "system"]
    message: str


@dataclass(frozen=True, slots=True)
class Question:
    """A held-out question and its gold answer; the policy never sees it while it writes. Tables tell `kind`s apart.

    Question("When did Apollo 11 land?", "1969")
    """

    text: str
    target: str
    kind: str = ""


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
class Conversation:
    """A conversation that a model goes on with: worked examples as earlier turns, what the user says now, and the first
    words of the answer (`prefill`), after which it continues.

    Conversation("Where is Torvik?", examples=(("Where is Velin?", "Velin is in the north."),), prefill="Torvik")
    """

    user: str
    prefill: str = ""
    examples: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """As plain text, for models without turns."""
        turns = [*self.examples, (self.user, self.prefill)]
        return "\n\n".join(f"{user}\n{said}" for user, said in turns)

    def __len__(self) -> int:
        """Characters, roughly."""
        return len(str(self))


Prompt = str | Conversation
"""What a model is asked to go on with: a text, which a chat model gets as a single turn, or a conversation."""


def as_conversation(prompt: Prompt) -> Conversation:
    """The prompt as a conversation: a text is what the user says in one without earlier turns."""
    return prompt if isinstance(prompt, Conversation) else Conversation(prompt)


@dataclass(frozen=True, slots=True)
class Example:
    """One training row, for either loop. Loss falls on `target` only, and is scaled by `weight`.

    An empty prompt makes a plain document: Example("", "Apollo 11\\nApollo 11 landed in 1969."). With `teacher`, the id
    of an update, what is learned is not the target itself but how likely that update finds every token in its places:
    soft targets, which pull at nothing as long as the model still is the teacher.
    """

    prompt: Prompt
    target: str
    weight: float = 1.0
    teacher: str = ""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to train one update. It rides on the self-edit because the policy may choose it. The defaults are SEAL's
    (docs/seal.md 1.3). This is its one declaration: the config's `inner` and `outer.recipe` are such recipes.

    `alpha` scales the adapter by alpha / rank. The learning rate rises over the share `warmup` of the steps, then
    follows `schedule`; linear and cosine end at 0.

    `padding` "seal" trains as SEAL's code does: every row is filled up with end-of-text, which is learned like text. It
    costs up to forty times as much, and teaches mostly to stop.

    `method` "full" trains all weights of the model instead of an adapter, one job at a time; rank and alpha have no
    meaning then.

    With weights that are advantages `ratio_clip` bounds how far the probability of a token may move from what it was
    under the parent, and `kl` is the weight of the divergence from the base (GRPO, arXiv 2402.03300).

    Raises ValueError for a full recipe that shapes an adapter: targets, top_layers or dropout.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012  # for the config and the store

    rank: Annotated[int, Ge(1), Le(1_000_000)] = 32
    alpha: Annotated[float, Gt(0), Le(1e9)] = 64.0
    epochs: Annotated[int, Ge(1), Le(1_000_000)] = 10
    learning_rate: Annotated[float, Gt(0), Le(1e9)] = 1e-3
    batch_size: Annotated[int, Ge(1), Le(1_000_000), "examples per optimizer step"] = 1
    targets: Annotated[tuple[str, ...], "layers with an adapter, by name; empty: every linear one but the head"] = ()
    schedule: Annotated[Literal["linear", "cosine", "constant"], "of the learning rate"] = "linear"
    warmup: Annotated[float, Ge(0), Lt(1), "share of the steps in which the learning rate rises"] = 0.0
    weight_decay: Annotated[float, Ge(0), Le(1e9)] = 0.0
    clip: Annotated[float, Ge(0), Le(1e9), "largest gradient norm; 0: no limit"] = 1.0
    dropout: Annotated[float, Ge(0), Lt(1), "of an adapter's input"] = 0.0
    pack: Annotated[bool, "all examples in one step per epoch"] = False
    top_layers: Annotated[bool, "adapters on the upper half of the layers only: cheaper"] = False
    early_stop: Annotated[float, Ge(0), Le(1e9), "stop after an epoch with a mean loss below this; 0: never"] = 0.0
    padding: Annotated[
        Literal["none", "seal"],
        "seal: every text is filled up with end-of-text, which is learned too, as SEAL's code does",
    ] = "none"
    ratio_clip: Annotated[float, Ge(0), Lt(1), "how far a token's probability may move (GRPO: 0.2); 0: off"] = 0.0
    kl: Annotated[float, Ge(0), Le(1e9), "weight of the divergence from the base (GRPO: 0.04); 0: off"] = 0.0
    method: Annotated[
        Literal["lora", "full"], "full: all weights of the model instead of an adapter, one update at a time"
    ] = "lora"
    shuffle_lengths: Annotated[bool, "rows of all lengths in every step, not of like length (more padding)"] = False
    min_steps: Annotated[int, Ge(0), Le(1_000_000), "epochs are added for texts of few steps, up to so many"] = 0
    tokens: Annotated[int, Ge(0), Le(10**9), "trained in all, the last document cut; 0: as many as epochs take"] = 0

    def __post_init__(self) -> None:
        if self.method == "full" and (self.targets or self.top_layers or self.dropout):
            raise ValueError(
                "method full trains all weights, and targets, top_layers and dropout shape an adapter; leave them out, "
                "or set method to lora"
            )


@dataclass(frozen=True, slots=True)
class SelfEdit:
    """What the policy was shown, what it wrote, and what that means for training.

    Where it was shown several prompts, `parts` has each with what was said to it; `prompt` is then the first, and
    `text` the whole. `dropped` are lines that were not found fit to learn, each with the reason.
    """

    task_id: str
    prompt: Prompt
    text: str = ""
    examples: tuple[Example, ...] = ()
    recipe: Recipe = Recipe()
    parts: tuple[tuple[Prompt, str], ...] = ()
    dropped: tuple[tuple[str, str], ...] = ()


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
class Likelihood:
    """The log-probability of a text's `tokens`, summed, in nats.

    Likelihood(nats=-4.2, tokens=3).per_token -> -1.4
    """

    nats: float
    tokens: int

    @property
    def per_token(self) -> float:
        return self.nats / self.tokens


Value = float | Failure
"""Something that was measured, or why it could not be. A Failure is never added up."""


@dataclass(frozen=True, slots=True)
class Score:
    """Answers and grades for one task's questions, in order. Ungraded is a Failure, never a 0.

    `measurements` hold what else was asked for, by its name in `loops.examine.MEASUREMENTS`: the likelihood of the
    right answers, that of texts that have nothing to do with the task, the grades on tasks that were learned before.
    """

    answers: tuple[str | Failure, ...]
    grades: tuple[Value, ...]
    measurements: Mapping[str, tuple[Value, ...]] = field(default_factory=dict, hash=False)

    @property
    def value(self) -> float | None:
        """Mean grade in [0, 1], or None unless every question was graded: compare like with like."""
        grades = [grade for grade in self.grades if not isinstance(grade, Failure)]
        return sum(grades) / len(grades) if grades and len(grades) == len(self.grades) else None

    @property
    def is_complete(self) -> bool:
        """Whether everything that was asked of it was measured."""
        measured = [*self.grades, *(value for values in self.measurements.values() for value in values)]
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
    prompt: Prompt
    seed: int = 0
    temperature: float = 0.0
    top_p: float = 1.0
    max_new_tokens: int = 64


class Cut(str):
    """A sampled text that ran into its limit of tokens before it ended. All else it has as a text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """How a text is sampled; at temperature 0 the likeliest token is taken. SEAL's values (docs/seal.md 1.2) but for
    the length, which is this project's. This is their one declaration: the config's `outer.sampling` is such a value.
    """

    __pydantic_config__ = {"extra": "forbid", "allow_inf_nan": False}  # noqa: RUF012

    temperature: Annotated[float, Ge(0), Le(1e9)] = 1.0
    top_p: Annotated[float, Gt(0), Le(1)] = 0.95
    max_new_tokens: Annotated[int, Ge(1), Le(1_000_000)] = 512


@dataclass(frozen=True, slots=True)
class LikelihoodRequest:
    """Ask how likely `update` finds `target` after `prompt`. With an empty prompt the target is a plain text."""

    update: Update
    prompt: Prompt
    target: str


@dataclass(frozen=True, slots=True)
class Job:
    """Train one adapter, starting from `parent`.

    Two ways to hold it to an attached parent: `orthogonal` keeps the rows of A orthogonal to the parent's (O-LoRA,
    arXiv 2310.14152). `ewc` goes on training the parent's adapter instead of a new one, and holds its parameters by so
    much times their importance, which the adapter carries along (online EWC, arXiv 1612.00796); 0 is off.
    """

    parent: Update
    examples: tuple[Example, ...]
    recipe: Recipe
    seed: int
    orthogonal: bool = False
    ewc: float = 0.0


# Streams of edits


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
    """A stream's next step before it is trained: the model the stream began from, its steps so far, and the job."""

    stream: int
    start: Update
    past: tuple[StreamStep, ...]
    step: StreamStep
    job: Job

    @property
    def current(self) -> Update:
        """The stream's model before this step."""
        return model_of(self.start, self.past)


def model_of(start: Update, past: tuple[StreamStep, ...]) -> Update:
    """What a stream's model is after these steps: its last update that stood."""
    return next((step.trial.update for step in reversed(past) if step.trial.update), start)


@dataclass(frozen=True, slots=True)
class DraftedQuestions:
    """The questions that a model wrote about a task and that passed the sieve; perhaps none.

    `invented`: how many more it wrote whose answer does not stand in the task's context.
    """

    task_id: str
    questions: tuple[Question, ...]
    invented: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """The score of a stream's model on one task. `place` is that of the task in its stream, or in its control group."""

    stream: int
    place: int
    task_id: str
    score: Score


@dataclass(frozen=True, slots=True)
class Continuation:
    """What the start model said, sampled, after the first words of a neutral text."""

    prompt: str
    text: str


@dataclass(frozen=True, slots=True)
class Drift:
    """How likely a stream's model finds the neutral texts, and what the start model said: one value per text."""

    stream: int
    texts: tuple[Likelihood | Failure, ...]
    continuations: tuple[Likelihood | Failure, ...]


# What teaching costs


@dataclass(frozen=True, slots=True)
class ItemScore:
    """What one update made of one item of a check: the values of every measure, and what it said, if it was asked.

    One item can have several values of a measure, as a prompt with three instructions has: they are one cluster.
    """

    item: str
    values: Mapping[str, tuple[Value, ...]] = field(hash=False)
    text: str = ""
