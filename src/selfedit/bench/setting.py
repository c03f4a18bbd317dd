"""What all arms have in common: the model, the recipe, how text becomes rows, and the shape of a result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from selfedit.bench.clock import timed
from selfedit.bench.edits import BenchEdit
from selfedit.bench.flops import training_flops
from selfedit.config import ModelConfig
from selfedit.engines.local.engine import LocalEngine
from selfedit.engines.local.lora import Layout
from selfedit.engines.local.targets import adapter_layout
from selfedit.engines.local.text import Text
from selfedit.engines.start import start_pool
from selfedit.errors import EngineError
from selfedit.protocols import Engine
from selfedit.types import BASE, Failure, Job, Recipe, Request, Update

Result = TypeVar("Result")


@dataclass(frozen=True)
class Setting:
    """A frozen model and what is done with it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    recipe: Recipe
    max_new_tokens: int
    processes: int = 1
    """In how many the commands run this model (the embedded one only)."""

    @property
    def device(self) -> torch.device:
        return self.model.device

    @cached_property
    def text(self) -> Text:
        return Text(self.model, self.tokenizer)

    @cached_property
    def layout(self) -> Layout:
        return adapter_layout(self.model, [self.recipe])

    def rows(self, edit: BenchEdit) -> list[list[int]]:
        """The token ids of an edit's training rows, each ending in the end-of-text token."""
        return [row.ids for example in edit.examples for row in self.text.rows(example)]

    def tokens(self, edit: BenchEdit) -> int:
        """Tokens of one epoch."""
        return sum(map(len, self.rows(edit)))

    def flops(self, edit: BenchEdit) -> float:
        """Operations that training this edit needs, all epochs."""
        lengths = [len(row) for row in self.rows(edit)]
        return self.recipe.epochs * training_flops(self.model, self.layout, lengths)


@dataclass(frozen=True, slots=True)
class ArmRun:
    """Seconds that training and answering took, and the answers to each edit's questions, in order."""

    train: float
    answer: float
    answers: list[list[str]]


Arm = Callable[[Setting, Sequence[BenchEdit]], ArmRun]
"""Trains an adapter on each of these edits and answers its questions, the base model as it was afterwards."""


def make_engine(setting: Setting, adapters: int, processes: int = 1) -> Engine:
    """This project's engine, which trains up to so many adapters at once in each of its processes."""
    if processes > 1:
        return start_pool(ModelConfig(device=str(setting.device)), adapters, processes)
    return LocalEngine(setting.model, setting.tokenizer, ModelConfig(), adapters)


def engine_arm(engine: Engine) -> Arm:
    """All edits of a call in one batch."""

    def run(setting: Setting, edits: Sequence[BenchEdit]) -> ArmRun:
        with timed(setting.device) as train:
            updates = _train(engine, setting, edits)
        with timed(setting.device) as answer:
            answers = _answer(engine, setting, edits, updates)
        engine.release(updates)
        return ArmRun(train.seconds, answer.seconds, answers)

    return run


def _train(engine: Engine, setting: Setting, edits: Sequence[BenchEdit]) -> list[Update]:
    jobs = [Job(BASE, edit.examples, setting.recipe, seed) for seed, edit in enumerate(edits)]
    return [_whole(update) for update in engine.train(jobs)]


def _answer(engine: Engine, setting: Setting, edits: Sequence[BenchEdit], updates: Sequence[Update]) -> list[list[str]]:
    requests = [
        Request(update, prompt, max_new_tokens=setting.max_new_tokens)
        for edit, update in zip(edits, updates, strict=True)
        for prompt in edit.prompts
    ]
    answers = iter(engine.sample(requests))
    return [[_whole(next(answers)) for _ in edit.prompts] for edit in edits]


def _whole(result: Result | Failure) -> Result:
    """Speed means nothing where part of the work was not done."""
    if isinstance(result, Failure):
        raise EngineError(f"the benchmark cannot go on: {result.message}")
    return result
