"""Notes about an almanac entry: written in many styles for pre-training, and read back to measure what they hold.

No loop knows these styles: they are only the spread of things the embedded model may write. As with real models the
commonest restate and summarise, and few say what follows.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from random import Random

from selfedit.worlds.almanac.kinds import HOUSE, KINDS, UNASKED, Fact, Implied
from selfedit.worlds.almanac.world import IMPLIED, STATED, TWO_SENTENCES, Claim, Entry, subject

Claims = Sequence[Claim]


def full_statements(entry: Entry, claims: Claims, rng: Random) -> str:
    return "\n".join(claim.state(entry.name, rng) for claim in claims)


def pronoun_statements(entry: Entry, claims: Claims, rng: Random) -> str:
    return "\n".join(claim.state(entry.pronoun, rng) for claim in claims)


def question_answer(entry: Entry, claims: Claims, rng: Random) -> str:
    return "\n".join(
        f"Question {number}: {claim.question(entry, rng)}\nAnswer: {claim.answer(entry)}"
        for number, claim in enumerate(claims, start=1)
    )


def rewrite(entry: Entry, claims: Claims, rng: Random) -> str:
    """The claims as one paragraph in other words."""
    first, *rest = claims
    return " ".join([first.state(entry.name, rng), *(claim.state(subject(entry, rng), rng) for claim in rest)])


def retelling(entry: Entry, claims: Claims, rng: Random) -> str:
    """Line by line, what nobody asks as well."""
    told = rng.sample([*claims, *entry.unasked], len(claims) + len(entry.unasked))
    lines = [*(claim.state(subject(entry, rng), rng) for claim in told), entry.told.state(entry.person, rng)]
    return "\n".join(lines)


def keywords(entry: Entry, claims: Claims, rng: Random) -> str:
    return "\n".join(f"{claim.key}: {claim.value}" for claim in claims)


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


def vague_remarks(entry: Entry, claims: Claims, rng: Random) -> str:
    remarks = rng.sample(REMARKS, rng.randint(2, 4))
    return "\n".join(remark.format(kind=entry.kind.name, n=entry.name) for remark in remarks)


def implications(entry: Entry, claims: Claims, rng: Random) -> str:
    """What follows from the claims, and what two sentences say together; the claims themselves where nothing does."""
    return full_statements(entry, _following(entry, claims) or claims, rng)


def statements_and_implications(entry: Entry, claims: Claims, rng: Random) -> str:
    """The claims, and then what follows from them."""
    return full_statements(entry, [*claims, *_following(entry, claims)], rng)


def question_answer_implied(entry: Entry, claims: Claims, rng: Random) -> str:
    return question_answer(entry, _following(entry, claims) or claims, rng)


def _following(entry: Entry, claims: Claims) -> list[Claim]:
    joined = [entry.joined] if any(claim.value == entry.person for claim in claims) else []
    return [*(claim.implies for claim in claims if claim.implies), *joined]


Style = Callable[[Entry, Claims, Random], str]
STYLES: dict[str, tuple[Style, float]] = {
    style.__name__.replace("_", " "): (style, weight)
    for style, weight in (
        (full_statements, 0.20),
        (pronoun_statements, 0.15),
        (question_answer, 0.14),
        (rewrite, 0.14),
        (retelling, 0.08),
        (keywords, 0.08),
        (vague_remarks, 0.08),
        (implications, 0.05),
        (statements_and_implications, 0.06),
        (question_answer_implied, 0.02),
    )
}
"""A style and how often it is drawn in pre-training: thirteen of a hundred notes say something that follows."""

SPREADS: dict[str, dict[str, float]] = {
    "restating": {name: weight for name, (_, weight) in STYLES.items()},
    "even": dict.fromkeys(STYLES, 0.1),
}
"""The spread that ships, and one to see what depends on it."""


def write(entry: Entry, rng: Random, spread: str = "restating") -> str:
    """Notes in a style drawn at random, on a random part of the claims in their order; often on few, seldom on all."""
    (style,) = rng.choices(list(SPREADS[spread]), list(SPREADS[spread].values()))
    count = rng.randint(1, len(entry.claims))
    chosen = sorted(rng.sample(range(len(entry.claims)), count))
    return STYLES[style][0](entry, [entry.claims[index] for index in chosen], rng)


def by_hand(entry: Entry, rng: Random, kinds: Sequence[str] = (STATED, IMPLIED, TWO_SENTENCES)) -> str:
    """The notes that leave nothing out: a line for every question of these kinds."""
    said = [*entry.claims, *entry.implied, entry.joined]
    return full_statements(entry, [claim for claim in said if claim.kind in kinds], rng)


# Reading back

MAX_SENTENCE = 400
"""Characters of a sentence that can be read; a statement has under 150, and patterns with two gaps take square time."""

_SUBJECT = r"(?:[A-Z][\w ]+|she|he|it)"


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of notes: the kind of question that it would answer, of which fact, and the value that it gives.

    `kind` is "unasked" for what is stated and never asked, and "remark" for what says nothing, whose `key` is its text.
    """

    kind: str
    key: str
    value: str


