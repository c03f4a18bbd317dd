"""A text as a reader takes it in: words without their endings, numbers as digits, times as spans of years."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

THESAURUS = Path(__file__).with_name("thesaurus.txt")
"""Words that readers take for one another, a line each. Written by hand, with the training passages in view."""

_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")
_CLAIM = re.compile(r"^\W*(?:the answer is|answer|a)\s*[:.]\s*", re.IGNORECASE)
_NEXT = re.compile(r"\n[^\S\n]*(?:Question|Topic|Q:|Let's|You are|###)")
_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9\"“])|\n")
_UNITS = "one two three four five six seven eight nine".split()
_NUMBERS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_ORDINALS = (
    "zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth "
    "fifteenth sixteenth seventeenth eighteenth nineteenth twentieth"
)
WORDS_AS_NUMBERS = {
    **{word: str(number) for number, word in enumerate(_NUMBERS.split())},
    **{word: str(10 * number) for number, word in enumerate(_TENS, start=2)},
    **{word: str(number) for number, word in enumerate(_ORDINALS.split())},
    "once": "1", "twice": "2", "half": "50", "hundred": "100", "dozen": "12", "percent": "%",
}  # fmt: skip
_COMPOUND = re.compile(rf"\b({'|'.join(_TENS)})[- ]({'|'.join(_UNITS)})\b", re.IGNORECASE)
STOP = frozenset(
    "a an the of in on at to for by with from as and or is are was were be been being it its this that these those he "
    "she they them his her their him which who whom whose what when where why how did do does has have had will would "
    "can could may might also into than then there about over under around approximately roughly nearly almost some "
    "most many more less such like up so if any all each other s".split()
)
_SUFFIXES = (
    "ational", "ization", "ations", "ation", "ising", "izing", "ised", "ized", "ities", "ments", "ness", "ment", "ings",
    "isms", "ical", "ists", "ism", "ist", "ity", "ies", "ing", "ers", "ors", "ian", "ese", "ish", "ive", "ous", "ful",
    "est", "ion", "ied", "ed", "er", "or", "es", "ly", "al", "ic", "an", "en", "s", "e", "y", "n",
)  # fmt: skip
_NAMES_OF_MANY_WORDS = [
    (re.compile(r"\bunited kingdom\b", re.IGNORECASE), "UK"),
    (re.compile(r"\bunited states(?: of america)?\b|\bu\.s\.(?:a\.)?", re.IGNORECASE), "USA"),
    (re.compile(r"\b(?:first world war|world war (?:i|1|one))\b", re.IGNORECASE), "WWI"),
    (re.compile(r"\b(?:second world war|world war (?:ii|2|two))\b", re.IGNORECASE), "WWII"),
    (re.compile(r"\bsoviet union\b", re.IGNORECASE), "USSR"),
]
_AMOUNT = re.compile(
    r"(\d[\d,]*(?:\.\d+)?)[\s-]*(hundred|thousand|million|billion|trillion|dozen|m\b|bn\b|k\b)?", re.IGNORECASE
)
_SCALE = {
    "": 1.0, "dozen": 12.0, "hundred": 1e2, "thousand": 1e3, "k": 1e3, "million": 1e6, "m": 1e6, "billion": 1e9,
    "bn": 1e9, "trillion": 1e12,
}  # fmt: skip
_SPELLED = re.compile(
    rf"\b({'|'.join(sorted({*_NUMBERS.split(), *_TENS, *_ORDINALS.split()} - {'second', 'third'}, key=len)[::-1])})\b",
    re.IGNORECASE,
)
_SHARE = [(re.compile(r"\bhalf\b", re.IGNORECASE), "50"), (re.compile(r"\bquarter\b", re.IGNORECASE), "25")]
_A_MILLION = re.compile(r"\ba (?=hundred|thousand|million|billion)", re.IGNORECASE)
_CENTURY = re.compile(r"\b(\d{1,2}) (?:st |nd |rd |th )?(?:and \d+ (?:th )?)?(?:century|centuries)\b")
_YEAR = re.compile(r"\b(\d{3,4})( s)?\b")


@dataclass(frozen=True, slots=True)
class WordList:
    """A text as a reader sees it: words in lower case without accents, what they mean, numbers as digits."""

    raw: tuple[str, ...]
    plain: tuple[str, ...]
    stems: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str]
    content: tuple[str, ...]
    """Stems without words that say nothing; all of them if there are no others."""


@lru_cache(maxsize=4096)
def read(text: str) -> WordList:
    letters = unicodedata.normalize("NFKD", text.replace("%", " percent ").replace("\u2019", "'"))
    letters = "".join(c for c in letters if not unicodedata.combining(c)).replace("'s ", " ")
    letters = _COMPOUND.sub(_compound, letters)
    for pattern, name in _NAMES_OF_MANY_WORDS:
        letters = pattern.sub(name, letters)
    raw = tuple(_WORD.findall(letters))
    plain = tuple(_plain(word.lower()) for word in raw)
    stems = tuple(map(meaning, plain))
    numbers = frozenset(word for word in plain if word[0].isdigit())
    names = frozenset(
        s for w, p, s in zip(raw[1:], plain[1:], stems[1:], strict=True) if w[0].isupper() and p not in STOP
    )
    content = tuple(stem for stem, word in zip(stems, plain, strict=True) if word not in STOP)
    return WordList(raw, plain, stems, numbers, names, content or stems)


def _compound(found: re.Match[str]) -> str:
    """twenty-five -> 25"""
    return str(10 * (_TENS.index(found[1].lower()) + 2) + _UNITS.index(found[2].lower()) + 1)


def _plain(word: str) -> str:
    if word[0].isdigit():
        digits = word.replace(",", "")
        return digits.rstrip("0").rstrip(".") if "." in digits else digits
    return WORDS_AS_NUMBERS.get(word, word)


@lru_cache(maxsize=65536)
def meaning(word: str) -> str:
    """The word without its ending; of words that the thesaurus joins, that of the first."""
    return _thesaurus().get(_stem(word), _stem(word))


def _stem(word: str) -> str:
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word[: -len(suffix)]
    return word


@cache
def _thesaurus() -> dict[str, str]:
    same: dict[str, str] = {}
    for line in THESAURUS.read_text(encoding="utf-8").splitlines():
        stems = [_stem(_plain(word)) for word in line.split()]
        first = same.get(stems[0], stems[0])
        for stem in stems:
            same.setdefault(stem, first)
    return same


def claim(answer: str) -> str:
    """The answer proper: what a model says before it goes on to other questions or rambles."""
    return _NEXT.split(_CLAIM.sub("", answer.strip()))[0].strip()


def sentences(text: str) -> list[str]:
    return [sentence for sentence in _END.split(text) if sentence.strip()]


@lru_cache(maxsize=4096)
def amounts(text: str) -> frozenset[float]:
    """The numbers of a text, in digits or words and with their scale: "1.4 million" and "1,400,000" are the same."""
    text = _SPELLED.sub(lambda found: WORDS_AS_NUMBERS[found[1].lower()], _COMPOUND.sub(_compound, text))
    for pattern, share in _SHARE:
        text = pattern.sub(share, text)
    text = _A_MILLION.sub("1 ", text)
    found = _AMOUNT.findall(text)
    return frozenset(float(digits.replace(",", "")) * _SCALE[scale.lower()] for digits, scale in found)


@lru_cache(maxsize=4096)
def periods(words: WordList) -> frozenset[tuple[int, int]]:
    """The times in a text as (first year, last year): the 1640s are (1640, 1649), the 17th century (1601, 1700)."""
    text = " ".join(words.plain)
    centuries = {(100 * int(number) - 99, 100 * int(number)) for number in _CENTURY.findall(text)}
    years = {(int(year), int(year) + (9 if more else 0)) for year, more in _YEAR.findall(text)}
    return frozenset(centuries | years)
