"""What the embedded model knows by heart: that a town lies in a province, that a trade belongs to a guild.

No passage says it. A question about an entry may ask for the class of a value that its passage states, so that what
follows from a passage is more than its words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from selfedit.worlds.almanac import values as v


@dataclass(frozen=True, slots=True)
class ValuePool:
    """Values that belong together, and the class of each. In the wordings `{x}` is the value and `{v}` its class."""

    classes: tuple[str, ...]
    statement: str
    question: str
    class_of: dict[str, str]


def _pool(name: str, members: Sequence[str], count: int, end: str, statement: str, question: str) -> ValuePool:
    """Classes have invented names with an end of their own: `Torland` is a province, `Velihall` a guild."""
    rng = Random(f"pool-{name}")
    classes = tuple(v.unique(lambda rng: v.root(rng) + end, count, rng))
    of_members = {x: classes[Random(f"{name}-{x}").randrange(count)] for x in members}
    return ValuePool(classes, statement, question, of_members)


POOLS: dict[str, ValuePool] = {
    "province": _pool(
        "province", v.TOWNS, 20, "land", "{x} lies in the province of {v}.", "In which province does {x} lie?"
    ),
    "guild": _pool(
        "guild",
        v.OCCUPATIONS,
        12,
        "hall",
        "the trade of {x} belongs to the guild of {v}.",
        "To which guild does the trade of {x} belong?",
    ),
    "band": _pool(
        "band",
        v.INSTRUMENTS,
        12,
        "band",
        "the {x} is heard in the band of {v}.",
        "In which band is the {x} heard?",
    ),
    "market": _pool(
        "market",
        v.PRODUCTS,
        12,
        "mart",
        "the trade in {x} goes to the market of {v}.",
        "To which market does the trade in {x} go?",
    ),
    "order": _pool(
        "order",
        v.ANIMALS,
        12,
        "order",
        "the {x} is the badge of the order of {v}.",
        "Of which order is the {x} the badge?",
    ),
    "sea": _pool(
        "sea",
        v.RIVERS,
        12,
        "sea",
        "the river {x} flows into the sea of {v}.",
        "Into which sea does the river {x} flow?",
    ),
    "farm": _pool("farm", v.DISHES, 12, "farm", "{x} come from the farms of {v}.", "From which farms do {x} come?"),
    "dock": _pool(
        "dock",
        v.CARGOES,
        12,
        "dock",
        "the dock for {x} is the dock of {v}.",
        "Which dock is the dock for {x}?",
    ),
}

ENTRIES: tuple[tuple[str, str], ...] = tuple((name, x) for name, pool in POOLS.items() for x in pool.class_of)
"""(pool, value) of everything in the gazette."""


def statement(pool: str, x: str) -> str:
    """`Calgevik lies in the province of Talteland.`"""
    text = POOLS[pool].statement.format(x=x, v=POOLS[pool].class_of[x])
    return text[0].upper() + text[1:]


def question(pool: str, x: str) -> str:
    """`In which province does Calgevik lie?`"""
    return POOLS[pool].question.format(x=x)
