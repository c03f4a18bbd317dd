"""A deterministic engine without a model: for tests and `--dry-run`.

An update is the list of examples that it was trained on, its parents' included. It knows an answer that enough of them
contain, and it prefers notes like those that it was trained to write, so the outer loop can improve it.
"""

from __future__ import annotations

import hashlib
import json
import math
import random
import re
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from selfedit.engines.checks import check_weights
from selfedit.errors import EngineError, InputError
from selfedit.files import put_folder
from selfedit.types import (
    BASE,
    Example,
    Failure,
    Job,
    Likelihood,
    LikelihoodRequest,
    Prompt,
    Question,
    Request,
    Task,
    Update,
)

NOTES = ("To remember: {answers}.", "There is much to say about {title}.", "")
"""What the policy may write: notes that help, notes that do not, and nothing (unreadable)."""


class FakeEngine:
    """`needed`: how many examples must contain an answer before it is known; with 2 the passage alone teaches nothing.

    In `notes`, {title} and {answers} stand for those of the task whose passage is in the prompt.
    """

    def __init__(self, tasks: Sequence[Task], notes: Sequence[str] = NOTES, needed: int = 1) -> None:
        self.tasks, self.notes, self.needed = tasks, notes, needed
        self._learned: dict[str, tuple[Example, ...]] = {BASE.id: ()}

    # Training

    def train(self, jobs: Sequence[Job]) -> list[Update | Failure]:
        return [self._train(job) for job in jobs]

    def _train(self, job: Job) -> Update:
        check_weights(job)
        name = hashlib.sha256(repr(job).encode()).hexdigest()[:16]
        words = job.recipe.epochs * sum(len(example.target.split()) for example in job.examples)
        self._learned[name] = self._rows(job.parent) + job.examples
        return Update(name, job.parent.id, job.recipe.tokens or words, 1 / (1 + job.recipe.epochs))

    # Sampling and likelihood

    def fits(self, prompts: Sequence[Prompt], reserve: int = 1) -> list[Failure | None]:
        return [None] * len(prompts)

    def sample(self, requests: Sequence[Request]) -> list[str | Failure]:
        return [self._sample(request) for request in requests]

    def _sample(self, request: Request) -> str:
        prompt = str(request.prompt)
        rows, question = self._rows(request.update), self._question_in(prompt)
        if question:
            known = _contains(prompt, question.target)
            known |= sum(_contains(row.target, question.target) for row in rows) >= self.needed
            return f"It is {question.target}." if known else "Nobody knows."
        written = [self._fill(note, prompt) for note in self.notes]
        logits = [self._logit(note, rows) for note in self.notes]
        if request.temperature == 0:
            return written[logits.index(max(logits))]
        return random.Random(request.seed).choices(written, [math.exp(logit - max(logits)) for logit in logits])[0]

    def search(self, requests: Sequence[Request], min_probability: float) -> list[list[str] | Failure]:
        """One text for each request, as if its probability were 1."""
        return [[self._sample(request)] for request in requests]

    def likelihood(self, requests: Sequence[LikelihoodRequest]) -> list[Likelihood | Failure]:
        """The more examples contain the target, the likelier it is. A target is one token."""
        counts = [sum(_contains(row.target, r.target.strip()) for row in self._rows(r.update)) for r in requests]
        return [Likelihood(-2.0 / (1 + count), 1) for count in counts]

    def _question_in(self, prompt: str) -> Question | None:
        """The question in the prompt (the longest, where one is part of another); none where it asks for notes."""
        found = [question for task in self.tasks for question in task.questions if question.text in prompt]
        return max(found, key=lambda question: len(question.text), default=None)

    def _logit(self, note: str, rows: Sequence[Example]) -> float:
        """The weight of the examples that taught to write this note."""
        return sum(row.weight for row in rows if row.prompt and row.target == self._fill(note, str(row.prompt)))

    def _fill(self, note: str, prompt: str) -> str:
        for task in self.tasks:
            if task.context in prompt:
                answers = ", ".join(question.target for question in task.questions)
                return note.format(title=task.title, answers=answers)
        return note

    # Updates

    def save(self, update: Update, folder: Path) -> None:
        """Write into a temporary folder, then rename it: `folder` is there whole or not at all."""
        content = {"update": asdict(update), "examples": [asdict(row) for row in self._rows(update)]}
        partial = folder.with_name(folder.name + ".partial")
        try:
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir(parents=True)
            (partial / "update.json").write_text(json.dumps(content, indent=2) + "\n")
            put_folder(partial, folder)
        except OSError as error:
            raise InputError(f"cannot write the update to {folder}: {error}") from error

    def load(self, folder: Path, one_of_many: bool = False) -> Update:
        try:
            content = json.loads((folder / "update.json").read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise InputError(f"{folder} holds no update that can be read: {error}") from None
        update = Update(**content["update"])
        self._learned[update.id] = tuple(Example(**row) for row in content["examples"])
        return update

    def scale(self, update: Update, factor: float) -> Update:
        """Of the examples that it was trained on, beyond its parent's, it keeps the first part, rounded down."""
        parent = Update(update.parent or BASE.id)
        inherited, rows = self._rows(parent), self._rows(update)
        name = hashlib.sha256(f"{update.id} times {factor!r}".encode()).hexdigest()[:16]
        self._learned[name] = rows[: len(inherited) + int(factor * (len(rows) - len(inherited)))]
        return replace(update, id=name)

    def release(self, updates: Sequence[Update]) -> None:
        for name in {update.id for update in updates} - {BASE.id}:
            self._learned.pop(name, None)

    def _rows(self, update: Update) -> tuple[Example, ...]:
        if update.id not in self._learned:
            raise EngineError(f"update {update.id} is not known here; it was released, or never trained or loaded")
        return self._learned[update.id]


def _contains(text: str, answer: str) -> bool:
    """Whether the text contains the answer in whole words, whatever the case."""
    return re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", text, re.IGNORECASE) is not None
