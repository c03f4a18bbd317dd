"""What the embedded model reads in pre-training: one document at a time, some parts weighing more than others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from random import Random

from selfedit.domains.knowledge import prompts
from selfedit.types import Task
from selfedit.worlds.almanac import notes, world
from selfedit.worlds.almanac.world import Entry

Part = tuple[str, float]
"""A piece of text and the weight of the loss on it."""

END = "<|end|>"
"""The end-of-text token; every document ends with one, and an answer inside a document too."""

PASSAGE_WEIGHT = 0.3
"""Loss on what is given weighs less than loss on what is asked for; with 1.0 the model never learned to copy."""

KNOWN = 150
"""Entries that pre-training repeats until they are known by heart: the model has seen that names can be remembered,
and there is something that an update could make it forget."""


def make_notes(entry: Entry, rng: Random) -> list[list[Part]]:
    facts = world.shuffled(entry, rng)
    task = Task("", entry.name, world.passage(entry, facts, rng))
    return [[(prompts.NOTES.of(task), PASSAGE_WEIGHT), (notes.write(entry, facts, rng), 1.0)]]


def open_book(entry: Entry, rng: Random) -> list[list[Part]]:
    """One passage, two questions, each with its answer; two because most of the cost is the passage."""
    facts = world.shuffled(entry, rng)
    task = Task("", entry.name, world.passage(entry, facts, rng))
    (first, given), (second, other) = rng.sample(facts, 2)
    return [
        [
            (prompts.open_book(task, world.question(entry, first, rng)), PASSAGE_WEIGHT),
            (" " + world.answer(entry, first, given) + END, 1.0),
            (f"\nQuestion: {world.question(entry, second, rng)}\nAnswer:", PASSAGE_WEIGHT),
            (" " + world.answer(entry, second, other), 1.0),
        ]
    ]


def repeat(entry: Entry, rng: Random) -> list[list[Part]]:
    """A list of statements, then the same list in another order: nothing but copying."""
    lines = [world.statement(rng.choice(f.statements), entry.pronoun, value) for f, value in world.shuffled(entry, rng)]
    again = rng.sample(lines, len(lines))
    return [[("\n".join([entry.name, *lines, "", "Again:", ""]), PASSAGE_WEIGHT), ("\n".join(again), 1.0)]]


def known_entry(entry: Entry, rng: Random) -> list[list[Part]]:
    """A known entry as plain documents and as closed-book questions."""
    task = Task("", entry.name, world.passage(entry, world.shuffled(entry, rng), rng))
    exams: list[list[Part]] = [
        [
            (prompts.exam(task, world.question(entry, fact, rng)), 0.0),
            (" " + world.answer(entry, fact, value), 1.0),
        ]
        for fact, value in rng.sample(entry.facts, 2)
    ]
    facts = world.shuffled(entry, rng)[: rng.randint(1, 3)]
    lines = notes.write(entry, facts, rng)
    return [[(f"{task.title}\n{task.context}", PASSAGE_WEIGHT)], [(f"{task.title}\n{lines}", 0.5)], *exams]


MIXTURE: tuple[tuple[Callable[[Entry, Random], list[list[Part]]], float], ...] = (
    (make_notes, 0.42),
    (open_book, 0.34),
    (repeat, 0.10),
    (known_entry, 0.14),
)


def known_entries() -> list[Entry]:
    return list(islice(world.entries("pretrain", seed=0), KNOWN))


def stream(seed: int) -> Iterator[list[Part]]:
    """Documents without end. All entries but the known ones are fresh, so that only reading helps."""
    rng, known = Random(f"documents-{seed}"), known_entries()
    fresh = (entry for entry in world.entries("pretrain", seed=seed + 1))
    makers, weights = zip(*MIXTURE, strict=True)
    while True:
        (make,) = rng.choices(makers, weights)
        yield from make(rng.choice(known) if make is known_entry else next(fresh), rng)
