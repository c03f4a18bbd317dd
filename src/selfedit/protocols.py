"""The whole extension surface, on one page.

Lists in, lists out, same length, same order. An item that could not be done comes back as a Failure in its place; an
engine that cannot work at all raises EngineError. Concurrency is the engine's business, so nothing here is async.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from selfedit.types import (
    Failure,
    Job,
    LikelihoodRequest,
    PendingStep,
    Question,
    Request,
    SelfEdit,
    StreamStep,
    Task,
    Trial,
    Update,
)


class Domain(Protocol):
    """How a self-edit is asked for and read, and how a task is examined."""

    def prompt(self, task: Task, member: int = 0) -> str:
        """What the policy is shown when it writes its `member`-th edit of this task."""
        ...

    def follow_ups(self, task: Task, text: str) -> list[str]:
        """What it is asked next, once it has written `text`; mostly nothing."""
        ...

    def parse(self, task: Task, text: str, member: int = 0) -> SelfEdit:
        """Read the policy's text. Raises BadEdit."""
        ...

    def without_edit(self, task: Task) -> SelfEdit:
        """The edit that only holds the task's own context: the passage-only baseline."""
        ...

    def exam(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        """The prompts of a closed-book question, one for each of its views; `edit`, once learned, may have a say."""
        ...

    def open_book(self, task: Task, question: Question) -> list[str]:
        """The prompts of the same question with the context in them."""
        ...

    def answer(self, task: Task, question: Question, texts: Sequence[Sequence[str]]) -> str:
        """One answer of what came back in each view, in the prompts' order: a text, or several, the likeliest first."""
        ...

    def own_exams(self, tasks: Sequence[Task]) -> list[Task] | None:
        """Those of the tasks that show enough, with exams made of that; None where a model has to write exams."""
        ...

    def targets(self, task: Task, question: Question, edit: SelfEdit | None = None) -> list[str]:
        """The right answer as it follows each prompt of `exam`; none where every model says it in its own way."""
        ...


class Rescoring(Protocol):
    """What a domain can do whose answers are weighed by how probable they are in all views together."""

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
    def likelihood(self, readings: Sequence[LikelihoodRequest]) -> list[float | Failure]:
        """The mean log-probability per token of each target, in nats."""
        ...


class Searcher(Protocol):
    def search(self, requests: Sequence[Request], least: float) -> list[list[str] | Failure]:
        """Every text whose probability is at least `least`, the likeliest first."""
        ...


class Engine(Sampler, Trainer, Scorer, Searcher, Protocol):
    """A sampler, a trainer, a scorer and a searcher that share adapters, kept in memory until they are released."""

    def refusals(self, prompts: Sequence[str]) -> list[Failure | None]:
        """Why it cannot answer each prompt, which is longer than its context; None where it can. Asks no model."""
        ...

    def save(self, update: Update, folder: Path) -> None:
        """Write the update with its parents, whole or not at all: as a PEFT adapter, or as a model if `full`."""
        ...

    def load(self, folder: Path, worn: bool = False) -> Update:
        """Read a saved update; it can then be sampled from and be the parent of jobs.

        With `worn` it stands beside the weights, so that many such updates work in one batch; otherwise it may be put
        into them, which is faster for one that all share.
        """
        ...

    def scale(self, update: Update, factor: float) -> Update:
        """A new update: `factor` times what this one, which was trained here, adds to its parent."""
        ...

    def release(self, updates: Sequence[Update]) -> None:
        """Forget these updates."""
        ...


class Proxy(Protocol):
    def rate(self, edits: Sequence[tuple[Task, SelfEdit]]) -> list[float | Failure]:
        """How good each edit looks, without trying it; higher is better."""
        ...


class Grader(Protocol):
    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]: ...


class ContinualMethod(Protocol):
    """A way to learn a stream of edits without forgetting the earlier ones.

    Keepers that are combined work one after another: on the jobs that the one before left, then on the updates. They
    keep nothing themselves: all they know is in the turns. No question of an exam that is reported is among that.
    """

    @property
    def asks(self) -> bool:
        """Whether it needs questions that the model writes itself about every document."""
        ...

    def prepare(self, turns: Sequence[PendingStep]) -> list[PendingStep]:
        """Before training: the turns, their jobs changed."""
        ...

    def settle(self, turns: Sequence[PendingStep], outcomes: Sequence[Update | Failure]) -> list[Update | Failure]:
        """After training: what becomes the model of each stream. A Failure says why it stays what it was."""
        ...

    def held(self, start: Update, past: Sequence[StreamStep]) -> list[Update]:
        """The updates that a stream needs after these steps, to answer and to go on; the first writes its next edit."""
        ...

    def route(self, start: Update, past: Sequence[StreamStep], asked: Sequence[str]) -> list[Update]:
        """Which update answers each of these questions, after these steps."""
        ...


Reward = Callable[[Trial], float]
"""A trial with both scores -> how good its edit was. Higher is better."""

Credit = Callable[[Sequence[float]], list[float]]
"""The rewards of one task's trials -> one training weight each."""

Progress = Callable[[str, int, int, str], None]
"""Called with (what is going on, done, total, a note such as the loss)."""


def silent(what: str, done: int, total: int, note: str) -> None:
    """The Progress of callers who do not want to see any."""
