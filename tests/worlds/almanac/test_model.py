"""The shipped weights can do what everything else relies on."""

from itertools import islice

import pytest

pytest.importorskip("torch")

from selfedit.config import ModelConfig
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.engines.local.engine import LocalEngine
from selfedit.graders import GRADERS
from selfedit.loops.examine import Exam, Examiner, score
from selfedit.types import BASE, Request
from selfedit.worlds.almanac import notes, world

COUNT = 20


@pytest.fixture(scope="module")
def engine():
    return LocalEngine.from_config(ModelConfig())


def share_right(engine, open_book):
    tasks = world.tasks("develop", COUNT)
    examiner = Examiner(engine, Knowledge(), GRADERS["contains"], 24)
    scores = score(examiner, [Exam(BASE, task) for task in tasks], open_book)
    return sum(of_task.value for of_task in scores) / COUNT


def test_it_reads(engine):
    assert share_right(engine, open_book=True) >= 0.95


def test_it_knows_nothing_of_entries_it_was_not_taught(engine):
    assert share_right(engine, open_book=False) <= 0.06  # a guess among some forty values, with 120 questions


def test_its_notes_are_faithful_and_differ(engine):
    requests = [
        Request(BASE, Knowledge().prompts(task)[0], seed, 1.0, 0.95, 220)
        for seed, task in enumerate(world.tasks("develop", COUNT))
    ]
    texts = engine.sample(requests)
    entries = islice(world.entries("develop", 0), COUNT)
    counts = [notes.faithfulness(entry, text) for entry, text in zip(entries, texts, strict=True)]
    assert sum(right for _, right, _ in counts) >= 0.95 * sum(stated for stated, _, _ in counts) > 0
    assert any("Answer:" in text for text in texts) and any("Answer:" not in text for text in texts)
