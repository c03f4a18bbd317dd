"""Streams of self-edits, and what is done so that the later ones do not cost the earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfedit.config import ContinualConfig
from selfedit.continual.bank import Bank
from selfedit.continual.chain import Chain
from selfedit.continual.consolidate import Consolidate
from selfedit.continual.distil import Distil
from selfedit.continual.ewc import Ewc
from selfedit.continual.gate import MEASURES, Gate
from selfedit.continual.merge import Merge
from selfedit.continual.ortho import Ortho
from selfedit.continual.recall import Recall
from selfedit.continual.replay import Replay
from selfedit.errors import InputError
from selfedit.inner import Examiner
from selfedit.protocols import Keeper


@dataclass(frozen=True, slots=True)
class Means:
    """What a keeper may be made of."""

    config: ContinualConfig
    examiner: Examiner
    seed: int


KEEPERS: dict[str, Callable[[Means], Keeper]] = {
    "merge": lambda means: Merge(),
    "replay": lambda means: Replay(means.config.budget),
    "distil": lambda means: Distil(Recall(means.examiner, means.seed), means.config.budget, means.config.anchors),
    "ortho": lambda means: Ortho(means.config.rank),
    "ewc": lambda means: Ewc(means.config.strength),
    "gate": lambda means: Gate(means.examiner, means.config.measure, means.config.most, means.seed),
    "bank": lambda means: Bank(means.config.abstain),
    "consolidate": lambda means: Consolidate(means.config.abstain, means.config.every),
}

APART = ({"bank", "consolidate", "ortho", "ewc", "gate"}, {"bank", "replay"})
"""Of each of these sets a combination has one at most: their ideas of where an edit begins exclude each other."""


def make_keeper(names: Sequence[str], means: Means) -> Chain:
    """The keepers of these names, in this order. Raises InputError for one that is not known and for a clash."""
    unknown = [name for name in names if name not in KEEPERS]
    if unknown or not names:
        raise InputError(f"continual.keepers has {unknown or 'nothing'} in it; it can list {', '.join(KEEPERS)}")
    for apart in APART:
        both = [name for name in names if name in apart]
        if len(both) > 1:
            raise InputError(f"{both[0]} and {both[1]} cannot be combined; choose one of {', '.join(sorted(apart))}")
    if means.config.measure not in MEASURES:
        raise InputError(f"continual.measure is {means.config.measure!r}; it can be {', '.join(MEASURES)}")
    return Chain(tuple(KEEPERS[name](means) for name in names))
