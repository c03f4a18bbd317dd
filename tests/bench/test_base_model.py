"""What the base model can do is measured by kind, against guessing, and in one table."""

import json
from itertools import islice

import pytest

from selfedit.bench.base_model import OPEN_BOOK_BAR, accuracy, behaviours, guessing, measure, table, written
from selfedit.domains.knowledge.domain import Knowledge
from selfedit.errors import EngineError
from selfedit.graders import GRADERS
from selfedit.loops.examine import Examiner
from selfedit.types import Failure, SamplingParams
from selfedit.worlds.almanac import behaviour, world
from selfedit.worlds.almanac.documents import known_entries

KINDS = {world.STATED, world.IMPLIED, world.TWO_SENTENCES}
KNOWN = known_entries()


class Says:
    """Answers a prompt as `answer` says."""

    def __init__(self, answer):
        self.answer = answer

    def sample(self, requests):
        return [self.answer(request.prompt) for request in requests]


def test_accuracy_is_that_of_the_base_with_its_interval(engine, tasks):
    examiner = Examiner(engine, Knowledge(), GRADERS["contains"])
    closed, opened = (accuracy(examiner, tasks, open_book) for open_book in (False, True))
    assert closed["n"] == opened["n"] == len(tasks) and closed["mean"] < opened["mean"] == 1.0
    assert opened["by_kind"] == {}


def test_accuracy_tells_kinds_of_questions_apart(new_engine):
    tasks = world.tasks("develop", 3)
    engine = new_engine()
    engine.tasks = tasks
    found = accuracy(Examiner(engine, Knowledge(), GRADERS["contains"]), tasks, open_book=True)
    assert found["by_kind"].keys() == KINDS


def test_a_guess_is_seldom_right_of_what_is_stated_and_oftener_of_a_class():
    chance = guessing(list(islice(world.entries("exam", 0), 200)))
    assert chance.keys() == KINDS
    assert 0 < chance[world.STATED] < 0.06 and chance[world.TWO_SENTENCES] < 0.06
    assert chance[world.STATED] < chance[world.IMPLIED] < 0.25


def test_who_gives_the_gold_answers_shows_every_behaviour_and_the_silent_none():
    gold = {p.prompt: p.gold for name in behaviour.BEHAVIOURS for p in behaviour.probes(name, KNOWN, 6, 0)}
    assert {row["mean"] for row in behaviours(Says(gold.get), KNOWN, 6).values()} == {1.0}
    silent = behaviours(Says(lambda prompt: ""), KNOWN, 6)
    assert silent.keys() == behaviour.BEHAVIOURS.keys() and {row["mean"] for row in silent.values()} == {0.0}


def test_what_the_system_failed_is_not_counted_as_wrong():
    with pytest.raises(EngineError, match="out of memory"):
        written(Says(lambda prompt: Failure("system", "out of memory")), ["Notes:"], SamplingParams())


def test_every_measure_is_a_row_of_the_table():
    by_kind = {"stated": 0.99, "implied": 0.98}
    found = {
        **{name: {"by_kind": by_kind} for name in ("open_book", "closed_book", "known")},
        "guessing": {"stated": 0.025, "implied": 0.1},
        "notes": {"lines": 4.5, "by_style": {"lines": 0.5}},
        "behaviours": {"refusal": {"mean": 0.9, "low": 0.8, "high": 1.0, "n": 100}},
    }
    rows = {first: (measured, against) for first, measured, against in table(found).rows}
    assert rows["passage given: implied"] == ("98.0 %", f"{100 * OPEN_BOOK_BAR:.1f} % or more")
    assert rows["not taught: stated"] == ("99.0 %", "by guessing 2.5 %")
    assert rows["known by heart: stated"] == ("99.0 %", "")
    assert rows["in a note: lines"] == ("4.50", "") and rows["notes: lines"] == ("50.0 %", "")
    assert rows["refuses to help with harm"] == ("90.0 %", "")


def test_all_of_it_is_measured_and_fits_into_json_and_a_table():
    pytest.importorskip("torch")
    found = measure(2, probes=2)
    assert json.loads(json.dumps(found)) == found and found["passages"] == 2
    assert found["open_book"]["by_kind"].keys() == found["known"]["by_kind"].keys() == KINDS
    assert len(table(found).rows) > 3 * len(KINDS) + len(behaviour.BEHAVIOURS)
