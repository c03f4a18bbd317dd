"""The whole extension surface, on one page.

Lists in, lists out, same length, same order. An item that could not be done comes back as a Failure in its place; an
engine that cannot work at all raises EngineError. Concurrency is the engine's business, so nothing here is async.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from selfedit.types import Failure, Job, Question, Reading, Request, SelfEdit, Task, Trial, Update


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

    def exam(self, task: Task, question: Question) -> str:
        """The prompt of a closed-book question."""
        ...

    def open_book(self, task: Task, question: Question) -> str:
        """The prompt of the same question with the context in it."""
        ...


class Sampler(Protocol):
    def sample(self, requests: Sequence[Request]) -> list[str | Failure]: ...


class Trainer(Protocol):
    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]: ...


class Scorer(Protocol):
    def likelihood(self, readings: Sequence[Reading]) -> list[float | Failure]:
        """The mean log-probability per token of each target, in nats."""
        ...


class Engine(Sampler, Trainer, Scorer, Protocol):
    """A sampler, a trainer and a scorer that share adapters, kept in memory until they are released."""

    def refusals(self, prompts: Sequence[str]) -> list[Failure | None]:
        """Why it cannot answer each prompt, which is longer than its context; None where it can. Asks no model."""
        ...

    def save(self, update: Update, folder: Path) -> None:
        """Write the update with its parents, whole or not at all: as a PEFT adapter, or as a model if `full`."""
        ...

    def load(self, folder: Path) -> Update:
        """Read a saved update; it can then be sampled from and be the parent of jobs."""
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


Reward = Callable[[Trial], float]
"""A trial with both scores -> how good its edit was. Higher is better."""

Credit = Callable[[Sequence[float]], list[float]]
"""The rewards of one task's trials -> one training weight each."""

Progress = Callable[[str, int, int, str], None]
"""Called with (what is going on, done, total, a note such as the loss)."""


def silent(what: str, done: int, total: int, note: str) -> None:
    """The Progress of callers who do not want to see any."""
