"""The whole extension surface, on one page.

Lists in, lists out, same length, same order. An item that could not be done comes back as a Failure in its place; an
engine that cannot work at all raises EngineError. Concurrency is the engine's business, so nothing here is async.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from selfedit.types import Failure, Job, Question, Request, SelfEdit, Task, Trial, Update


class Domain(Protocol):
    """How a self-edit is asked for and read, and how a task is examined."""

    def prompt(self, task: Task) -> str:
        """What the policy is shown when it writes."""
        ...

    def parse(self, task: Task, text: str) -> SelfEdit:
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


class Engine(Sampler, Trainer, Protocol):
    """A sampler and a trainer that share adapters, kept in memory until they are released."""

    def save(self, update: Update, folder: Path) -> None:
        """Write the update as a PEFT adapter of the base model (its parents included), whole or not at all."""
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
