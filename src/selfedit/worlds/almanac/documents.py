"""What the embedded model reads in pre-training: one document at a time, some parts weighing more than others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from selfedit.domains.knowledge import prompts
from selfedit.types import Task
from selfedit.worlds.almanac import behaviour, gazette, notes, world
from selfedit.worlds.almanac.parts import END, PASSAGE_WEIGHT, Part
from selfedit.worlds.almanac.world import Claim, Entry

Document = list[Part]

KNOWN = 150
"""Entries that pre-training repeats until they are known by heart: the model has seen that names can be remembered,
and there is something that an update could make it forget."""

OUTRIGHT = 0.35
"""Share of the classes that are stated instead of implied; without them a model never learns to remember one."""


def _task(entry: Entry, rng: Random) -> Task:
    return Task("", entry.name, world.passage(entry, rng))


def make_notes(entry: Entry, known: Entry, rng: Random, spread: str = "restating") -> list[Document]:
    return [[(prompts.NOTES.of(_task(entry, rng)), PASSAGE_WEIGHT), (notes.write(entry, rng, spread), 1.0)]]


def open_book(entry: Entry, known: Entry, rng: Random) -> list[Document]:
    """One passage, two questions, each with its answer; two because most of the cost is the passage."""
    first, second = _asked(entry, rng), _asked(entry, rng)
    return [
        [
            (prompts.open_book(_task(entry, rng), first.question(entry, rng)), PASSAGE_WEIGHT),
            (" " + first.answer(entry) + END, 1.0),
            (f"\nQuestion: {second.question(entry, rng)}\nAnswer:", PASSAGE_WEIGHT),
            (" " + second.answer(entry), 1.0),
        ]
    ]


def _asked(entry: Entry, rng: Random) -> Claim:
    """What a question is about: as often something implied as something stated, and at times what two sentences say."""
    kinds = [(entry.claims, 0.45), (entry.implied or entry.claims, 0.4), ((entry.joined,), 0.15)]
    (claims,) = rng.choices([claims for claims, _ in kinds], [weight for _, weight in kinds])
    return rng.choice(claims)


def repeat(entry: Entry, known: Entry, rng: Random) -> list[Document]:
    """A list of statements, then the same list in another order: nothing but copying."""
    lines = [claim.state(entry.pronoun, rng) for claim in rng.sample(entry.claims, len(entry.claims))]
    again = rng.sample(lines, len(lines))
    return [[("\n".join([entry.name, *lines, "", "Again:", ""]), PASSAGE_WEIGHT), ("\n".join(again), 1.0)]]


def known_entry(_: Entry, entry: Entry, rng: Random) -> list[Document]:
    """A known entry as plain documents and as closed-book questions of every kind, one of them to its name."""
    task = _task(entry, rng)
    asked = [_asked(entry, rng), _asked(entry, rng)]
    exams: list[Document] = [
        [(prompts.exam(task, claim.question(entry, rng)), 0.0), (" " + claim.answer(entry), 1.0)] for claim in asked
    ]
    claim = rng.choice(entry.claims)
    unnamed = Task("", world.NO_TOPIC, "")
    turned = [(prompts.exam(unnamed, claim.reversed(entry)), 0.0), (f" {entry.name}.", 1.0)]
    return [
        [(f"{task.title}\n{task.context}", PASSAGE_WEIGHT)],
        [(f"{task.title}\n{notes.write(entry, rng, 'even')}", 0.5)],
        *exams,
        *([turned] if rng.random() < 0.3 else []),
    ]


def of_gazette(entry: Entry, known: Entry, rng: Random) -> list[Document]:
    """Values and their classes, as sentences and as a question."""
    picked = rng.sample(gazette.ENTRIES, 6)
    lines = [gazette.statement(pool, x) for pool, x in picked]
    pool, x = picked[0]
    asked = prompts.exam(Task("", x, ""), gazette.question(pool, x))
    return [[("\n".join(lines), 1.0)], [(asked, 0.0), (" " + lines[0], 1.0)]]


def own_questions(entry: Entry, known: Entry, rng: Random) -> list[Document]:
    """An exam on a passage, in the wording that asks for one: some of what it states and of what follows."""
    said = [*entry.claims, *entry.implied]
    written = notes.question_answer(entry, rng.sample(said, rng.randint(2, 4)), rng)
    cue = "Question 1:"
    return [[(prompts.questions(_task(entry, rng)), PASSAGE_WEIGHT), (written.removeprefix(cue), 1.0)]]


MIXTURE: tuple[tuple[Callable[[Entry, Entry, Random], list[Document]], float], ...] = (
    (make_notes, 0.28),
    (open_book, 0.24),
    (own_questions, 0.03),
    (repeat, 0.05),
    (known_entry, 0.14),
    (of_gazette, 0.08),
    (behaviour.documents_of, 0.18),
)


def known_entries() -> list[Entry]:
    return list(islice(world.entries("pretrain", seed=0, outright=OUTRIGHT), KNOWN))


def stream(seed: int, spread: str = "restating", behaviours: float | None = None) -> Iterator[Document]:
    """Documents without end. All entries but the known ones are fresh, so that only reading helps. `spread` is how
    often the notes are in which style, `behaviours` the share of the documents about these, if not that of `MIXTURE`.

    Notes are about entries that state no class outright: else one learns to write a class in the place of any value.
    """
    rng, known = Random(f"documents-{seed}"), known_entries()
    fresh = world.entries("pretrain", seed=seed + 1, outright=OUTRIGHT)
    noted = world.entries("pretrain", seed=seed + 1_000_001)
    makers = [make for make, _ in MIXTURE]
    shares = dict(MIXTURE)
    own = shares.pop(behaviour.documents_of)
    share = own if behaviours is None else behaviours
    weights = [weight * (1 - share) / (1 - own) for weight in shares.values()] + [share]
    while True:
        (make,) = rng.choices(makers, weights)
        by_heart = rng.choice(known)
        if make is make_notes:
            yield from make_notes(next(noted), by_heart, rng, spread)
        else:
            yield from make(next(fresh), by_heart, rng)
