"""Notes about an almanac entry: written in many styles for pre-training, and read back to measure faithfulness.

No loop knows these styles: they are only the spread of things the embedded model may write.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

from selfedit.worlds.almanac.kinds import KINDS
from selfedit.worlds.almanac.world import Entry, Facts, answer, passage, question, statement


def full_statements(entry: Entry, facts: Facts, rng: Random) -> str:
    return "\n".join(statement(rng.choice(fact.statements), entry.name, value) for fact, value in facts)


def pronoun_statements(entry: Entry, facts: Facts, rng: Random) -> str:
    return "\n".join(statement(rng.choice(fact.statements), entry.pronoun, value) for fact, value in facts)


def question_answer(entry: Entry, facts: Facts, rng: Random) -> str:
    return "\n".join(
        f"Question {number}: {question(entry, fact, rng)}\nAnswer: {answer(entry, fact, value)}"
        for number, (fact, value) in enumerate(facts, start=1)
    )


def rewrite(entry: Entry, facts: Facts, rng: Random) -> str:
    """The facts as one paragraph in other words."""
    return passage(entry, facts, rng)


def keywords(entry: Entry, facts: Facts, rng: Random) -> str:
    return "\n".join(f"{fact.key}: {value}" for fact, value in facts)


REMARKS = (
    "This is an entry about a {kind}.",
    "{n} is worth remembering.",
    "There is more to be said about {n}.",
    "The passage tells of several things.",
    "Readers may want to learn about {n}.",
    "Much about {n} is well known.",
    "Some of this happened long ago.",
    "The passage is short.",
)


def vague_remarks(entry: Entry, facts: Facts, rng: Random) -> str:
    remarks = rng.sample(REMARKS, rng.randint(2, 4))
    return "\n".join(remark.format(kind=entry.kind.name, n=entry.name) for remark in remarks)


Style = Callable[[Entry, Facts, Random], str]
STYLES: tuple[tuple[Style, float], ...] = (
    (full_statements, 0.20),
    (pronoun_statements, 0.20),
    (question_answer, 0.20),
    (rewrite, 0.15),
    (keywords, 0.13),
    (vague_remarks, 0.12),
)


def write(entry: Entry, facts: Facts, rng: Random) -> str:
    """Notes in a style drawn at random, on a random part of `facts` in their order; often on few, seldom on all."""
    (style,) = rng.choices([style for style, _ in STYLES], [weight for _, weight in STYLES])
    count = rng.randint(1, len(facts))
    chosen = sorted(rng.sample(range(len(facts)), count))
    return style(entry, [facts[index] for index in chosen], rng)


MAX_SENTENCE = 400
"""Characters of a sentence that can be read; a statement has under 150, and patterns with two gaps take square time."""


@cache
def _readers() -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """(kind, fact, pattern) for every wording of every statement and for keyword lines."""
    rows = []
    for kind in KINDS.values():
        for fact in kind.facts:
            for template in fact.statements:
                pattern = re.escape(template).replace(r"\{s\}", r"(?:[A-Z][\w ]+|she|he|it)")
                pattern = pattern.replace(r"a\ \{v\}", r"an?\ \{v\}").replace(r"\{v\}", r"(?P<value>[\w ]+?)")
                rows.append((kind.name, fact.key, re.compile(pattern, re.IGNORECASE)))
            rows.append((kind.name, fact.key, re.compile(rf"{re.escape(fact.key)}: (?P<value>[\w ]+)")))
    return tuple(rows)


def stated(kind: str, text: str) -> Iterator[tuple[str, str]]:
    """(fact, value) for each sentence of `text` that states one in a wording of this kind."""
    for line in re.split(r"\n|(?<=\.) ", text):
        sentence = line.removeprefix("Answer: ").strip()
        if len(sentence) > MAX_SENTENCE:
            continue
        for of_kind, key, pattern in _readers():
            if of_kind == kind and (found := pattern.fullmatch(sentence)):
                yield key, found["value"]
                break


def faithfulness(entry: Entry, text: str) -> tuple[int, int, int]:
    """(facts stated, of these right, different facts right)."""
    truth = {fact.key: value for fact, value in entry.facts}
    pairs = list(stated(entry.kind.name, text))
    right = [key for key, value in pairs if truth[key] == value]
    return len(pairs), len(right), len(set(right))
