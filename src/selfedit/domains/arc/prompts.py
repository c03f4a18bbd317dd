"""How a model is shown grids, asked for an output, and asked for a plan: a compact format, and SEAL's for chat models.

The embedded grid model is pre-trained on the compact one. Grids are integer arrays [rows, columns] of colours 0 to 9.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from selfedit.types import Question, Task

Grid = NDArray[np.int_]
Pair = tuple[Grid, Grid]


def to_task(name: str, shown: Sequence[Pair], asked: Sequence[Pair]) -> Task:
    """A task of the domain: the demonstrations as its context, and one question per test grid."""
    context = json.dumps([{"input": grid.tolist(), "output": output.tolist()} for grid, output in shown])
    return Task(name, name, context, tuple(Question(grid_json(grid), grid_json(output)) for grid, output in asked))


def grid_json(grid: Grid) -> str:
    """As ARC's files have it: a list of rows."""
    return json.dumps(grid.tolist())


class Format(Protocol):
    def question(self, shown: Sequence[Pair], grid: Grid) -> str:
        """The prompt that asks for the output of a grid after these demonstrations."""
        ...

    def output(self, grid: Grid) -> str:
        """The answer to it."""
        ...

    def whole(self, shown: Sequence[Pair], pair: Pair) -> str:
        """Question and answer as one text."""
        ...

    def read(self, text: str) -> list[list[int]]:
        """The rows of an answer, which may be ragged. Raises ValueError where it is no grid."""
        ...

    def plan(self, shown: Sequence[Pair], wide: bool) -> str:
        """The prompt that asks for a plan; `wide`: one with more choices."""
        ...


class Compact:
    """A character per cell, a line per row; `I` stands before an input, `O` before an output.

    After the demonstrations `P` asks for a plan and `W` for a wide one.

    Compact().output(array([[0, 1], [2, 3]])) -> "01\\n23\\n"
    """

    def question(self, shown: Sequence[Pair], grid: Grid) -> str:
        return f"{self._pairs(shown)}I{self.output(grid)}O"

    def output(self, grid: Grid) -> str:
        codes = np.full((grid.shape[0], grid.shape[1] + 1), ord("\n"), dtype=np.uint8)
        codes[:, :-1] = grid + ord("0")
        return codes.tobytes().decode("ascii")

    def whole(self, shown: Sequence[Pair], pair: Pair) -> str:
        return self._pairs([*shown, pair])

    def read(self, text: str) -> list[list[int]]:
        lines = text.strip().split("\n")
        if not all(re.fullmatch("[0-9]+", line) for line in lines):
            raise ValueError("the answer is not lines of digits")
        return [[int(cell) for cell in line] for line in lines]

    def plan(self, shown: Sequence[Pair], wide: bool) -> str:
        return self._pairs(shown) + ("W" if wide else "P")

    def _pairs(self, pairs: Sequence[Pair]) -> str:
        return "".join(f"I{self.output(grid)}O{self.output(output)}" for grid, output in pairs)


_TASK = (
    "Each example is a grid of numbers from 0 to 9 and, after an arrow, the grid that one rule makes of it. "
    "Find the rule, and write the grid that it makes of the last one."
)
_PLAN = (
    "You are choosing how a model is trained on the examples above before it is tested on a new input.\n"
    "data_generation: which changed copies of the examples it also learns from (basic: turned, mirrored, shifted; "
    "size: enlarged; chain: turned, then enlarged; repeat: tiled).\n"
    "training: strategy is {strategies}; learning_rate is a number such as 1e-4; num_train_epochs is a whole number.\n"
    "{more}Answer with one JSON object and nothing else, in this form:\n{skeleton}"
)
_MORE = (
    "copies is how often each example comes again in other colours; rank is the adapter's; early_stop ends training at "
    "a loss below it (0: never); views is in how many ways the test is asked.\n"
)
GROUPS = ("basic", "size", "chain", "repeat")
"""The groups of augmentations that a plan switches on or off (docs/seal.md 3.3)."""


def switch(group: str) -> str:
    """The key of a plan that does it."""
    return f"use_{group}_augmentations"


STRATEGIES = ("train_using_all_tokens", "train_using_output_tokens")
LATER = "train_using_later_outputs"
"""What the loss falls on: everything, the last output, or (wide plans) every output but the first."""


class Chat:
    """SEAL's format for language models (docs/seal.md 3.2, 3.3), in our own words.

    Grids are written as numpy prints arrays, an output ends with "#". SEAL has the instruction and the demonstrations
    in a system message; here they stand above the test grid in the one user message that the engine makes of a prompt.
    """

    def question(self, shown: Sequence[Pair], grid: Grid) -> str:
        examples = "\n\n".join(f"{_array(grid)} -> {self.output(output)}" for grid, output in shown)
        return f"{_TASK}\n\n{examples}\n\n{_array(grid)} ->"

    def output(self, grid: Grid) -> str:
        return f"{_array(grid)}#"

    def whole(self, shown: Sequence[Pair], pair: Pair) -> str:
        return f"{self.question(shown, pair[0])} {self.output(pair[1])}"

    def read(self, text: str) -> list[list[int]]:
        lines = re.sub(r"[\[\],]", " ", text.partition("#")[0]).strip().split("\n")
        if not all(re.fullmatch(r"\s*[0-9](?:\s+[0-9])*\s*", line) for line in lines):
            raise ValueError("the answer is not an array of digits")
        return [[int(cell) for cell in line.split()] for line in lines]

    def plan(self, shown: Sequence[Pair], wide: bool) -> str:
        examples = "\n\n".join(f"Input:\n{_rows(grid)}\nOutput:\n{_rows(output)}" for grid, output in shown)
        strategies = " or ".join((*STRATEGIES, LATER) if wide else STRATEGIES)
        asked = _PLAN.format(
            strategies=strategies, more=_MORE if wide else "", skeleton=json.dumps(plan_skeleton(wide))
        )
        return f"{examples}\n\n{'-' * 20}\n\n{asked}"


def plan_skeleton(wide: bool) -> Mapping[str, Any]:
    """A plan with every key, and the least that can be chosen."""
    switches: dict[str, Any] = {switch(group): False for group in GROUPS}
    training: dict[str, Any] = {"strategy": STRATEGIES[0], "learning_rate": 1e-5, "num_train_epochs": 1}
    if not wide:
        return {"data_generation": switches, "training": training}
    return {
        "data_generation": {**switches, "copies": 1},
        "training": {**training, "rank": 4, "early_stop": 0.0},
        "evaluation": {"views": 4},
    }


def _array(grid: Grid) -> str:
    """As str() of a numpy array, whatever numpy's print options are: [[0 1]\\n [2 3]]."""
    return "[" + "\n ".join("[" + " ".join(map(str, row)) + "]" for row in grid.tolist()) + "]"


def _rows(grid: Grid) -> str:
    return "\n".join(" ".join(map(str, row)) for row in grid.tolist())


FORMATS: dict[str, Format] = {"compact": Compact(), "seal": Chat()}
