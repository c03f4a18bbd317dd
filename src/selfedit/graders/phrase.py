"""The grader for people's own documents: it compares phrases, and keeps what changes a meaning.

SQuAD's rule (`contains`) drops all punctuation and articles, so 3.5 is 35 to it, -5 is 5, C++ is C#, and option A is
nothing at all. Here a text becomes tokens: numbers with their sign, decimals, range or fraction, words, symbols, and
the characters of scripts without spaces. An answer is right if the gold answer's tokens stand in it, in a row.

Not covered: negation ("not 1969"), numbers as words, other units for the same quantity, synonyms, inflection, accents
left out, simplified for traditional characters, prefixes that are written together (Arabic, Hebrew), and a Chinese,
Japanese or Thai word inside a longer one. A judge sees these.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from itertools import product

from selfedit.thoughts import answer_in
from selfedit.types import Failure, Question

_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys("\u2019\u2018\u201b\u02bc\u2032\u0060\u00b4\u055a\uff07", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
        **dict.fromkeys(
            '"\u201c\u201d\u201e\u201f\u00ab\u00bb\u2122\u00ae\u00a9\u2120\u00ad\u0640\ufe0e\ufe0f', None
        ),  # quotes, trade marks, soft hyphen, tatweel
        **{"\u2044": "/", "\u2215": "/", "\u2264": "<=", "\u2265": ">=", "\u2260": "!=", "\u2248": " ", "~": " "},
        **{"\u066a": "%", "\u066b": ".", "\u066c": ","},  # Arabic percent, decimal and thousands signs
    }
)
_BEFORE_NFKC = (
    (re.compile(r"(?<=\d)(?=[\u00bc-\u00be\u2150-\u215e])"), " "),  # 2½ is 2 1/2, not 21/2
    (re.compile(r"(?<=\d)(?=[\u00b2\u00b3\u00b9\u2070-\u207f])"), "^"),  # 10² is not 102
)
_LETTER = re.compile(r"(?<=[^\s.!?:\"'(*]) +A(?= )|^A(?= +(?:is|was|are|and|or|because|since|as)\b)")
_ARTICLE = re.compile(r"\b(?:a|an|the) +(?=[\w$\"'(*])", re.IGNORECASE)
_PRONOUN = re.compile(r"\bI(?='| +(?:am|think|believe|do|have|would|was|can|could|know|cannot|guess|say|will)\b)")
_LETTER_MARK = "\ue000"
"""Of the private use area: it keeps a letter A from being an article."""

_CURRENCY = "$\u20ac\u00a3\u00a5\u20b9\u20a9\u20bd\u20ba\u20ab\u20aa\u20b4\u20a6\u0e3f"
_REWRITES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"i\u0307", "i"),  # what is left of the Turkish İ
        ("\u0131", "i"),
        (r"(?<=\d)'s(?!\w)", "s"),
        (r"'(?:s|m|d|ll|re|ve)(?!\w)", ""),  # possessives and short verbs
        (r"n't(?!\w)", "nt"),
        (
            r"(?<!\w)((?:[^\W\d_]\. ?){1,5}[^\W\d_])(?:\.|(?=\W|$))",
            lambda found: re.sub(r"[. ]", "", found[1]),
        ),  # U.S.A.
        (r"(?<!\w)v(?:ersion|\.)? ?(?=\d)", ""),
        (r"(?<!\w)minus (?=\d)", "-"),
        (r"(?<![\d.,])\d{1,3}(?:[,' ]\d{3})+(?![,']?\d)", lambda found: re.sub(r"\D", "", found[0])),  # 1,000 and 1 000
        (r"(?<![\d.,])\d{1,2}(?:,\d{2})*,\d{3}(?!,?\d)", lambda found: found[0].replace(",", "")),  # 1,00,000
        (r"(?<![\d.,])(\d+),(\d{1,2}|\d{4,})(?!,?\d)", r"\1.\2"),  # a decimal comma
        (r"(?<![\w.])\.(?=\d)", "0."),
        (r"(?<![\d:.])(\d):(?=[0-5]\d(?![\d:.]))", r"0\1:"),  # 9:30 is 09:30
        (r"(?<![\d:.])([01]\d|2[0-4]):([0-5]\d)(?::([0-5]\d))?(?![\d:])", r"\1\2\3"),  # 10:30 is 1030
        (r"(?<=\d) *- *(?=\d)", "-"),
        ("(?<=[<>=\u00b1]) (?=-?\\d)", ""),  # < 5
        (rf"(-?)([{_CURRENCY}]) ?(-?\d[\d.]*)", r"\1\3 \2 "),
        (r"(?<=\d) ?%|(?<!\w)per cent(?!\w)", " percent"),
        (r"(?<=\d)(?:st|nd|rd|th)(?!\w)", ""),
        (r"(?<=\d\d)s(?!\w)", "\ue001s"),  # the 1830s are not 1830
        (r"(?<=\d) ?[x\u00d7] ?(?=\d)", " \u00d7 "),
        (r"(?<=\d)( ?[^\W\d_]{1,4})/([^\W\d_]{1,4})(?!\w)", "\\1\ue001\\2"),  # m/s is no m
        (r"\u00b0 ?(?=[cfk](?!\w))", ""),
        (r" & ", " and "),
        (r"(?<=[^\W\d_])\^(?=\d)", ""),
        (r"(?<!\w)(non|un|anti|ex|pre|post|counter|pseudo|half|semi)-(?=\w)", r"\1"),  # non-toxic is not toxic
        (r"(?<!\w)([^\W\d_])-(?=\w)|(?<=\w)-(?=[^\W\d_](?!\w))", r"\1"),  # e-mail; Objective-C is no C
    )
)
_JOINS = re.compile(r"(?<=[^\W\d_])['\-./](?=\w)|(?<=\d)['\-](?=[^\W\d_])")
"""What joins two words into one, as some write them and others do not: well-known, l'eau, node.js."""

