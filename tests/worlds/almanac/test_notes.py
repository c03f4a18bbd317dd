"""Notes are read back as they were written, whatever their style, and what is wrong in them is seen."""

from collections import Counter
from dataclasses import replace
from itertools import islice
from random import Random

import pytest

from selfedit.worlds.almanac import behaviour, notes
from selfedit.worlds.almanac.gazette import POOLS
from selfedit.worlds.almanac.kinds import HOUSE, KINDS, UNASKED
from selfedit.worlds.almanac.notes import SPREADS, STYLES, Contents, Sentence, by_hand, contents, read, style_of, write
from selfedit.worlds.almanac.world import IMPLIED, STATED, TWO_SENTENCES, entries, passage, statement

ENTRIES = list(islice(entries("practice", 0), 20 * len(KINDS)))
OUTRIGHT = list(islice(entries("pretrain", 0, outright=1.0), 5 * len(KINDS)))
PERSON = ENTRIES[0]
FOLLOWING = {"implications", "statements and implications", "question answer implied"}
"""Styles that say what follows."""


def each_style(function):
    return pytest.mark.parametrize("style", [name for name in STYLES if name != "vague remarks"])(function)


def in_style(style, entry, claims, rng):
    return STYLES[style][0](entry, claims, rng)


def expected(style, entry):
    """What notes in this style on all claims hold, by kind of question."""
    held = {STATED: 6, IMPLIED: len(entry.implied), TWO_SENTENCES: 1, "unasked": 3}
    kinds = {"retelling": (STATED, "unasked"), "statements and implications": (STATED, IMPLIED, TWO_SENTENCES)}
    usual = (IMPLIED, TWO_SENTENCES) if style in FOLLOWING else (STATED,)
    return {kind: held[kind] for kind in kinds.get(style, usual)}


# What is read


@each_style
def test_all_that_is_said_in_every_style_is_read_back(style):
    rng = Random(0)
    for entry in ENTRIES:
        text, held = in_style(style, entry, entry.claims, rng), expected(style, entry)
        assert contents(entry, text) == Contents(sum(held.values()), 0, 0, 0, held), text


@each_style
def test_only_the_claims_that_were_noted_are_read_back(style):
    rng = Random(0)
    for entry in ENTRIES:
        claims = rng.sample(entry.claims, 2)
        found = [line for line in read(entry.kind.name, in_style(style, entry, claims, rng)) if line.kind == STATED]
        assert {(line.key, line.value) for line in found} <= {(claim.key, claim.value) for claim in claims}


@pytest.mark.parametrize("style", [name for name in STYLES if name not in FOLLOWING | {"vague remarks"}])
def test_a_planted_value_is_counted_as_false(style):
    rng = Random(0)
    for entry in ENTRIES:
        number = rng.randrange(len(entry.claims))
        (value,) = behaviour.wrong_values(entry, entry.claims[number], 1, rng)
        claims = [replace(c, value=value) if n == number else c for n, c in enumerate(entry.claims)]
        found = contents(entry, in_style(style, entry, claims, rng))
        assert (found.false, found.right[STATED], found.garbled) == (1, 5, 0)


def test_a_wrong_class_is_false_although_it_is_a_class():
    rng = Random(0)
    for entry in ENTRIES:
        for fact, claim in zip(entry.kind.facts, entry.claims, strict=True):
            if claim.implies:
                others = [name for name in POOLS[fact.implies.pool].classes if name != claim.implies.value]
                text = replace(claim.implies, value=rng.choice(others)).state(entry.name, rng)
                assert contents(entry, text) == Contents(1, 0, 1, 0, {}), text


def test_a_value_in_the_place_of_its_class_is_false():
    claim = PERSON.claims[0]
    text = replace(claim.implies, value=claim.value).state("she", Random(0))
    assert contents(PERSON, text) == Contents(1, 0, 1, 0, {})


def test_the_wrong_house_of_the_right_person_is_false():
    wrong = replace(PERSON.joined, value=next(x for x in ("amber", "zinc") if x != PERSON.told.value))
    assert contents(PERSON, wrong.answer(PERSON)) == Contents(1, 0, 1, 0, {})


def test_a_repeated_line_is_counted_as_repeated_and_once_as_right():
    first, second = PERSON.claims[:2]
    lines = [first.answer(PERSON), second.answer(PERSON), first.state(PERSON.name, Random(0)), first.answer(PERSON)]
    assert contents(PERSON, "\n".join(lines)) == Contents(4, 2, 0, 0, {STATED: 2})


def test_a_remark_is_a_line_that_is_neither_right_nor_false():
    lines = notes.REMARKS[3], notes.REMARKS[7], notes.REMARKS[7]
    assert contents(PERSON, "\n".join(lines)) == Contents(3, 1, 0, 0, {})


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("\n\n", 0),
        ("Question 1: Who?\nAnswer:", 1),
        ("She she was was.", 1),
        ("It was", 1),
        ("birthplace", 1),
        ("She was born in the town of\nShe was born in the year", 2),
        ("x" * (notes.MAX_SENTENCE + 1), 1),
    ],
)
def test_what_is_in_no_wording_is_garbled(text, count):
    found = contents(PERSON, text)
    assert (found.lines, found.garbled, found.false, found.right) == (count, count, 0, {})


