"""Notes are read back as they were written, whatever their style, and what is wrong in them is seen."""

from itertools import islice
from random import Random

import pytest

from selfedit.worlds.almanac import notes
from selfedit.worlds.almanac.kinds import KINDS
from selfedit.worlds.almanac.notes import STYLES, faithfulness, stated, vague_remarks, write
from selfedit.worlds.almanac.world import entries, shuffled, statement

READABLE = [style for style, _ in STYLES if style is not vague_remarks]
ENTRIES = list(islice(entries("practice", 0), 20 * len(KINDS)))


def each_style(function):
    return pytest.mark.parametrize("style", READABLE, ids=lambda style: style.__name__)(function)


@each_style
def test_every_fact_in_every_style_is_read_back(style):
    rng = Random(0)
    for entry in ENTRIES:
        facts = shuffled(entry, rng)
        assert faithfulness(entry, style(entry, facts, rng)) == (6, 6, 6), style(entry, facts, rng)


@each_style
def test_only_the_facts_that_were_noted_are_read_back(style):
    rng = Random(0)
    for entry in ENTRIES:
        facts = shuffled(entry, rng)[:2]
        found = dict(stated(entry.kind.name, style(entry, facts, rng)))
        assert found == {fact.key: value for fact, value in facts}


@each_style
def test_a_corrupted_value_is_stated_and_wrong(style):
    rng = Random(0)
    for entry in ENTRIES:
        facts = shuffled(entry, rng)
        fact, value = facts[0]
        corrupted = next(other for other in iter(lambda fact=fact: fact.value(rng), None) if other != value)
        text = style(entry, [(fact, corrupted), *facts[1:]], rng)
        assert faithfulness(entry, text) == (6, 5, 5), text


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_wording_is_read_as_its_own_fact(kind):
    rng = Random(0)
    name, pronoun = kind.subject(rng)
    for fact in kind.facts:
        value = fact.value(rng)
        texts = [statement(template, subject, value) for template in fact.statements for subject in (name, pronoun)]
        assert [list(stated(kind.name, text)) for text in texts] == [[(fact.key, value)]] * len(texts)


def test_questions_are_numbered_from_one_and_answered():
    entry = ENTRIES[0]
    lines = notes.question_answer(entry, entry.facts[:2], Random(0)).split("\n")
    assert [line.split(":")[0] for line in lines] == ["Question 1", "Answer", "Question 2", "Answer"]


def test_vague_remarks_state_nothing():
    rng = Random(0)
    assert {faithfulness(entry, vague_remarks(entry, entry.facts, rng)) for entry in ENTRIES} == {(0, 0, 0)}


def test_a_fact_noted_twice_is_one_different_fact():
    entry = ENTRIES[0]
    line = notes.keywords(entry, entry.facts[:1], Random(0))
    assert faithfulness(entry, f"{line}\n{line}") == (2, 2, 1)


@pytest.mark.parametrize("text", ["", "The passage is short.", "Question 1: Who?\nAnswer:", "It was", "\n\n"])
def test_text_without_statements_states_nothing(text):
    assert faithfulness(ENTRIES[0], text) == (0, 0, 0)


def test_statements_about_another_kind_are_not_read():
    place = next(entry for entry in ENTRIES if entry.kind.name == "place")
    assert list(stated("person", notes.full_statements(place, place.facts, Random(0)))) == []


def test_written_notes_use_every_style_and_state_nothing_that_is_wrong():
    rng, read = Random(0), []
    for entry in ENTRIES * 5:
        text = write(entry, shuffled(entry, rng), rng)
        read.append(faithfulness(entry, text))
        assert read[-1][0] == read[-1][1] == read[-1][2], text
    assert {count for count, _, _ in read} == set(range(7))
