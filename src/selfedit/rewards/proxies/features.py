"""What can be seen of a self-edit without trying it: how much of the passage it says, how often, and in what style."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from statistics import fmean, pstdev

_WORD = re.compile(r"\d[\d,.]*\d|\d|[^\W\d_]+")
_NAME = re.compile(r"(?<![.!?]\s)(?<!^)\b[A-Z][a-z]+")
_SENTENCE = re.compile(r"(?<=[.!?])\s")
_HEDGE = re.compile(r"\b(?:may|might|could|suggests?|impl(?:y|ies)|likely|would|should|indicates?)\b")
_JUNK = re.compile(r"http|www|Passage:|Human:|Assistant:|```|Sources?:")
_STOP = frozenset(
    "a an the of in on at to for by with from as and or is are was were be been being it its this that these those he "
    "she they his her their which who whom what when where why how did do does has have had will would can could may "
    "might also into than then there about s not but".split()
)
_PRONOUNS = frozenset("it he she they this these".split())


def words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


def features(title: str, passage: str, text: str, documents: Sequence[str]) -> dict[str, float]:
    """Numbers by name. `documents` are the edit's, without titles and without the passage itself."""
    lines = [words(document) for document in documents]
    return {
        **_size(words(passage), lines),
        **_coverage(title, passage, lines),
        **_repetition(lines),
        **_style(title, passage, text, documents, lines),
    }


def _size(passage: list[str], lines: Sequence[list[str]]) -> dict[str, float]:
    lengths = [len(line) for line in lines] or [0]
    return {
        "documents": math.log1p(len(lines)),
        "length": math.log1p(sum(lengths)),
        "mean length": math.log1p(fmean(lengths)),
        "longest": float(max(lengths)),
        "spread of lengths": pstdev(lengths),
        "beside the passage": math.log(max(1, sum(lengths)) / max(1, len(passage))),
        "short lines": fmean(length < 5 for length in lengths),
    }


def _coverage(title: str, passage: str, lines: Sequence[list[str]]) -> dict[str, float]:
    """Shares of the passage that are said, and of what is said that is not in it."""
    source, said = words(passage), [word for line in lines for word in line]
    known, have = set(source), set(said)
    content = known - _STOP
    names = {name.lower() for name in _NAME.findall(passage)}
    numbers = {word for word in known if word[0].isdigit()}
    sentences = [set(words(sentence)) - _STOP for sentence in _SENTENCE.split(passage)]
    by_sentence = [_share(sentence, have) for sentence in sentences if sentence] or [0.0]
    times = [sum(word in set(line) for line in lines) for word in content] or [0]
    new = [word for word in said if word not in known and word not in _STOP and word not in set(words(title))]
    pairs = set(zip(source, source[1:], strict=False))
    return {
        "content": _share(content, have),
        "numbers": _share(numbers, have) if numbers else 0.5,
        "names": _share(names, have) if names else 0.5,
        "sentences": fmean(by_sentence),
        "least sentence": min(by_sentence),
        "times": math.log1p(fmean(times)),
        "twice": fmean(count >= 2 for count in times),
        "new words": len(new) / max(1, len(said)),
        "different new words": math.log1p(len(set(new))),
        "new numbers": sum(word[0].isdigit() for word in new) / max(1, len(lines)),
        "copied": fmean([pair in pairs for line in lines for pair in zip(line, line[1:], strict=False)] or [0.0]),
        "from the passage": fmean([_share(set(line), known) for line in lines] or [0.0]),
    }


def _repetition(lines: Sequence[list[str]]) -> dict[str, float]:
    counts = Counter(map(tuple, lines))
    some = [set(line) for line in lines[:30]]
    alike = [len(a & b) / max(1, len(a | b)) for i, a in enumerate(some) for b in some[i + 1 :]]
    return {"repeated": 1 - len(counts) / max(1, len(lines)), "alike": fmean(alike or [0.0])}


def _style(
    title: str, passage: str, text: str, documents: Sequence[str], lines: Sequence[list[str]]
) -> dict[str, float]:
    subject = set(words(title)) - _STOP
    many = max(1, len(documents))
    return {
        "begins with a pronoun": sum(line[:1] != [] and line[0] in _PRONOUNS for line in lines) / many,
        "names the subject": sum(bool(subject & set(line)) for line in lines) / many,
        "numbered": sum(bool(re.match(r"\d+[.)]", document)) for document in documents) / many,
        "hedged": sum(bool(_HEDGE.search(document)) for document in documents) / many,
        "whole sentences": sum(document.endswith((".", "?", "!")) for document in documents) / many,
        "capitals": len(re.findall(r"[A-Z][a-z]+", text)) / max(1, len(words(text))),
        "digits": len(re.findall(r"\d", text)) / max(1, len(text)),
        "cut off": float(not text.rstrip().endswith((".", "!", "?"))),
        "too many": float(len(documents) > 25),
        "questions": float("Answer:" in text),
        "junk": float(bool(_JUNK.search(text))),
        "other script": float(bool(re.search(r"[^\x00-\x7f]{3,}", text))),
    }


def _share(wanted: set[str], have: set[str]) -> float:
    return len(wanted & have) / len(wanted) if wanted else 0.0