def _pattern(template: str, who: str = _SUBJECT) -> re.Pattern[str]:
    pattern = re.escape(template).replace(r"\{s\}", who)
    return re.compile(
        pattern.replace(r"a\ \{v\}", r"an?\ \{v\}").replace(r"\{v\}", r"(?P<value>[\w ]+?)"), re.IGNORECASE
    )


@cache
def _readers(kind_name: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    """(kind of question, fact, pattern) for every wording of every statement of this kind, and for keyword lines."""
    rows = list[tuple[str, str, re.Pattern[str]]]()
    kind = KINDS[kind_name]

    def add(said: Fact | Implied, of: str, key: str, who: str = _SUBJECT) -> None:
        rows.extend((of, key, _pattern(template, who)) for template in said.statements)

    for fact in kind.facts:
        if fact.role:
            add(HOUSE, TWO_SENTENCES, HOUSE.key, rf"(?:(?:her|his|its) {fact.role}|the {fact.role} of {_SUBJECT})")
    for fact in kind.facts:
        add(fact, STATED, fact.key)
        rows.append((STATED, fact.key, re.compile(rf"{re.escape(fact.key)}: (?P<value>[\w ]+)")))
        if fact.implies:
            add(fact.implies, IMPLIED, fact.key)
    for fact in (HOUSE, *UNASKED):
        add(fact, "unasked", fact.key)
    rows += [("remark", text, _pattern(text.replace("{n}", "{s}").replace("{kind}", kind.name))) for text in REMARKS]
    return tuple(rows)


def read(kind: str, text: str) -> Iterator[Sentence | None]:
    """What each sentence of `text` says, in a wording of this kind of entry; None for one that cannot be read."""
    for line in re.split(r"\n|(?<=\.) ", text):
        sentence = line.removeprefix("Answer: ").strip()
        if not sentence or re.match(r"Question \d+: .*\?$", sentence):
            continue
        matches = ((of, key, p.fullmatch(sentence)) for of, key, p in _readers(kind) if len(sentence) <= MAX_SENTENCE)
        found = next(((of, key, match) for of, key, match in matches if match), None)
        yield Sentence(found[0], found[1], found[2].groupdict().get("value") or "") if found else None


@dataclass(frozen=True, slots=True)
class Contents:
    """What notes hold, in sentences: `right` counts different right claims by the kind of question they answer."""

    lines: int
    repeated: int
    false: int
    garbled: int
    right: dict[str, int]


def contents(entry: Entry, text: str) -> Contents:
    """Reads notes against their entry. A class that another value would imply is false, and so is any other value."""
    truth = {(claim.kind, claim.key): claim.value for claim in (*entry.claims, *entry.implied, entry.joined)}
    truth |= {("unasked", claim.key): claim.value for claim in (*entry.unasked, entry.told)}
    outright = {claim.key for claim in entry.claims if not claim.implies}
    found = list(read(entry.kind.name, text))
    said, right, false = [line for line in found if line], set[Sentence](), 0
    for line in said:
        of_kind = STATED if line.kind == IMPLIED and line.key in outright else line.kind
        if truth.get((of_kind, line.key)) == line.value:
            right.add(Sentence(of_kind, line.key, line.value))
        else:
            false += line.kind != "remark"
    held = dict(Counter(line.kind for line in right))
    return Contents(len(found), len(said) - len(set(said)), false, found.count(None), held)


def style_of(entry: Entry, text: str) -> str:
    """What notes are made of, in a word or two, however they came about: a single sentence counts as lines."""
    if not text.strip():
        return "nothing"
    if "Question 1:" in text:
        form = "questions"
    elif re.search(r"(?m)^[a-z ]+: ", text):
        form = "keywords"
    else:
        form = "paragraph" if ". " in text and "\n" not in text.strip() else "lines"
    held = {line.kind for line in read(entry.kind.name, text) if line}
    says_more = bool(held & {IMPLIED, TWO_SENTENCES})
    return f"{form}, with what follows" if says_more else "remarks" if held == {"remark"} else form
