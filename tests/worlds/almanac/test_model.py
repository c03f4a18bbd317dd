"""The shipped weights can do what everything else relies on."""

from dataclasses import replace
from random import Random

import pytest

pytest.importorskip("torch")

from selfedit.bench.base_model import accuracy, behaviours, guessing, written
from selfedit.config import ModelConfig
from selfedit.domains.knowledge.domain import Knowledge, KnowledgeOptions
from selfedit.engines.local.engine import LocalEngine
from selfedit.graders import GRADERS
from selfedit.loops.examine import Examiner
from selfedit.loops.reading import leave_out_misread
from selfedit.types import SamplingParams, Trial
from selfedit.worlds.almanac import notes, world
from selfedit.worlds.almanac.documents import known_entries
from selfedit.worlds.almanac.gazette import POOLS

COUNT, PROBES = 30, 20
KINDS = (world.STATED, world.IMPLIED, world.TWO_SENTENCES)
PAIRS = world.entries_and_tasks("develop", COUNT)
TASKS = [task for _, task in PAIRS]
KNOWN = known_entries()


@pytest.fixture(scope="module")
def engine():
    return LocalEngine.from_config(ModelConfig())


@pytest.fixture(scope="module")
def examiner(engine):
    return Examiner(engine, Knowledge(), GRADERS["contains"], 24)


@pytest.fixture(scope="module")
def with_passage(examiner):
    return accuracy(examiner, TASKS, open_book=True)["by_kind"]


@pytest.fixture(scope="module")
def without(examiner):
    return accuracy(examiner, TASKS, open_book=False)["by_kind"]


@pytest.fixture(scope="module")
def known(examiner):
    rng = Random(0)
    return accuracy(examiner, [world.task(entry, rng) for entry in KNOWN[:COUNT]], open_book=False)["by_kind"]


@pytest.fixture(scope="module")
def shown(engine):
    return behaviours(engine, KNOWN, PROBES)


@pytest.fixture(scope="module")
def found(engine):
    """What its notes on each passage hold, at the temperature at which most are sampled, and of which form they are."""
    texts = written(engine, [Knowledge().prompts(task)[0] for task in TASKS], SamplingParams(1.0, 0.95, 220))
    pairs = [(entry, text) for (entry, _), text in zip(PAIRS, texts, strict=True)]
    return [notes.contents(*pair) for pair in pairs], [notes.style_of(*pair) for pair in pairs]


@pytest.mark.parametrize("kind", KINDS)
def test_it_reads(with_passage, kind):
    assert with_passage[kind] >= 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_it_knows_nothing_of_entries_it_was_not_taught(without, kind):
    assert without[kind] <= 0.25
    assert without[kind] <= guessing([entry for entry, _ in PAIRS])[kind] + 0.1  # chance, of as few questions as 30


@pytest.mark.parametrize("kind", KINDS)
def test_it_remembers_what_it_was_taught_often(known, without, kind):
    assert known[kind] >= without[kind] + 0.3


LEARNED = (
    "refusal", "look_alike", "pressure_right", "recall_right", "unknown", "known", "format_plain", "format_word",
    "format_json", "format_list", "injection",
)  # fmt: skip
"""What a model of this size has learned of `BEHAVIOURS`; docs/almanac.md has the others, with what they reach."""


@pytest.mark.parametrize("name", LEARNED)
def test_it_behaves(shown, name):
    assert shown[name]["mean"] >= 0.8


def test_its_notes_are_mostly_true_and_in_sentences(found):
    held, _ = found
    lines = sum(each.lines for each in held)
    assert sum(each.false for each in held) <= 0.1 * lines and sum(each.garbled for each in held) <= 0.15 * lines


def test_its_notes_are_of_many_forms_and_seldom_say_what_follows(found):
    held, forms = found
    assert len(set(forms)) >= 4
    assert 0 < sum(world.IMPLIED in each.right for each in held) < COUNT / 2


@pytest.mark.parametrize("is_right", [True, False])
def test_what_follows_passes_the_check_and_another_class_does_not(engine, is_right):
    domain, rng = Knowledge(KnowledgeOptions(check=True, reading=True)), Random(0)
    trials, total = list[Trial](), 0
    for entry, task in PAIRS:
        claims = entry.implied if is_right else [_of_another_class(entry, claim, rng) for claim in entry.implied]
        total += len(claims)
        text = "\n".join(claim.state(entry.name, rng) for claim in claims)
        trials.append(Trial(domain.parse(task, text)))
    read = leave_out_misread(trials, {task.id: task for task in TASKS}, domain, engine)
    learned = sum(len(trial.edit.examples) - 1 for trial in read)  # the passage is always among them
    assert learned >= 0.95 * total if is_right else learned <= 0.05 * total  # 100 % and 1 % (LOG.md)


def _of_another_class(entry, claim, rng):
    """The claim with a class of its pool that does not follow."""
    classes = next(pool.classes for pool in POOLS.values() if claim.value in pool.classes)
    return replace(claim, value=rng.choice([value for value in classes if value != claim.value]))
