"""Streams of self-edits, and what is done so that the later ones do not cost the earlier ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfedit.config import ContinualConfig
from selfedit.continual.methods.bank import Bank
from selfedit.continual.methods.chain import MethodChain
from selfedit.continual.methods.consolidate import Consolidate
from selfedit.continual.methods.ewc import Ewc
from selfedit.continual.methods.gate import MEASURES, Gate
from selfedit.continual.methods.olora import OLora
from selfedit.continual.methods.recall import Recall
from selfedit.continual.methods.replay import Replay
from selfedit.continual.methods.self_distill import SelfDistill
from selfedit.continual.methods.sequential import Sequential
from selfedit.errors import InputError
from selfedit.loops.inner import Examiner
from selfedit.protocols import ContinualMethod


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a keeper may be made of."""

    config: ContinualConfig
    examiner: Examiner
    seed: int


METHODS: dict[str, Callable[[MethodContext], ContinualMethod]] = {
    "merge": lambda means: Sequential(),
    "replay": lambda means: Replay(means.config.budget),
    "distil": lambda means: SelfDistill(Recall(means.examiner, means.seed), means.config.budget, means.config.anchors),
    "ortho": lambda means: OLora(means.config.rank),
    "ewc": lambda means: Ewc(means.config.strength),
    "gate": lambda means: Gate(means.examiner, means.config.measure, means.config.most, means.seed),
    "bank": lambda means: Bank(means.config.abstain),
    "consolidate": lambda means: Consolidate(means.config.abstain, means.config.every),
}

APART = ({"bank", "consolidate", "ortho", "ewc", "gate"}, {"bank", "replay"})
"""Of each of these sets a combination has one at most: their ideas of where an edit begins exclude each other."""


def make_method(names: Sequence[str], means: MethodContext) -> MethodChain:
    """The keepers of these names, in this order. Raises InputError for one that is not known and for a clash."""
    unknown = [name for name in names if name not in METHODS]
    if unknown or not names:
        raise InputError(f"continual.keepers has {unknown or 'nothing'} in it; it can list {', '.join(METHODS)}")
    for apart in APART:
        both = [name for name in names if name in apart]
        if len(both) > 1:
            raise InputError(f"{both[0]} and {both[1]} cannot be combined; choose one of {', '.join(sorted(apart))}")
    if means.config.measure not in MEASURES:
        raise InputError(f"continual.measure is {means.config.measure!r}; it can be {', '.join(MEASURES)}")
    return MethodChain(tuple(METHODS[name](means) for name in names))
