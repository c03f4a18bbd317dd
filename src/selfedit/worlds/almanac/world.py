"""The almanac's world: invented entries, their passages and their questions, without end.

Whether an entry is used for pre-training, for practice or for an exam follows from a hash of its name, so what a model
is examined on was never in what it was trained on, whatever the seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal
from zlib import crc32

from selfedit.types import Question, Task
from selfedit.worlds.almanac.kinds import KINDS, Fact, Kind

Split = Literal["pretrain", "practice", "develop", "exam"]
SPLITS: tuple[Split, ...] = ("practice", "develop", "exam")
"""Three names in ten; the other seven are for pre-training."""

Facts = list[tuple[Fact, str]]


@dataclass(frozen=True, slots=True)
class Entry:
    """One subject and the value of each of its facts, in the order of its kind's table."""

    kind: Kind
    name: str
    pronoun: str
    values: tuple[str, ...]

    @property
    def facts(self) -> Facts:
        return list(zip(self.kind.facts, self.values, strict=True))


def split_of(name: str) -> Split:
    bucket = crc32(name.encode()) % 10
    return SPLITS[bucket] if bucket < len(SPLITS) else "pretrain"


def entries(split: Split, seed: int) -> Iterator[Entry]:
    """An endless stream of entries of one split, kinds in turn, no name twice."""
    rng, seen = Random(f"{split}-{seed}"), set[str]()
    while True:
        for kind in KINDS.values():
            name, pronoun = _unused_name(kind, split, seen, rng)
            seen.add(name)
            yield Entry(kind, name, pronoun, tuple(fact.value(rng) for fact in kind.facts))


def _unused_name(kind: Kind, split: Split, seen: set[str], rng: Random) -> tuple[str, str]:
    while True:
        name, pronoun = kind.subject(rng)
        if split_of(name) == split and name not in seen:
            return name, pronoun


def statement(template: str, subject: str, value: str) -> str:
    """`{s} worked as a {v}.` -> `She worked as an engraver.`"""
    if value[0] in "aeiou":
        template = template.replace(" a {v}", " an {v}")
    text = template.format(s=subject, v=value)
    return text[0].upper() + text[1:]


def answer(entry: Entry, fact: Fact, value: str) -> str:
    """The canonical wording: what a good answer to any question about this fact says."""
    return statement(fact.statements[0], entry.pronoun, value)


def question(entry: Entry, fact: Fact, rng: Random) -> str:
    return rng.choice(fact.questions).format(n=entry.name)


def shuffled(entry: Entry, rng: Random) -> Facts:
    return rng.sample(entry.facts, len(entry.facts))


def passage(entry: Entry, facts: Facts, rng: Random) -> str:
    """The facts in random wordings; after the first sentence mostly with a pronoun, as people write."""
    subjects = [entry.name] + [entry.name if rng.random() < 0.15 else entry.pronoun for _ in facts[1:]]
    lines = [statement(rng.choice(f.statements), s, value) for s, (f, value) in zip(subjects, facts, strict=True)]
    return " ".join(lines)


def task(entry: Entry, rng: Random) -> Task:
    questions = tuple(Question(question(entry, fact, rng), value) for fact, value in entry.facts)
    name = re.sub(r"[^a-z0-9]+", "-", entry.name.lower())
    return Task(f"{entry.kind.name}-{name}", entry.name, passage(entry, shuffled(entry, rng), rng), questions)


def tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """`count` passages of a split, each with one question per fact (six). The same arguments give the same tasks."""
    rng = Random(f"tasks-{split}-{seed}")
    return [task(entry, rng) for entry, _ in zip(entries(split, seed), range(count), strict=False)]
