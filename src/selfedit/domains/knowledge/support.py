"""Whether a line of notes follows from its document, by its words: names, numbers, negation and content.

A model teaches itself whatever it wrote, so what cannot be found in the document is not learned. This errs on the side
of dropping: of a line that is left out nothing is lost but a repetition. Not covered: a line made of the right words in
the wrong roles ("Texas beat Ohio"). `variants` makes such lines, which `loops.reading` has a model compare.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from selfedit.domains.knowledge.text import sentences
from selfedit.types import Task

MIN_WORDS = 4
"""Words that a statement has at least."""

MIN_CONTENT, MIN_CONTENT_OF_QUESTION = 0.8, 0.5
"""Share of a line's content words that its evidence must have. A question, which claims little, has words of its own:
"number", "name", "kind".
"""

STEM = 5
"""Letters by which words are compared: "Egyptians" and "Egypt", "founded" and "foundation"."""

_WORD = re.compile(r"\d+(?:[.,:]\d+)*|[^\W\d_]+(?:['’-][^\W\d_]+)*")
_NEGATION = re.compile(
    r"\b(?:not|no|never|none|nor|neither|nobody|nothing|without|cannot|fails?|failed|unable|unlike)\b|n['’]t\b", re.I
)
_PRONOUN = re.compile(r"\b(?:he|she|it|they|his|her|its|their|him|them|this|these|that|those|here|there)\b", re.I)
_FUNCTION = frozenset(
    """a about after all also although an and any are as at be because been before being both but by can could did do
    does each for from had has have he her hers him his how i if in into is it its itself known many more most much of
    on one or other our over she so some such than that the their them then there these they this those through to under
    until up was we were what when where which while who whom whose why will with would you your""".split()
)
_NUMBERS = {
    word: str(number)
    for number, word in enumerate(
        """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
        seventeen eighteen nineteen twenty""".split()
    )
}


@dataclass(frozen=True, slots=True)
class WordSets:
    """What is compared of a text. `names` are as written, all others in lower case; `stems` are of all words."""

    names: tuple[str, ...]
    numbers: frozenset[str]
    content: tuple[str, ...]
    stems: frozenset[str]
    is_negated: bool


@lru_cache(maxsize=65536)
def read_words(text: str) -> WordSets:
    """The words of a text. The first of a sentence counts as a name only where another capital follows it."""
    found = list(_WORD.finditer(text))
    names, numbers, content = list[str](), set[str](), list[str]()
    for index, match in enumerate(found):
        word = match.group()
        lower = word.lower()
        if word[0].isdigit() or lower in _NUMBERS:
            numbers.add(_NUMBERS.get(lower) or word.replace(",", "").rstrip("."))
            continue
        if lower in _FUNCTION:
            continue
        content.append(lower)
        before = text[: match.start()].rstrip(" \"“‘'([")
        begins = not before or before[-1] in ".!?:\n"
        follows = index + 1 < len(found) and found[index + 1].group()[0].isupper()
        if word[0].isupper() and (follows or not begins):
            names.append(word)
    stems = frozenset(match.group().lower()[:STEM] for match in found)
    return WordSets(tuple(names), frozenset(numbers), tuple(content), stems, bool(_NEGATION.search(text)))


@lru_cache(maxsize=4096)
def evidence(line: str, task: Task) -> tuple[str, str]:
    """The sentence of the passage that a line most likely says again, and what names it may take besides: the title,
    and the sentence before where that one has a pronoun.
    """
    words, lines = read_words(line), sentences(task.context) or [task.context]
    named = read_words(task.title).stems  # which is in every line, and tells nothing
    told = {word[:STEM] for word in words.content} - named
    names = {name.lower()[:STEM] for name in words.names} - named

    def shared(sentence: str) -> int:
        other = read_words(sentence)
        return len(told & other.stems) + len(names & other.stems) + 2 * len(words.numbers & other.numbers)

    best = max(range(len(lines)), key=lambda index: shared(lines[index]))
    before = lines[best - 1] if best and _PRONOUN.search(lines[best]) else ""
    return lines[best], f"{task.title}\n{before}"


def objection(line: str, task: Task, implied: bool = False) -> str:
    """Why a line is not to be learned, in a few words; empty where its words stand in the document. With `implied` a
    statement may have names and words of its own, as what follows from a document has.
    """
    words = read_words(line)
    if len(line.split()) < MIN_WORDS or not words.content:
        return "says nothing"
    if _repeats_itself(line):
        return "repeats itself"
    sentence, besides = evidence(line, task)
    near, around = read_words(sentence), read_words(besides)
    numbers = words.numbers - near.numbers - read_words(task.title).numbers
    if numbers:
        return f"number {min(numbers)} does not stand there"
    denies = words.is_negated != near.is_negated and not line.endswith("?")  # "Why is it not …?" asks for no denial
    if implied and not line.endswith("?"):
        return "negation differs" if denies else ""
    stems = near.stems | around.stems
    foreign = [name for name in words.names if name.lower()[:STEM] not in stems]
    if foreign:
        return f"name {foreign[0]} does not stand there"
    if denies:
        return "negation differs"
    known = sum(word[:STEM] in stems for word in words.content)
    least = MIN_CONTENT_OF_QUESTION if line.endswith("?") else MIN_CONTENT
    return "" if known >= least * len(words.content) else "too few of its words stand there"


def _repeats_itself(line: str) -> bool:
    """Whether it says the same three words three times."""
    words = line.lower().split()
    triples = [tuple(words[at : at + 3]) for at in range(len(words) - 2)]
    return any(triples.count(triple) >= 3 for triple in set(triples))


def supported(lines: Sequence[str], task: Task, implied: bool = False) -> tuple[list[str], list[tuple[str, str]]]:
    """The lines that are kept, each once, and those that are not, with the reason. `implied` is as in `objection`."""
    kept, dropped, seen = list[str](), list[tuple[str, str]](), set[tuple[str, ...]]()
    for line in lines:
        why = "says the same again" if _key(line) in seen else objection(line, task, implied)
        if why:
            dropped.append((line, why))
        else:
            seen.add(_key(line))
            kept.append(line)
    return kept, dropped


def _key(line: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(line.lower()))


def first_foreign(line: str, task: Task) -> int | None:
    """Where in a line the first name or number stands that its evidence does not have, or else the first word; None
    where there is neither.
    """
    sentence, besides = evidence(line, task)
    stems = read_words(sentence).stems | read_words(besides).stems
    own = (match for match in _WORD.finditer(line) if match.group().lower() not in _FUNCTION)
    foreign = [match for match in own if match.group().lower()[:STEM] not in stems]
    named = [match for match in foreign if match.start() and not match.group()[0].islower()]
    return next((match.start() for match in [*named, *foreign]), None)


MAX_PARTS = 12
"""Into which a document is divided to see what depends on which: each has to be read without."""


def without_each_part(context: str) -> list[str]:
    """The document without each of its sentences in turn, or, of a long one, without each of MAX_PARTS equal parts."""
    found = sentences(context) or [context]
    size = -(-len(found) // MAX_PARTS)
    parts = [found[start : start + size] for start in range(0, len(found), size)]
    left = []
    for part in parts:
        rest = context
        for sentence in part:
            words = r"\s+".join(map(re.escape, sentence.split()))  # joined anew, it may have had a line break
            rest = re.sub(rf"{words} ?", "", rest, count=1)
        left.append(rest.strip())
    return left


MAX_VARIANTS = 4
"""Of a line: each has to be read by a model."""


def variants(line: str, task: Task) -> list[str]:
    """The line with two of its names or numbers exchanged, or one replaced by another of its evidence: what it would
    say if it had the right words in the wrong places. At most MAX_VARIANTS; none of a line that leaves no choice.
    """
    sentence, _ = evidence(line, task)
    made = list[str]()
    for own, near in zip(_places(line), _places(sentence), strict=True):
        others = [word for word in near if word not in own]
        pairs = [(first, second) for at, first in enumerate(own) for second in own[at + 1 :]]
        made += [_exchanged(line, first, second) for first, second in pairs]
        made += [re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", other, line, count=1) for word in own for other in others]
    return list(dict.fromkeys(made))[:MAX_VARIANTS]


def _places(text: str) -> tuple[list[str], list[str]]:
    """Names, those in a row as one, and numbers, in order, each once."""
    found = re.findall(r"\b[A-Z][\w’'-]*(?:\s+[A-Z][\w’'-]*)*", text)
    names = [name for name in found if name.lower() not in _FUNCTION]
    return list(dict.fromkeys(names)), list(dict.fromkeys(re.findall(r"\d+(?:[.,:]\d+)*", text)))


def _exchanged(text: str, first: str, second: str) -> str:
    swap = {first: second, second: first}
    pattern = "|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(swap, key=len, reverse=True))
    return re.sub(pattern, lambda found: swap[found.group()], text)
