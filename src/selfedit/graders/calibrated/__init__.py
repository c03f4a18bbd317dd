"""A grader without a judge, fitted on the verdicts that GPT-4.1 gave in SEAL's released runs.

A few hundred small decision trees over what a careful reader compares (`features`). `reproduce.fit_grader` makes their
file; `selfedit reproduce grader` says how far they agree with the judge on passages that they were not fitted on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from selfedit.graders.calibrated.features import features
from selfedit.thoughts import answer_in
from selfedit.types import Failure, Question

if TYPE_CHECKING:
    from numpy import ndarray

PARAMETERS = Path(__file__).with_name("trees.safetensors")

BATCH = 256
"""Rows that go through the trees together: more do not fit a processor's cache."""


class Calibrated:
    """How likely a judge would call each answer right, 0 to 1: whether it says the gold answer and no other.

    Chances and not verdicts, so that means over many answers come out as the judge's would. A blank answer is wrong
    without a look (docs/seal.md 1.4). Fitted on short answers in English by base language models; other languages were
    never measured. It knows no paraphrase beyond word stems, numbers, dates and a small thesaurus.
    """

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        model = _model()
        answers = [answer_in(answer) for _, answer in pairs]
        said = [index for index, answer in enumerate(answers) if answer.strip()]
        rows = [features(pairs[i][0].text, pairs[i][0].target, answers[i], model.rarity) for i in said]
        found = dict(zip(said, model.predict(rows), strict=True)) if rows else {}
        return [found.get(index, 0.0) for index in range(len(pairs))]


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees as arrays over all nodes. `first` is each tree's root; a leaf is its own child."""

    first: ndarray
    feature: ndarray
    limit: ndarray
    left: ndarray
    right: ndarray
    value: ndarray

    def total(self, x: ndarray) -> ndarray:
        """The sum over trees of the value each row [rows, features] ends at: [rows]."""
        import numpy as np

        node, last = np.repeat(self.first[None], len(x), axis=0), None
        rows = np.arange(len(x))[:, None]
        while last is None or (node != last).any():
            last = node
            node = np.where(x[rows, self.feature[node]] <= self.limit[node], self.left[node], self.right[node])
        total: ndarray = self.value[node].sum(axis=1, dtype=np.float64)
        return total


@dataclass(frozen=True, slots=True)
class TreeModel:
    """A boosted forest gives log-odds, an averaged one chances. The log-odds of their mean chance, times `slope` plus
    `shift`, are those with which the judge says yes.
    """

    boosted: Forest
    averaged: Forest
    bias: float
    slope: float
    shift: float
    rarity: dict[str, float]

    def predict(self, rows: Sequence[Sequence[float]]) -> list[float]:
        import numpy as np

        chances = list[float]()
        for start in range(0, len(rows), BATCH):
            x = np.asarray(rows[start : start + BATCH], dtype=np.float32)
            boosted = 1 / (1 + np.exp(-self.boosted.total(x) - self.bias))
            mean = np.clip((boosted + self.averaged.total(x)) / 2, 1e-4, 1 - 1e-4)
            chances += (1 / (1 + np.exp(-self.slope * np.log(mean / (1 - mean)) - self.shift))).tolist()
        return chances


@cache
def _model() -> TreeModel:
    from safetensors import safe_open

    with safe_open(PARAMETERS, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
        more = json.loads(file.metadata()["parameters"])
    parts = ("first", "feature", "limit", "left", "right", "value")
    boosted, averaged = (Forest(*(arrays[f"{name}.{part}"] for part in parts)) for name in ("boosted", "averaged"))
    return TreeModel(boosted, averaged, **more)
