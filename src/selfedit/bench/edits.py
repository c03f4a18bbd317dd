"""The self-edits that every arm trains on, and the questions it is asked afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import gcd
from pathlib import Path
from typing import Any

from selfedit.config import ModelConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.domains.knowledge.reader import read_tasks
from selfedit.errors import BadEdit, InputError
from selfedit.files import read_json
from selfedit.protocols import Domain
from selfedit.types import BASE, Example, Prompt, Request, SamplingParams, Task
from selfedit.worlds.almanac import world

PER_PASSAGE, QUESTIONS = 5, 5
"""Edits of one passage (SEAL's number), and the most questions that are asked about it."""

DOMAIN: Domain = Knowledge()


@dataclass(frozen=True, slots=True)
class BenchEdit:
    """What one adapter learns, and the task whose questions it then answers."""

    task: Task
    examples: tuple[Example, ...]
    domain: Domain = DOMAIN

    @property
    def prompts(self) -> list[Prompt]:
        """The exam's questions as the model is asked them."""
        return [prompt for question in self.task.questions for prompt in self.domain.exam(self.task, question)]


def sample_edits(count: int, sampling: SamplingParams) -> list[BenchEdit]:
    """`count` edits that the embedded model writes on the almanac's `develop` passages, always on the CPU."""
    from selfedit.engines.local.engine import LocalEngine

    engine = LocalEngine.from_config(ModelConfig(device="cpu", dtype="float32"))
    passages = world.tasks("develop", count // PER_PASSAGE + 4)  # a few more: some notes are empty and make no edit
    tasks = [task for task in passages for _ in range(PER_PASSAGE)]
    how = (sampling.temperature, sampling.top_p, sampling.max_new_tokens)
    texts = engine.sample([Request(BASE, DOMAIN.prompts(task)[0], seed, *how) for seed, task in enumerate(tasks)])
    written = zip(tasks, texts, strict=True)
    edits = [edit for task, text in written if isinstance(text, str) for edit in _edits(task, [text])]
    return edits[:count]


def read_edits(path: Path) -> list[BenchEdit]:
    """The edits of a file in the layout of SEAL's released ones: passages with `completions`. Raises InputError."""
    tasks = read_tasks(path)
    records = read_json(path)
    if not isinstance(records, list) or len(records) != len(tasks):
        raise InputError(f"{path} should hold a list of passages with completions, in SEAL's layout")
    edits = [
        edit
        for task, record in zip(tasks, records, strict=True)
        for edit in _edits(task, _completions(record, path)[:PER_PASSAGE])
    ]
    without = [edit.task.title for edit in edits if not edit.task.questions]
    if without:
        raise InputError(f"{path}: {without[0]!r} has no questions, so answering cannot be timed; give it some")
    if not edits:
        raise InputError(f"{path} holds no edits: every completion in it is empty")
    return edits


def _completions(record: dict[str, Any], path: Path) -> list[str]:
    found = record.get("completions", record.get("completion"))
    completions = [found] if isinstance(found, str) else found
    if not isinstance(completions, list) or not all(isinstance(text, str) for text in completions):
        raise InputError(f"{path}: {record['title']!r} has no completions; each passage needs a list of texts there")
    return completions


def _edits(task: Task, texts: Sequence[str]) -> Iterator[BenchEdit]:
    asked = replace(task, questions=task.questions[:QUESTIONS])
    for text in texts:
        try:
            yield BenchEdit(asked, DOMAIN.parse(task, text).examples)
        except BadEdit:
            continue


def spread(edits: Sequence[BenchEdit], size: Callable[[BenchEdit], int]) -> list[BenchEdit]:
    """The same edits in an order whose every beginning holds short and long ones alike.

    So the few edits of a slow arm stand for the many of a fast one. The order walks through the sorted edits in steps
    of about the golden ratio of their number.
    """
    ordered, count = sorted(edits, key=size), len(edits)
    step = next(step for step in range(round(0.618 * count), 2 * count + 2) if gcd(step, count) == 1)
    return [ordered[(count // 2 + place * step) % count] for place in range(count)]
