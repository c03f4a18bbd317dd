"""The whole extension surface, on one page.

Lists in, lists out, same length, same order. An item that could not be done comes back as a Failure in its place; an
engine that cannot work at all raises EngineError. Concurrency is the engine's business, so nothing here is async.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from selfedit.types import (
    Example,
    Failure,
    Job,
    Likelihood,
    LikelihoodRequest,
    PendingStep,
    Prompt,
    Question,
    Request,
    SelfEdit,
    StreamStep,
    Task,
    Trial,
    Update,
    Value,
)

NounT = TypeVar("NounT")


class Domain(Protocol):
    """How a self-edit is asked for and read, and how a task is examined.

    The class behind it has more, for the table `DOMAINS` (`domains.DomainType`): its own config keys, what it puts
    under the others, a reader of files, and what its results call things.
    """

    def prompts(self, task: Task, member: int = 0) -> Sequence[Prompt]:
        """What the policy is shown when it writes its `member`-th edit of this task: mostly one prompt; the answers to
        several, one after another, are the edit.
        """
        ...

    def follow_ups(self, task: Task, text: str) -> Sequence[Prompt]:
        """What it is asked next, once it has written `text`; mostly nothing."""
        ...

    def parse(self, task: Task, text: str, member: int = 0) -> SelfEdit:
        """Read the policy's text. Raises BadEdit."""
        ...

    def lines(self, text: str) -> list[str]:
        """What of a policy's text can be an edit by itself, in order; the text as a whole where nothing can."""
        ...

    def joined(self, lines: Sequence[str]) -> str:
        """One text of several such lines, at least one; those that do not go with the first are left out."""
        ...

    def without_edit(self, task: Task) -> SelfEdit:
        """The edit that only holds the task's own context: the passage-only baseline."""
        ...

    def exam(self, task: Task, question: Question, edit: SelfEdit | None = None) -> Sequence[Prompt]:
        """The prompts of a closed-book question, one for each augmented view; `edit`, once learned, may have a say."""
        ...

    def open_book(self, task: Task, question: Question) -> Sequence[Prompt]:
        """The prompts of the same question with the context in them."""
        ...

    def answer(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> str:
        """One answer of what came back for each view, in the prompts' order: a text, or several, likeliest first."""
        ...

    def targets(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        """The right answer as it follows each prompt of `exam`; none where every model says it in its own way."""
        ...

    def own_exams(self, tasks: Sequence[Task]) -> list[Task] | None:
        """Those of the tasks that show enough, with exams made of that; None where a model has to write exams."""
        ...

    def question_prompts(self, task: Task) -> Sequence[Prompt]:
        """Ask a model to write an exam about the task, perhaps in parts. Not asked where there are `own_exams`."""
        ...

    def parse_questions(self, text: str) -> list[Question]:
        """What a model wrote when it was asked that."""
        ...

    @property
    def min_probability(self) -> float:
        """Every answer that is at least so probable counts; 0: the one of greedy decoding."""
        ...

    @property
    def rescoring(self) -> Rescoring | None:
        """How answers are chosen by their probability in all views together, if they are."""
        ...

    @property
    def reading(self) -> Reading | None:
        """How what was written is read again before it is learned, if it is."""
        ...


class Comparison(NamedTuple):
    """What an example says, then what else it might have said: each a text, and the beginning of it that is given, if
    one is. Where another is likelier than the first, the example is not learned, and `why` is the reason.

    With `ablated` the others say the same, each after the document without a part of it. Then the example is not
    learned where no part makes it as much likelier as another makes it less likely.
    """

    versions: Sequence[tuple[LikelihoodRequest, LikelihoodRequest | None]]
    why: str
    ablated: bool = False


class Reading(Protocol):
    """How a model, by what it finds likely, sees that an example has got something wrong."""

    def compare(self, task: Task, example: Example) -> Comparison | None:
        """None where there is nothing to compare."""
        ...


class Rescoring(Protocol):
    """Answers to all views are candidates, and the most probable over all views count (arXiv 2505.07859)."""

    def candidates(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> list[str]:
        """The different answers that came back, each in the form of a question's target."""
        ...

    def attempts(self, ranked: Sequence[str]) -> str:
        """One answer of the candidates, the best first."""
        ...


class Sampler(Protocol):
    def sample(self, requests: Sequence[Request]) -> list[str | Failure]: ...


class Trainer(Protocol):
    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]: ...


class Scorer(Protocol):
    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | Failure]: ...


class Searcher(Protocol):
    def search(self, requests: Sequence[Request], min_probability: float) -> list[list[str] | Failure]:
        """Every text of at least this probability, the likeliest first."""
        ...


class Adapters(Protocol):
    """Updates, kept in memory until they are released."""

    def save(self, update: Update, folder: Path) -> None:
        """Write the update with its parents, whole or not at all: as a PEFT adapter, or as a model if `full`."""
        ...

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        """Read a saved update; it can then be sampled from and be the parent of jobs.

        `one_of_many`: others will be used beside it in the same batch. Otherwise an engine may make it part of the
        model while it is used, which is faster for one that a whole batch shares.
        """
        ...

    def scale(self, update: Update, factor: float) -> Update:
        """A new update: `factor` times what this one, which was trained here, adds to its parent."""
        ...

    def release(self, updates: Sequence[Update]) -> None:
        """Forget these updates."""
        ...


class Engine(Sampler, Trainer, Scorer, Searcher, Adapters, Protocol):
    """Everything that a run needs of a model."""

    def fits(self, prompts: Sequence[Prompt], reserve: int = 1) -> list[Failure | None]:
        """None for each prompt that leaves room for an answer of `reserve` tokens (at most half the context is kept for
        it); a Failure that says why for the others. Runs no model.
        """
        ...


class Proxy(Protocol):
    def rate(self, edits: Sequence[tuple[Task, SelfEdit]]) -> list[Value]:
        """How good each edit looks, without trying it; higher is better."""
        ...


class Grader(Protocol):
    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[Value]: ...


class ContinualMethod(Protocol):
    """How an edit of a stream is learned without forgetting the earlier ones.

    Methods that are combined work one after another: on the jobs that the one before left, then on the updates. They
    keep nothing themselves: all they know is in the pending steps. No question of a reported exam is among that.
    """

    @property
    def needs_questions(self) -> bool:
        """Whether it needs questions that the model writes itself about every document."""
        ...

    @property
    def steps_depend(self) -> bool:
        """Whether what a step learns depends on the steps before it; if not, one can be taken out by itself."""
        ...

    def prepare(self, pending: Sequence[PendingStep]) -> list[PendingStep]:
        """Before training: the steps, their jobs changed."""
        ...

    def accept(self, pending: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        """After training: what becomes the model of each stream. A Failure says why it stays what it was."""
        ...


class Router(Protocol):
    """Which update of a stream answers."""

    def active(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        """The updates that a stream needs after these steps, to answer and to go on; the first writes its next edit."""
        ...

    def route(self, start: Update, past: Sequence[StreamStep], questions: Sequence[str]) -> list[Update]:
        """Which update answers each of these questions, after these steps."""
        ...

    def learned_by(self, start: Update, past: Sequence[StreamStep], title: str) -> Update:
        """The update that has learned the document of this title."""
        ...


Reward = Callable[[Trial], float]
"""A trial with both scores -> how good its edit was. Higher is better."""

FLOOR = -1.0
"""Reward of an edit that could not be read or trained through the policy's own fault: no gain in accuracy is lower."""

Credit = Callable[[Sequence[float]], list[float]]
"""The rewards of one task's trials -> one training weight each."""


class Remember(Protocol):
    """Keeps what was computed, so that a run resumes."""

    def __call__(self, stage: str, step: int, compute: Callable[[], list[NounT]], noun: type[NounT]) -> list[NounT]:
        """What is stored under this step of this stage, each item a `noun`; otherwise what `compute` gives, stored."""
        ...


Progress = Callable[[str, int, int, str], None]
"""Called with (what is going on, done, total, a note such as the loss)."""


def silent(what: str, done: int, total: int, note: str) -> None:
    """A Progress that tells nobody."""
