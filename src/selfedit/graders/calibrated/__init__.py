"""A grader without a judge, fitted on the verdicts that GPT-4.1 gave in SEAL's released runs.

A few hundred small decision trees over what a careful reader compares (`features`). `fitting/grader.py` makes their
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
from selfedit.types import Failure, Question

if TYPE_CHECKING:
    from numpy import ndarray

PARAMETERS = Path(__file__).with_name("trees.safetensors")


class Calibrated:
    """1 if the answer would probably be judged right: it says the gold answer, whatever else it says, and no other.

    Fitted on short answers in English by base language models; what it does on other languages was never measured. It
    knows no paraphrase beyond word stems, numbers and abbreviations.
    """

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        return [float(chance > _trees().threshold) for chance in self.chances(pairs)]

    def chances(self, pairs: Sequence[tuple[Question, str]]) -> list[float]:
        """How likely a judge would call each answer right, 0 to 1. A blank one is wrong without a look (spec 1.4)."""
        trees = _trees()
        said = [index for index, (_, answer) in enumerate(pairs) if answer.strip()]
        rows = [features(pairs[i][0].text, pairs[i][0].target, pairs[i][1], trees.rarity) for i in said]
        found = dict(zip(said, trees.predict(rows), strict=True)) if rows else {}
        return [found.get(index, 0.0) for index in range(len(pairs))]


@dataclass(frozen=True, slots=True)
class Trees:
    """Gradient-boosted trees as arrays over all nodes. `first` is each tree's root; a leaf is its own child.

    An answer is right where its chance is above `threshold`, chosen so that as many are right as the judge found.
    """

    first: ndarray
    feature: ndarray
    limit: ndarray
    left: ndarray
    right: ndarray
    value: ndarray
    depth: int
    bias: float
    threshold: float
    rarity: dict[str, float]

    def predict(self, rows: Sequence[Sequence[float]]) -> list[float]:
        import numpy as np

        x = np.asarray(rows, dtype=np.float32)
        node = np.repeat(self.first[None], len(x), axis=0)
        for _ in range(self.depth):
            below = np.take_along_axis(x, self.feature[node], axis=1) <= self.limit[node]
            node = np.where(below, self.left[node], self.right[node])
        total = self.value[node].sum(axis=1, dtype=np.float64) + self.bias
        return [float(chance) for chance in 1 / (1 + np.exp(-total))]


@cache
def _trees() -> Trees:
    from safetensors import safe_open

    with safe_open(PARAMETERS, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in ("first", "feature", "limit", "left", "right", "value")}
        more = json.loads(file.metadata()["parameters"])
    integers = {name: arrays[name].astype("int64") for name in ("first", "feature", "left", "right")}
    return Trees(**{**arrays, **integers}, **more)
