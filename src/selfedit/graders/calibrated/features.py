"""What a careful reader compares: numbers of (question, gold answer, answer) from which a verdict can be predicted."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_CLAIM = re.compile(r"^\W*(?:the answer is|answer|a)\s*[:.]\s*", re.IGNORECASE)
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“])|\n")
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
_ORDINALS = "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth"
WORDS_AS_NUMBERS = {
    **{word: str(number) for number, word in enumerate(_NUMBERS.split())},
    **{word: str(10 * number) for number, word in enumerate(_TENS.split(), start=2)},
    **{word: str(number) for number, word in enumerate(_ORDINALS.split())},
    "once": "1", "twice": "2", "half": "50", "hundred": "100", "dozen": "12", "percent": "%",
}  # fmt: skip
STOP = frozenset(
    "a an the of in on at to for by with from as and or is are was were be been being it its this that these those he "
    "she they them his her their him which who whom whose what when where why how did do does has have had will would "
    "can could may might also into than then there about over under around approximately roughly nearly almost some "
    "most many more less such like up so if any all each other s".split()
)
NEGATIONS = frozenset(
    "no not never none neither nor without cannot nothing nobody didn doesn isn wasn aren don".split()
)
HEDGES = re.compile(
    r"not (?:specified|mentioned|provided|clear|known|given|available|stated)|no (?:information|mention)|unknown|"
    r"i don't|i am not|cannot be|does not (?:provide|mention|specify)|sorry",
    re.IGNORECASE,
)
ASKED = ("who", "when", "where", "how many", "how much", "how", "why", "which", "what")
MONTHS = frozenset("january february march april may june july august september october november december".split())
_SUFFIXES = (
    "ational", "ization", "ations", "ation", "ising", "izing", "ised", "ized", "ities", "ments", "ness", "ment", "ings",
    "isms", "ical", "ists", "ism", "ist", "ity", "ies", "ing", "ers", "ors", "ian", "ese", "ish", "ive", "ous", "ful",
    "est", "ion", "ied", "ed", "er", "or", "es", "ly", "al", "ic", "an", "en", "s", "e", "y", "n",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """A text as a reader sees it: words in lower case without accents, their stems, numbers as digits."""

    raw: tuple[str, ...]
    plain: tuple[str, ...]
    stems: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str]

    @property
    def content(self) -> list[str]:
        """Stems without words that say nothing; all of them if there are no others."""
        kept = [stem for stem, word in zip(self.stems, self.plain, strict=True) if word not in STOP]
        return kept or list(self.stems)


@lru_cache(maxsize=4096)
def read(text: str) -> Words:
    letters = unicodedata.normalize("NFKD", text.replace("%", " percent ").replace("\u2019", "'"))
    letters = "".join(c for c in letters if not unicodedata.combining(c)).replace("'s ", " ")
    raw = tuple(_WORD.findall(letters))
    plain = tuple(_plain(word.lower()) for word in raw)
    numbers = frozenset(word for word in plain if word[0].isdigit())
    names = frozenset(_stem(p) for w, p in zip(raw[1:], plain[1:], strict=True) if w[0].isupper() and p not in STOP)
    return Words(raw, plain, tuple(map(_stem, plain)), numbers, names)


def _plain(word: str) -> str:
    if word[0].isdigit():
        digits = word.replace(",", "")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return WORDS_AS_NUMBERS.get(word, word)


@lru_cache(maxsize=65536)
def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


def claim(answer: str) -> str:
    """The answer proper: what a model says before it goes on to other questions or rambles."""
    text = _CLAIM.sub("", answer.strip())
    text = re.split(r"\n\s*(?:Question|Topic|Q:|Let's|You are|###)", text)[0]
    return text.strip()


def first_sentence(text: str) -> str:
    return _END.split(text, maxsplit=1)[0]


def features(question: str, gold: str, answer: str, rarity: Mapping[str, float]) -> list[float]:
    """One number per name in `NAMES`. `rarity` is the inverse document frequency of stems, in nats."""
    said = claim(answer)
    first = first_sentence(said)
    q, g, whole, head = read(question), read(gold), read(said), read(first)
    values: dict[str, float] = {}
    for name, text, words in (("all", said, whole), ("first", first, head)):
        values |= {f"{name} {key}": value for key, value in _match(q, g, words, gold, text, rarity).items()}
    values |= _shape(question, q, g, whole, head, gold, said, first)
    return [values[name] for name in NAMES]


def _match(q: Words, g: Words, a: Words, gold: str, text: str, rarity: Mapping[str, float]) -> dict[str, float]:
    asked, have = set(q.stems), set(a.stems)
    content = g.content
    new = [stem for stem in content if stem not in asked]
    soft = [_closest(stem, a.stems) for stem in (new or content)]
    extra_numbers = a.numbers - g.numbers - q.numbers
    extra_names = {n for n in a.names if n not in asked and n not in set(g.stems)}
    joined, golden = " ".join(a.plain), " ".join(w for w in g.plain if w not in ("the", "a", "an"))
    parts = [read(part) for part in re.split(r",|;|\band\b|\bor\b|/", gold) if read(part).stems]
    return {
        "contains": float(f" {golden} " in f" {' '.join(w for w in a.plain if w not in ('the', 'a', 'an'))} "),
        "contains stems": float(f" {' '.join(content)} " in f" {' '.join(a.content)} "),
        "recall": _share(content, have, rarity),
        "recall new": _share(new, have, rarity) if new else -1.0,
        "recall plain": sum(s in have for s in content) / max(1, len(content)),
        "missing": sum(rarity.get(s, 8.0) for s in new if s not in have),
        "rarest missing": max([rarity.get(s, 8.0) for s in new if s not in have], default=0.0),
        "found": sum(rarity.get(s, 8.0) for s in new if s in have),
        "soft mean": sum(soft) / max(1, len(soft)),
        "soft least": min(soft, default=0.0),
        "precision": _share([s for s in a.content if s not in asked], set(g.stems), rarity),
        "in order": SequenceMatcher(None, content, a.content, autojunk=False).find_longest_match().size
        / max(1, len(content)),
        "letters": _longest(golden, joined),
        "numbers found": sum(n in a.numbers for n in g.numbers) / len(g.numbers) if g.numbers else -1.0,
        "numbers near": _nearest(g.numbers, a.numbers),
        "other numbers": float(len(extra_numbers)),
        "other years": float(sum(len(n) == 4 for n in extra_numbers)),
        "other months": float(len(MONTHS & (set(a.plain) - set(g.plain) - set(q.plain)))),
        "names found": sum(n in have for n in g.names) / len(g.names) if g.names else -1.0,
        "other names": float(len(extra_names)),
        "least part": min((_share(p.content, have, rarity) for p in parts), default=0.0),
        "part share": sum(_share(p.content, have, rarity) > 0.5 for p in parts) / max(1, len(parts)),
        "negations": float(sum(w in NEGATIONS for w in a.plain) - sum(w in NEGATIONS for w in g.plain)),
        "first hit": _first_hit(new or content, a.stems),
        "last word": float(bool(g.content) and g.content[-1] in have),
        "first word": float(bool(g.content) and g.content[0] in have),
        "pairs": _pairs(g.content, a.content),
        "trigrams": _trigrams(golden, joined),
        "length": math.log1p(len(a.plain)),
        "acronym": _acronym(g, a),
        "months found": _found(g, a, MONTHS),
        "years found": _found(g, a, frozenset(n for n in g.numbers if len(n) == 4)),
        "said anew": float(len([s for s in a.content if s not in asked])),
        "blurred": _trigrams(" ".join(new), " ".join(s for s in a.stems if s not in asked)),
        "echo": sum(s in asked for s in a.content) / max(1, len(a.content)),
        "hedged": float(bool(HEDGES.search(text))),
    }


def _shape(
    question: str, q: Words, g: Words, whole: Words, head: Words, gold: str, said: str, first: str
) -> dict[str, float]:
    lowered = question.lower()
    kinds = [kind in lowered for kind in ASKED]
    yes, no = "yes" in head.plain[:2], "no" in head.plain[:2]
    wants = {"yes": 1.0, "no": -1.0}.get(g.plain[0] if g.plain else "", 0.0)
    return {
        "asked for": float(kinds.index(True) if any(kinds) else len(ASKED)),
        "gold words": math.log1p(len(g.plain)),
        "gold content": float(len(g.content)),
        "gold numbers": float(len(g.numbers)),
        "gold names": float(len(g.names)),
        "gold year": float(any(len(n) == 4 for n in g.numbers)),
        "gold is a number": float(len(g.plain) == len(g.numbers) > 0),
        "gold capital": float(gold[:1].isupper()),
        "gold in question": sum(s in set(q.stems) for s in g.content) / max(1, len(g.content)),
        "gold negations": float(sum(w in NEGATIONS for w in g.plain)),
        "question words": math.log1p(len(q.plain)),
        "sentences": float(len([s for s in _END.split(said) if s.strip()])),
        "cut off": float(not said.rstrip().endswith((".", "!", "?", '"', ")"))),
        "first share": len(first) / max(1, len(said)),
        "yes or no": wants * (float(yes) - float(no)),
        "alike": SequenceMatcher(None, gold.lower(), first.lower()[: 4 * len(gold) + 40], autojunk=False).ratio(),
        "question alike": SequenceMatcher(None, question.lower(), first.lower(), autojunk=False).ratio(),
        "list": float(len(re.findall(r",|\band\b", first))),
        "gold list": float(len(re.findall(r",|\band\b", gold))),
        "other words": float(len([s for s in head.content if s not in set(q.stems) and s not in set(g.stems)])),
        "however": float(any(w in ("but", "however", "although", "rather", "instead") for w in whole.plain)),
    }


def _share(stems: Sequence[str], have: set[str], rarity: Mapping[str, float]) -> float:
    total = sum(rarity.get(stem, 8.0) for stem in stems)
    return sum(rarity.get(stem, 8.0) for stem in stems if stem in have) / total if total else 0.0


def _closest(stem: str, others: Sequence[str]) -> float:
    """Similarity of letters with the most similar word, 0 to 1; digits must agree."""
    if stem in others:
        return 1.0
    if stem[0].isdigit():
        return 0.0
    alike = (o for o in set(others) if o[0] == stem[0] or len(stem) > 5)
    return max((_alike(stem, o) for o in alike if abs(len(o) - len(stem)) <= max(3, len(stem) // 2)), default=0.0)


@lru_cache(maxsize=262144)
def _alike(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()


def _longest(golden: str, text: str) -> float:
    match = SequenceMatcher(None, golden, text, autojunk=False).find_longest_match()
    return match.size / max(1, len(golden))


def _nearest(wanted: frozenset[str], have: frozenset[str]) -> float:
    """How near the nearest number comes, relative to the one that is wanted: 0 is the same; -1 where none is."""
    try:
        pairs = [abs(float(w) - float(h)) / max(1.0, abs(float(w))) for w in wanted for h in have]
    except ValueError:
        return -1.0
    return min(min(pairs), 2.0) if pairs else -1.0


def _first_hit(stems: Sequence[str], have: Sequence[str]) -> float:
    hits = [have.index(stem) for stem in stems if stem in have]
    return min(hits) / max(1, len(have)) if hits else 2.0


def _pairs(first: Sequence[str], second: Sequence[str]) -> float:
    wanted = set(pairwise(first))
    return len(wanted & set(pairwise(second))) / len(wanted) if wanted else -1.0


def _trigrams(wanted: str, text: str) -> float:
    grams = {wanted[i : i + 3] for i in range(len(wanted) - 2)}
    return sum(gram in text for gram in grams) / len(grams) if grams else -1.0


def _found(g: Words, a: Words, kind: frozenset[str]) -> float:
    """The share of the gold answer's words of this kind that are said; -1 where it has none."""
    wanted = kind & set(g.plain)
    return len(wanted & set(a.plain)) / len(wanted) if wanted else -1.0


def _acronym(g: Words, a: Words) -> float:
    def initials(words: Words) -> str:
        return "".join(w[0] for w in words.plain if w not in STOP)

    shortened = any(len(w) > 1 and w.isupper() and w.lower() == initials(g) for w in a.raw)
    spelled = any(len(w) > 1 and w.isupper() and w.lower() in initials(a) for w in g.raw)
    return float(shortened or spelled)


_PROBE = read("probe")
NAMES = tuple(
    [f"{part} {key}" for part in ("all", "first") for key in _match(_PROBE, _PROBE, _PROBE, "probe", "probe", {})]
    + list(_shape("probe", _PROBE, _PROBE, _PROBE, _PROBE, "probe", "probe", "probe"))
)
"""The features, in their order."""
