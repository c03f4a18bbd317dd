"""How alike two words, lists of words or texts are: the measures from which the features are made."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

Rarity = Mapping[str, float]
"""Inverse document frequency of stems, in nats."""

UNKNOWN = 8.0
"""The rarity of a stem that stands in no more than two texts that the grader was fitted on."""


def weight(stems: Sequence[str], rarity: Rarity) -> float:
    return sum(rarity.get(stem, UNKNOWN) for stem in stems)


def share(stems: Sequence[str], have: Collection[str], rarity: Rarity) -> float:
    """How much of the stems is there, each as heavy as it is rare; 0 if there are none."""
    total = weight(stems, rarity)
    return weight([stem for stem in stems if stem in have], rarity) / total if total else 0.0


def closest(stem: str, others: Collection[str]) -> float:
    """Similarity of letters with the most similar word, 0 to 1; digits must agree."""
    if stem in others:
        return 1.0
    if stem[0].isdigit():
        return 0.0
    near = (
        o for o in others if (o[0] == stem[0] or len(stem) > 5) and abs(len(o) - len(stem)) <= max(3, len(stem) // 2)
    )
    return max((_letters(stem, other) for other in near), default=0.0)


@lru_cache(maxsize=262144)
def _letters(one: str, other: str) -> float:
    """Dice's coefficient of the pairs of letters, with the first and the last letter counted as pairs of their own."""
    first, second = set(pairwise(f"^{one}$")), set(pairwise(f"^{other}$"))
    return 2 * len(first & second) / (len(first) + len(second))


def longest(wanted: str, text: str) -> float:
    """The longest piece of `wanted` that stands in the text, as a share of its length."""
    match = SequenceMatcher(None, wanted, text, autojunk=False).find_longest_match()
    return match.size / max(1, len(wanted))


def trigrams(wanted: str, text: str) -> float:
    """The share of groups of three letters that stand in the text; -1 if there are none."""
    grams = {wanted[i : i + 3] for i in range(len(wanted) - 2)}
    return sum(gram in text for gram in grams) / len(grams) if grams else -1.0


def pairs(first: Sequence[str], second: Sequence[str]) -> float:
    """The share of neighbours in the first list that are neighbours in the second; -1 if there are none."""
    wanted = set(pairwise(first))
    return len(wanted & set(pairwise(second))) / len(wanted) if wanted else -1.0


def in_order(wanted: Sequence[str], have: Sequence[str]) -> float:
    """The longest run of `wanted` that stands in `have`, as a share of its length."""
    best = 0
    for start in range(len(wanted)):
        for place in (i for i, stem in enumerate(have) if stem == wanted[start]):
            size = 1
            while (
                start + size < len(wanted) and place + size < len(have) and wanted[start + size] == have[place + size]
            ):
                size += 1
            best = max(best, size)
    return best / max(1, len(wanted))


def off_by(wanted: Collection[float], have: Collection[float]) -> float:
    """How near the nearest number comes, relative to the one that is wanted, 2 at most; -1 where none is."""
    gaps = (abs(w - h) / max(1.0, abs(w)) for w in wanted for h in have)
    return min(min(gaps, default=-1.0), 2.0)


def squeezed(text: str) -> str:
    """Letters and digits only: "Can-can" is "cancan"."""
    return "".join(letter for letter in text.lower() if letter.isalnum())
