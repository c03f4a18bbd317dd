"""What a careful reader compares: numbers of (question, gold answer, answer) from which a verdict can be predicted."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from difflib import SequenceMatcher

from selfedit.graders.calibrated.alike import (
    UNKNOWN,
    Rarity,
    closest,
    in_order,
    longest,
    pairs,
    share,
    trigrams,
    weight,
)
from selfedit.graders.calibrated.place import NEGATIONS, place
from selfedit.graders.calibrated.reading import WordList, claim, read, sentences

ASKED = ("who", "when", "where", "how many", "how much", "how", "why", "which", "what")
VERBS = frozenset("is are was were do does did can has have had will would".split())
APPROXIMATE = frozenset("about approximately around roughly nearly almost estimated circa some close".split())
ARTICLES = frozenset(("the", "a", "an"))
_AND = re.compile(r",|\band\b")
_PARTS = re.compile(r",|;|\band\b|\bor\b|/")
_ASIDE = re.compile(r"(?:(?<!\s)\s+)?\([^)]*\)?")
_RAMBLE = re.compile(r"\n[^\S\n]*(?:Q:|Question|Topic|Answer|Passage)")


def features(question: str, gold: str, answer: str, rarity: Rarity) -> list[float]:
    """One number per name in `NAMES`. `rarity` is the inverse document frequency of stems, in nats."""
    return list(_named(question, gold, answer, rarity).values())


def _named(question: str, gold: str, answer: str, rarity: Rarity) -> dict[str, float]:
    said = claim(answer)
    split = sentences(said)
    first = split[0] if split else ""
    q, g, whole, head = read(question), read(gold), read(said), read(first)
    of_whole = _match(q, g, whole, gold, said, rarity) | place(q, g, whole, question, gold, said, rarity)
    of_first = of_whole  # most answers are one sentence
    if first != said:
        of_first = _match(q, g, head, gold, first, rarity) | place(q, g, head, question, gold, first, rarity)
    return {
        **{f"all {key}": value for key, value in of_whole.items()},
        **{f"first {key}": value for key, value in of_first.items()},
        **_gold(q, g, gold),
        **_shape(question, q, g, whole, head, gold, answer, split),
    }


def _match(q: WordList, g: WordList, a: WordList, gold: str, text: str, rarity: Rarity) -> dict[str, float]:
    have = set(a.stems)
    new = [stem for stem in g.content if stem not in q.stems]
    lacking = [rarity.get(stem, UNKNOWN) for stem in new if stem not in have]
    soft = [closest(stem, have) for stem in (new or g.content)]
    joined, golden = (" ".join(word for word in w.plain if word not in ARTICLES) for w in (a, g))
    parts = [share(read(part).content, have, rarity) for part in _PARTS.split(gold) if read(part).stems]
    anew = [stem for stem in a.content if stem not in q.stems]
    numbers = a.numbers - g.numbers - q.numbers
    places = [a.stems.index(stem) for stem in (new or g.content) if stem in have]
    return {
        "contains": float(f" {golden} " in f" {joined} "),
        "contains stems": float(f" {' '.join(g.content)} " in f" {' '.join(a.content)} "),
        "recall": share(g.content, have, rarity),
        "recall new": share(new, have, rarity) if new else -1.0,
        "recall plain": sum(stem in have for stem in g.content) / max(1, len(g.content)),
        "recall without asides": share(read(_ASIDE.sub("", gold)).content or g.content, have, rarity),
        "missing": sum(lacking),
        "rarest missing": max(lacking, default=0.0),
        "found": weight([stem for stem in new if stem in have], rarity),
        "soft mean": sum(soft) / max(1, len(soft)),
        "soft least": min(soft, default=0.0),
        "precision": share(anew, g.stems, rarity),
        "in order": in_order(g.content, a.content),
        "letters": longest(golden, joined),
        "numbers found": len(g.numbers & a.numbers) / len(g.numbers) if g.numbers else -1.0,
        "other numbers": float(len(numbers)),
        "other years": float(sum(len(number) == 4 for number in numbers)),
        "names found": len(g.names & have) / len(g.names) if g.names else -1.0,
        "other names": float(len(a.names.difference(q.stems, g.stems))),
        "least part": min(parts, default=0.0),
        "part share": sum(part > 0.5 for part in parts) / max(1, len(parts)),
        "negations": float(_negations(a) - _negations(g)),
        "first hit": min(places) / len(a.stems) if places else 2.0,
        "last word": float(bool(g.content) and g.content[-1] in have),
        "first word": float(bool(g.content) and g.content[0] in have),
        "pairs": pairs(g.content, a.content),
        "trigrams": trigrams(golden, joined),
        "blurred": trigrams(" ".join(new), " ".join(stem for stem in a.stems if stem not in q.stems)),
        "length": math.log1p(len(a.plain)),
        "said anew": float(len(anew)),
        "echo": sum(stem in q.stems for stem in a.content) / max(1, len(a.content)),
    }


def _gold(q: WordList, g: WordList, gold: str) -> dict[str, float]:
    return {
        "gold is a number": float(len(g.plain) == len(g.numbers) > 0),
        "gold capital": float(gold[:1].isupper()),
        "gold in question": sum(stem in q.stems for stem in g.content) / max(1, len(g.content)),
        "gold negations": float(_negations(g)),
        "gold list": float(len(_AND.findall(gold))),
        "gold clause": float(not VERBS.isdisjoint(g.plain)),
        "gold approximate": float(not APPROXIMATE.isdisjoint(g.plain)),
    }


def _shape(
    question: str,
    q: WordList,
    g: WordList,
    whole: WordList,
    head: WordList,
    gold: str,
    answer: str,
    split: Sequence[str],
) -> dict[str, float]:
    lowered, said, first = question.lower(), claim(answer), split[0] if split else ""
    kinds = [kind in lowered for kind in ASKED]
    return {
        "asked for": float(kinds.index(True) if any(kinds) else len(ASKED)),
        "asked yes or no": float(not VERBS.isdisjoint(q.plain[:1])),
        "sentences": float(len(split)),
        "first share": len(first) / max(1, len(said)),
        "yes": float("yes" in head.plain[:2]),
        "no": float("no" in head.plain[:2]),
        "alike": SequenceMatcher(None, gold.lower(), first.lower()[: 4 * len(gold) + 40], autojunk=False).ratio(),
        "list": float(len(_AND.findall(first))),
        "approximate": float(not APPROXIMATE.isdisjoint(head.plain)),
        "however": float(not {"but", "however", "although", "rather", "instead"}.isdisjoint(whole.plain)),
        "distinct words": len(set(whole.plain)) / max(1, len(whole.plain)),
        "rambles": float(bool(_RAMBLE.search(answer))),
        "english letters": len(re.findall(r"[A-Za-z0-9 ]", said)) / max(1, len(said)),
    }


def _negations(words: WordList) -> int:
    return sum(word in NEGATIONS for word in words.plain)


NAMES = tuple(_named("probe", "probe", "probe", {}))
"""The features, in their order."""