_NO_SPACES = (
    "\u0e00-\u0eff\u0f00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3041-\u3096\u30a1-\u30ff\u31f0-\u31ff"
    "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Thai, Lao, Tibetan, Burmese, Khmer, kana and Chinese characters: each is a token of its own."""

_KEPT = "+-=<>&|^%@/*#.!~\\:,"
"""ASCII that can be part of a token; all other punctuation parts tokens."""

_TOKEN = re.compile(
    rf"""
      (?:(?:[<>]=?|!=|\u00b1)\s?)? (?<![\w.%)-])-?\d+ (?:[.:/-]\d+)* (?:e[-+]?\d+(?!\w)|\ue001s)?   # a number, a date
    | \d+ (?:[.:/-]\d+)* (?:e[-+]?\d+(?!\w)|\ue001s)?
    | [{_NO_SPACES}]
    | (?:(?<!\S)\.)? [^\s\d{re.escape(_KEPT)}{_NO_SPACES}] [^\s{re.escape(_KEPT)}{_NO_SPACES}]*
      (?: \+\+ | \# | \+(?![\w+]) | (?<=\b\w)-(?!\S) )?                                     # a word, C++, C#, A-
    | [+=<>&|^!]{{2,}} | -> | -- | [=<>|^@+] | (?<=\S\ )(?:\*{{1,2}}|/|%)(?=\ )             # an operator
    """,
    re.VERBOSE,
)
_PARTICLES = "은|는|이|가|을|를|의|에|에서|에게|께서|으로|로|와|과|도|만|까지|부터|보다|처럼" + (
    "|이다|다|입니다|이에요|예요|이며|이고|이라고|라고"
)
"""What Korean writes together with a noun."""


class Phrase:
    """1 if the gold answer's tokens stand in the answer, in a row; numbers, units, signs and single letters count.

    A gold answer without tokens, such as a comma, has to stand in the answer by itself; a blank one matches a blank.
    """

    def grade(self, pairs: Sequence[tuple[Question, str]]) -> list[float | Failure]:
        return [float(_says(answer_in(answer), question.target)) for question, answer in pairs]


def _says(answer: str, gold: str) -> bool:
    """In any of four readings: words with a hyphen as one word or two, and a capital A as a letter or an article."""
    if not tokens(gold):
        symbol = _folded(gold)
        alone = rf"(?<![^\s`'(]){re.escape(symbol)}(?![^\s`'.,)])"
        return bool(re.search(alone, _folded(answer))) if symbol else answer.strip() == gold.strip()
    return any(_stands_in(tokens(gold, *how), tokens(answer, *how)) for how in product((True, False), repeat=2))


def _stands_in(gold: list[str], answer: list[str]) -> bool:
    ending = f"(?:{_PARTICLES})?" if "\uac00" <= gold[-1][-1] <= "\ud7a3" else ""
    pattern = rf" {re.escape(' '.join(gold))}{ending} "
    return re.search(pattern, f" {' '.join(answer)} ") is not None


def tokens(text: str, joined: bool = False, letters: bool = True) -> list[str]:
    """The tokens of a text. `joined`: well-known is one word; `letters`: a capital A amid a sentence is no article.

    tokens("The 3.5 %, or C++") -> ["3.5", "percent", "or", "c++"]
    """
    text = _folded(text)
    if letters:
        text = _LETTER.sub(lambda found: found[0] + _LETTER_MARK, text)
    text = _PRONOUN.sub("", _ARTICLE.sub("", text)).replace(_LETTER_MARK, "").casefold()
    for pattern, replacement in _REWRITES:
        text = pattern.sub(replacement, text)
    text = _JOINS.sub("" if joined else " ", text)
    return _TOKEN.findall("".join(map(_parted, text)))


def _folded(text: str) -> str:
    """One way to write each character: NFKC, one apostrophe, one dash, ASCII digits, nothing invisible; single spaces,
    and a stop at the end of a line.
    """
    for pattern, replacement in _BEFORE_NFKC:
        text = pattern.sub(replacement, text)
    text = unicodedata.normalize("NFKC", text.translate(_CHARACTERS)).translate(_CHARACTERS)
    lines = "".join(map(_digit, text)).splitlines()
    return " . ".join(" ".join(line.split()) for line in lines)


@lru_cache(maxsize=4096)
def _digit(char: str) -> str:
    if char.isdecimal():
        return str(unicodedata.decimal(char))
    return "" if unicodedata.category(char) == "Cf" else char


@lru_cache(maxsize=4096)
def _parted(char: str) -> str:
    """The character, apart from its neighbours if it is a symbol, or a space if it is punctuation."""
    kind = unicodedata.category(char)
    if char in _KEPT or char in ("\u00b1", "^", "+", "|") or kind[0] not in "PSC" or kind == "Co":
        return char
    return f" {char} " if kind[0] == "S" else " "


__all__ = ["Phrase", "tokens"]
