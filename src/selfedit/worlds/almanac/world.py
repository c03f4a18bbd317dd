"""The almanac's world: invented entries, their passages and their questions, without end.

A passage states six facts, tells something of a person who is named in one of them, and says two things that nobody
asks. Questions ask for what is stated, for what that implies by the gazette, which the model knows by heart, and for
what two sentences say together. Whether an entry is used for pre-training, for practice or for an exam follows from a
hash of its name, so what a model is examined on was never in what it was trained on, whatever the seeds.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal
from zlib import crc32

from selfedit.types import Question, Task
from selfedit.worlds.almanac.gazette import POOLS
from selfedit.worlds.almanac.kinds import HOUSE, KINDS, UNASKED, Fact, Kind

Split = Literal["pretrain", "practice", "develop", "exam"]
SPLITS: tuple[Split, ...] = ("practice", "develop", "exam")
"""Three names in ten; the other seven are for pre-training."""

STATED, IMPLIED, TWO_SENTENCES, REVERSED = "stated", "implied", "two sentences", "reversed"
"""The kinds of questions."""

POSSESSIVE = {"she": "her", "he": "his", "it": "its"}

NO_TOPIC = "The almanac"
"""The title under which a question is asked that does not name its entry."""


@dataclass(frozen=True, slots=True)
class Claim:
    """One thing that can be said of an entry, in several wordings.

    `kind` is the kind of question that it answers. With a `role` it is said of the entry's mayor, captain, and so on.
    `pool` is where the gazette has the class of its value.
    """

    key: str
    value: str
    statements: tuple[str, ...]
    questions: tuple[str, ...]
    kind: str = STATED
    role: str = ""
    implies: Claim | None = None

    def state(self, subject: str, rng: Random) -> str:
        """In a random wording, of a name or a pronoun: `She worked as an engraver.`"""
        return self._say(rng.choice(self.statements), subject)

    def answer(self, entry: Entry) -> str:
        """The canonical wording: what a good answer to any question about this says."""
        return self._say(self.statements[0], entry.pronoun)

    def question(self, entry: Entry, rng: Random) -> str:
        return self.ask(rng.choice(self.questions), entry)

    def ask(self, template: str, entry: Entry) -> str:
        return template.format(n=self._whose(entry.name))

    def reversed(self, entry: Entry) -> str:
        """The question from the value to the name: `Who worked as an engraver?`"""
        subject = "What" if entry.pronoun == "it" else "Who"
        return self._say(self.statements[0], subject).removesuffix(".") + "?"

    def _say(self, template: str, subject: str) -> str:
        return statement(template, self._whose(subject), self.value)

    def _whose(self, subject: str) -> str:
        if not self.role:
            return subject
        return f"{POSSESSIVE[subject]} {self.role}" if subject in POSSESSIVE else f"the {self.role} of {subject}"


@dataclass(frozen=True, slots=True)
class Entry:
    """One subject, the six claims that its passage makes of it, what it tells of a person in one of them (`person`,
    `told`), what that says of the entry (`joined`), and what else it says.
    """

    kind: Kind
    name: str
    pronoun: str
    claims: tuple[Claim, ...]
    person: str
    told: Claim
    joined: Claim
    unasked: tuple[Claim, ...]

    @property
    def implied(self) -> tuple[Claim, ...]:
        """What follows from its claims by the gazette."""
        return tuple(claim.implies for claim in self.claims if claim.implies)


def split_of(name: str) -> Split:
    bucket = crc32(name.encode()) % 10
    return SPLITS[bucket] if bucket < len(SPLITS) else "pretrain"


def entries(split: Split, seed: int, outright: float = 0.0) -> Iterator[Entry]:
    """An endless stream of entries of one split, kinds in turn, no name twice.

    With chance `outright` a fact that implies a class is replaced by any class of its pool, stated as it is: so in
    pre-training, where a model would otherwise always derive classes and never learn to remember one.
    """
    rng, seen = Random(f"{split}-{seed}"), set[str]()
    while True:
        for kind in KINDS.values():
            name, pronoun = _unused_name(kind, split, seen, rng)
            seen.add(name)
            yield make_entry(kind, name, pronoun, rng, outright)


def make_entry(kind: Kind, name: str, pronoun: str, rng: Random, outright: float = 0.0) -> Entry:
    claims = tuple(_claim(fact, rng, outright) for fact in kind.facts)
    ((person, role),) = ((c.value, fact.role) for c, fact in zip(claims, kind.facts, strict=True) if fact.role)
    told = _claim(HOUSE, rng)
    joined = Claim(HOUSE.key, told.value, HOUSE.statements, HOUSE.questions, TWO_SENTENCES, role)
    unasked = tuple(_claim(fact, rng) for fact in rng.sample(UNASKED, 2))
    return Entry(kind, name, pronoun, claims, person, told, joined, unasked)


def _claim(fact: Fact, rng: Random, outright: float = 0.0) -> Claim:
    if fact.implies is None:
        return Claim(fact.key, fact.value(rng), fact.statements, fact.questions)
    said, pool = fact.implies, POOLS[fact.implies.pool]
    if rng.random() < outright:
        return Claim(fact.key, rng.choice(pool.classes), said.statements, said.questions)
    value = fact.value(rng)
    implied = Claim(fact.key, pool.class_of[value], said.statements, said.questions, IMPLIED)
    return Claim(fact.key, value, fact.statements, fact.questions, implies=implied)


def _unused_name(kind: Kind, split: Split, seen: set[str], rng: Random) -> tuple[str, str]:
    while True:
        name, pronoun = kind.subject(rng)
        if split_of(name) == split and name not in seen:
            return name, pronoun


def statement(template: str, subject: str, value: str) -> str:
    """`{s} worked as a {v}.` -> `She worked as an engraver.`"""
    if value and value[0] in "aeiou":
        template = template.replace(" a {v}", " an {v}")
    text = template.format(s=subject, v=value)
    return text[0].upper() + text[1:]


def passage(entry: Entry, rng: Random) -> str:
    """Everything that is said of an entry, in random order and wordings; after the first sentence mostly with a
    pronoun, as people write. What is told of a person comes after the person.
    """
    said = rng.sample([*entry.claims, *entry.unasked], len(entry.claims) + len(entry.unasked))
    lines = [claim.state(subject(entry, rng) if number else entry.name, rng) for number, claim in enumerate(said)]
    named = next(number for number, claim in enumerate(said) if claim.value == entry.person)
    lines.insert(rng.randint(named + 1, len(lines)), entry.told.state(entry.person, rng))
    return " ".join(lines)


def subject(entry: Entry, rng: Random) -> str:
    """What a sentence in the middle of a text calls the entry."""
    return entry.name if rng.random() < 0.15 else entry.pronoun


def questions(entry: Entry, rng: Random) -> tuple[Question, ...]:
    """Each stated fact in one wording, what it implies in every wording, and what two sentences say."""
    asked = [(claim.question(entry, rng), claim) for claim in entry.claims]
    asked += [(claim.ask(template, entry), claim) for claim in entry.implied for template in claim.questions]
    asked.append((entry.joined.question(entry, rng), entry.joined))
    return tuple(Question(text, claim.value, claim.kind) for text, claim in asked)


def task(entry: Entry, rng: Random) -> Task:
    name = re.sub(r"[^a-z0-9]+", "-", entry.name.lower())
    return Task(f"{entry.kind.name}-{name}", entry.name, passage(entry, rng), questions(entry, rng))


def entries_and_tasks(split: Split, count: int, seed: int = 0) -> list[tuple[Entry, Task]]:
    """`count` entries of a split, each with its passage and questions. The same arguments give the same."""
    rng = Random(f"tasks-{split}-{seed}")
    return [(entry, task(entry, rng)) for entry, _ in zip(entries(split, seed), range(count), strict=False)]


def tasks(split: Split, count: int, seed: int = 0) -> list[Task]:
    """The passages of `entries_and_tasks`, without what is behind them."""
    return [task for _, task in entries_and_tasks(split, count, seed)]
