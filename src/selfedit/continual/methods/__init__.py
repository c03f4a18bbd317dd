"""Every continual method, and every router, by name. To add one: write its file, add its row; or name it as
`package.module:function` in the config. A row is a function of the context that methods are made in.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from selfedit.config import ContinualConfig
from selfedit.config.renamed import METHODS as RENAMED
from selfedit.continual.methods.bank import Bank
from selfedit.continual.methods.chain import MethodChain
from selfedit.continual.methods.consolidate import Consolidate
from selfedit.continual.methods.ewc import Ewc
from selfedit.continual.methods.gate import MEASURES, Gate
from selfedit.continual.methods.olora import OLora
from selfedit.continual.methods.replay import Replay
from selfedit.continual.methods.self_distill import SelfDistill
from selfedit.continual.methods.sequential import Sequential
from selfedit.continual.recall import Recall
from selfedit.continual.routers import LastUpdate, MostSimilar, SinceConsolidation
from selfedit.errors import InputError
from selfedit.loops.examine import Examiner
from selfedit.plugins import lookup
from selfedit.protocols import ContinualMethod, Router


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a method may be made of."""

    config: ContinualConfig
    examiner: Examiner
    seed: int


MethodFactory = Callable[[MethodContext], ContinualMethod]
RouterFactory = Callable[[MethodContext], Router]

METHODS: dict[str, MethodFactory] = {
    "sequential": lambda context: Sequential(),
    "replay": lambda context: Replay(context.config.replay_budget),
    "self_distill": lambda context: SelfDistill(
        Recall(context.examiner, context.seed), context.config.replay_budget, context.config.recall_texts
    ),
    "olora": lambda context: OLora(context.config.olora_rank),
    "ewc": lambda context: Ewc(context.config.ewc_strength),
    "gate": lambda context: Gate(
        context.examiner, context.config.gate_measure, context.config.gate_max_drop, context.seed
    ),
    "bank": lambda context: Bank(),
    "consolidate": lambda context: Consolidate(context.config.consolidate_every),
}

ROUTERS: dict[str, RouterFactory] = {
    "last": lambda context: LastUpdate(),
    "bank": lambda context: MostSimilar(context.config.min_similarity),
    "consolidate": lambda context: SinceConsolidation(
        MostSimilar(context.config.min_similarity), context.config.consolidate_every
    ),
}
"""A method of the same name brings its router with it; all others have the last update answer."""

EXCLUSIVE = ({"bank", "consolidate", "olora", "ewc", "gate"}, {"bank", "replay"})
"""Of each of these sets a combination has one at most: their ideas of where an edit begins exclude each other."""


def check_methods(config: ContinualConfig) -> None:
    """Raises InputError for a method that is not known, and for a clash."""
    names = config.methods
    if not names:
        raise InputError(f"continual.methods has nothing in it; it can list {', '.join(METHODS)}")
    for name in names:
        if name in RENAMED:
            raise InputError(f"the continual method {name} is called {RENAMED[name]} since version 0.2")
        lookup(METHODS, name, "continual.methods")
    for exclusive in EXCLUSIVE:
        both = [name for name in names if name in exclusive]
        if len(both) > 1:
            raise InputError(
                f"{both[0]} and {both[1]} cannot be combined; choose one of {', '.join(sorted(exclusive))}"
            )
    lookup(ROUTERS, router_name(config), "continual.router")
    if config.gate_measure not in MEASURES:
        raise InputError(f"continual.gate_measure is {config.gate_measure!r}; it can be {', '.join(MEASURES)}")


def router_name(config: ContinualConfig) -> str:
    return config.router or next((name for name in config.methods if name in ROUTERS), "last")


def make_method(names: Sequence[str], context: MethodContext) -> MethodChain:
    """The methods of these names, in this order."""
    return MethodChain(tuple(lookup(METHODS, name, "continual.methods")(context) for name in names))


def make_router(context: MethodContext) -> Router:
    return lookup(ROUTERS, router_name(context.config), "continual.router")(context)