def test_statements_about_another_kind_are_garbled():
    place = next(entry for entry in ENTRIES if entry.kind.name == "place")
    text = notes.full_statements(place, place.claims, Random(0))
    assert contents(PERSON, text).garbled == len(place.claims)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_wording_is_read_as_its_own_fact(kind):
    rng = Random(0)
    name, pronoun = kind.subject(rng)
    said = [(STATED, fact.key, fact, fact.value(rng)) for fact in kind.facts]
    said += [(IMPLIED, fact.key, fact.implies, "Torland") for fact in kind.facts if fact.implies]
    said += [("unasked", fact.key, fact, fact.value(rng)) for fact in (HOUSE, *UNASKED)]
    for of, key, wordings, value in said:
        texts = [statement(template, who, value) for template in wordings.statements for who in (name, pronoun)]
        assert [list(read(kind.name, text)) for text in texts] == [[Sentence(of, key, value)]] * len(texts)


def test_a_passage_is_read_whole():
    rng = Random(0)
    for entry in ENTRIES:
        found = contents(entry, passage(entry, rng))
        assert found == Contents(9, 0, 0, 0, {STATED: 6, "unasked": 3})


def test_questions_are_numbered_from_one_and_answered():
    lines = notes.question_answer(PERSON, PERSON.claims[:2], Random(0)).split("\n")
    assert [line.split(":")[0] for line in lines] == ["Question 1", "Answer", "Question 2", "Answer"]


# By hand


def test_notes_by_hand_say_all_there_is_and_nothing_wrong():
    rng = Random(0)
    for entry in ENTRIES:
        held = {STATED: 6, IMPLIED: len(entry.implied), TWO_SENTENCES: 1}
        assert contents(entry, by_hand(entry, rng)) == Contents(sum(held.values()), 0, 0, 0, held)
    assert contents(PERSON, by_hand(PERSON, rng)).lines == 10


@pytest.mark.parametrize("kinds", [(STATED,), (IMPLIED,), (STATED, TWO_SENTENCES)])
def test_notes_by_hand_on_some_kinds_say_only_these(kinds):
    assert contents(PERSON, by_hand(PERSON, Random(0), kinds)).right.keys() == set(kinds)


def test_notes_by_hand_have_wordings_of_their_own_each_time():
    rng = Random(0)
    assert len({by_hand(PERSON, rng) for _ in range(5)}) == 5


def test_a_class_that_is_stated_outright_counts_as_stated():
    rng = Random(0)
    for entry in OUTRIGHT:
        assert contents(entry, by_hand(entry, rng)) == Contents(7, 0, 0, 0, {STATED: 6, TWO_SENTENCES: 1})


# Styles


@pytest.mark.parametrize("spread", SPREADS)
def test_a_spread_has_every_style_and_is_whole(spread):
    assert SPREADS[spread].keys() == STYLES.keys()
    assert sum(SPREADS[spread].values()) == pytest.approx(1)


def test_the_spread_that_ships_seldom_says_what_follows():
    assert sum(SPREADS["restating"][style] for style in FOLLOWING) == pytest.approx(0.13)


@pytest.mark.parametrize("spread", SPREADS)
def test_written_notes_are_right_and_of_every_form(spread):
    rng, forms, lines = Random(0), Counter(), set()
    for entry in ENTRIES * 5:
        text = write(entry, rng, spread)
        found = contents(entry, text)
        assert (found.repeated, found.false, found.garbled) == (0, 0, 0), text
        forms[style_of(entry, text)] += 1
        lines.add(found.right.get(STATED, 0))
    follow = sum(count for form, count in forms.items() if form.endswith("with what follows"))
    says_more = sum(SPREADS[spread][style] for style in FOLLOWING)
    assert (
        0.6 * says_more < follow / forms.total() < 1.1 * says_more
    )  # some notes are on claims of which nothing follows
    assert lines == set(range(7))


def test_the_same_generator_writes_the_same_notes():
    assert [write(PERSON, Random(7)), write(PERSON, Random(7), "even")] == [
        write(PERSON, Random(7)),
        write(PERSON, Random(7), "even"),
    ]


@pytest.mark.parametrize(
    ("style", "form"),
    [
        ("full statements", "lines"),
        ("pronoun statements", "lines"),
        ("question answer", "questions"),
        ("rewrite", "paragraph"),
        ("retelling", "lines"),
        ("keywords", "keywords"),
        ("vague remarks", "remarks"),
        ("implications", "lines, with what follows"),
        ("statements and implications", "lines, with what follows"),
        ("question answer implied", "questions, with what follows"),
    ],
)
def test_the_form_of_notes_is_told_from_what_they_are_made_of(style, form):
    rng = Random(0)
    assert {style_of(entry, in_style(style, entry, entry.claims, rng)) for entry in ENTRIES} == {form}


def test_a_single_sentence_is_no_paragraph():
    assert style_of(PERSON, f"{PERSON.claims[0].answer(PERSON)}\n") == "lines"
    assert style_of(PERSON, "") == "nothing"
