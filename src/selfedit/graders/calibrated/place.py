"""Where in the answer the gold answer stands, what stands around it, and whether the answer says otherwise."""

from __future__ import annotations

from collections.abc import Sequence

from selfedit.graders.calibrated.alike import UNKNOWN, Rarity, closest, off_by, share, squeezed, weight
from selfedit.graders.calibrated.reading import STOP, WordList, amounts, periods

NEGATIONS = frozenset(
    "no not never none neither nor without cannot nothing nobody didn doesn isn wasn aren don".split()
)
_PREPOSITIONS = frozenset("of in for to by from at on with".split())
_QUALIFIERS = {
    name: frozenset(words.split())
    for name, words in {
        "more": "more over above exceed exceeding least greater plus beyond upwards minimum",
        "less": "less fewer under below lower most maximum",
        "after": "after following since from later beginning starting",
        "before": "before prior until till earlier by preceding",
        "late": "late end later",
        "early": "early beginning start first",
        "middle": "mid middle",
        "all": "all every entire whole always each both everyone everything completely fully only solely exclusively",
        "some": "some many several most partly partially sometimes often usually part few",
        "north": "north northern northeast northwest",
        "south": "south southern southeast southwest",
        "east": "east eastern northeast southeast",
        "west": "west western northwest southwest",
        "up": "increase increased increases increasing rise rose risen rising grow grew higher gain more high",
        "down": "decrease decreased decreases decreasing decline declined fall fell fallen reduced reduce lower drop",
        "most": "largest biggest highest greatest longest oldest strongest best most",
        "least": "smallest lowest least shortest youngest weakest worst fewest",
    }.items()
}


def place(
    q: WordList, g: WordList, a: WordList, question: str, gold: str, text: str, rarity: Rarity
) -> dict[str, float]:
    """`a` holds the words of `text`, the answer or its first sentence."""
    new = [stem for stem in g.content if stem not in q.stems] or list(g.content)
    return {
        **_around(q, g, a, new, rarity),
        **_asked(q, g, a, rarity),
        **_qualified(q, g, a),
        **_amounts(question, gold, text),
        **_times(q, g, a),
        **_missing(q, g, a, new, rarity),
        "squeezed": float(squeezed(gold) in squeezed(text)),
    }


def _around(q: WordList, g: WordList, a: WordList, new: Sequence[str], rarity: Rarity) -> dict[str, float]:
    wanted, asked = set(new), set(q.content) - set(g.stems)
    hits = [place for place, stem in enumerate(a.stems) if stem in wanted]
    others = [place for place, stem in enumerate(a.stems) if stem in asked]
    both = bool(hits and others)
    width = len(g.stems) + 2
    return {
        "after asked": (sum(hits) / len(hits) - sum(others) / len(others)) / len(a.stems) if both else 0.0,
        "asked first": sum(place < hits[0] for place in others) / len(others) if both else -1.0,
        "first place": float(hits[0]) if hits else -1.0,
        "spread": (hits[-1] - hits[0] + 1) / max(1, len(new)) if hits else -1.0,
        "together": max((share(new, a.stems[hit : hit + width], rarity) for hit in hits), default=0.0),
        "word before": _sort(a.plain[hits[0] - 1]) if hits and hits[0] else 0.0,
        "word after": _sort(a.plain[hits[-1] + 1]) if hits and hits[-1] + 1 < len(a.plain) else 0.0,
    }


def _sort(word: str) -> float:
    sorts = (("and", "or"), NEGATIONS, _PREPOSITIONS, STOP)
    return float(next((n for n, words in enumerate(sorts, start=1) if word in words), 6 - word[0].isdigit()))


def _asked(q: WordList, g: WordList, a: WordList, rarity: Rarity) -> dict[str, float]:
    asked = [stem for stem in q.content if stem not in g.stems]
    return {
        "asked said": share(asked, a.stems, rarity),
        "rarest asked missing": max((rarity.get(s, UNKNOWN) for s in asked if s not in a.stems), default=0.0),
        "asked names missing": float(len(q.names.difference(a.stems))),
        "asked numbers missing": float(len(q.numbers - a.numbers)),
    }


def _qualified(q: WordList, g: WordList, a: WordList) -> dict[str, float]:
    gold, said, asked = ({n for n, kind in _QUALIFIERS.items() if not kind.isdisjoint(w.plain)} for w in (g, a, q))
    return {
        "qualifiers missing": float(len(gold - said)),
        "qualifiers extra": float(len(said - gold - asked)),
    }


def _amounts(question: str, gold: str, text: str) -> dict[str, float]:
    wanted, said = amounts(gold), amounts(text)
    return {
        "amount off": off_by(wanted, said),
        "amounts said": len(wanted & said) / len(wanted) if wanted else -1.0,
        "amounts extra": float(len(said - wanted - amounts(question))),
    }


def _times(q: WordList, g: WordList, a: WordList) -> dict[str, float]:
    wanted, said = periods(g), periods(a) - periods(q)
    inside = [any(w[0] <= s[0] and s[1] <= w[1] for s in said) for w in wanted]
    touching = [any(w[0] <= s[1] and s[0] <= w[1] for s in said) for w in wanted]
    outside = [s for s in said if all(s[1] < w[0] or w[1] < s[0] for w in wanted)]
    return {
        "times inside": sum(inside) / len(wanted) if wanted else -1.0,
        "times touching": sum(touching) / len(wanted) if wanted else -1.0,
        "times outside": float(len(outside)) if wanted else -1.0,
    }


def _missing(q: WordList, g: WordList, a: WordList, new: Sequence[str], rarity: Rarity) -> dict[str, float]:
    missing = [stem for stem in new if stem not in a.stems]
    written = [word[0] for word, stem in zip(g.raw, g.stems, strict=True) if stem in missing]
    extra = [stem for stem in a.content if stem not in q.stems and stem not in g.stems]
    have = set(a.stems)
    return {
        "missing words": float(len(missing)),
        "missing names": float(sum(letter.isupper() for letter in written)),
        "missing lower": float(sum(letter.islower() for letter in written)),
        "missing digits": float(sum(letter.isdigit() for letter in written)),
        "missing alike": sum(closest(stem, have) for stem in missing) / len(missing) if missing else 1.0,
        "extra": weight(extra, rarity),
        "extra per word": len(set(extra)) / max(1, len(set(new))),
    }
