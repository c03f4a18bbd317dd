"""The almanac's world: splits that cannot meet, and questions that reading answers, or reading and the gazette."""

import os
import re
import subprocess
import sys
from itertools import islice
from random import Random

import pytest

from selfedit.graders.exact import Contains
from selfedit.types import Question
from selfedit.worlds.almanac.gazette import POOLS
from selfedit.worlds.almanac.kinds import HOUSE, KINDS, UNASKED
from selfedit.worlds.almanac.world import (
    IMPLIED,
    SPLITS,
    STATED,
    TWO_SENTENCES,
    entries,
    entries_and_tasks,
    passage,
    questions,
    split_of,
    statement,
    subject,
    task,
    tasks,
)

ALL_SPLITS = ("pretrain", *SPLITS)
FACTS = [(kind, fact) for kind in KINDS.values() for fact in kind.facts]


def each_fact(function):
    ids = [f"{kind.name}-{fact.key}" for kind, fact in FACTS]
    return pytest.mark.parametrize(("kind", "fact"), FACTS, ids=ids)(function)


def contains(text, gold):
    return Contains().grade([(Question("?", gold), text)]) == [1.0]


# Splits


@pytest.mark.parametrize("split", ALL_SPLITS)
def test_every_entry_belongs_to_the_split_it_was_asked_from(split):
    names = [entry.name for seed in range(3) for entry in islice(entries(split, seed), 700)]
    assert {split_of(name) for name in names} == {split}


def test_splits_share_no_name_whatever_the_seeds():
    names = {split: {e.name for seed in (0, 1) for e in islice(entries(split, seed), 1000)} for split in ALL_SPLITS}
    assert len(set.union(*names.values())) == sum(len(found) for found in names.values())


def test_splits_share_no_task_id():
    ids = [task.id for split in ("practice", "develop", "exam") for task in tasks(split, 500)]
    assert len(ids) == len(set(ids))


def test_most_names_are_for_pretraining_and_the_rest_is_shared_evenly():
    subjects = [KINDS["firm"].subject(Random(seed))[0] for seed in range(5000)]
    shares = {split: sum(split_of(name) == split for name in subjects) / 5000 for split in ALL_SPLITS}
    assert shares == pytest.approx({"pretrain": 0.7, "practice": 0.1, "develop": 0.1, "exam": 0.1}, abs=0.03)


def test_a_name_always_falls_into_the_same_split():
    assert [split_of(name) for name in ("Mara Velin", "Torvik", "SS Ulmira")] == ["exam", "develop", "pretrain"]


# Entries


def test_no_name_comes_twice_in_a_stream():
    names = [entry.name for entry in islice(entries("exam", 0), 1500)]
    assert len(names) == len(set(names))


def test_kinds_come_in_turn():
    found = [entry.kind.name for entry in islice(entries("exam", 0), 2 * len(KINDS))]
    assert found == [*KINDS, *KINDS]


def test_there_are_enough_kinds_and_facts():
    assert len([kind for kind in KINDS.values() if len(kind.facts) >= 5]) >= 4


@each_fact
def test_every_fact_has_enough_different_wordings(kind, fact):
    assert len(set(fact.statements)) >= 4
    assert len(set(fact.questions)) >= 4


@each_fact
def test_every_wording_names_the_subject_and_statements_also_the_value(kind, fact):
    assert all(text.count("{s}") == 1 and text.count("{v}") == 1 for text in fact.statements)
    assert all(text.count("{n}") == 1 and "{v}" not in text and text.endswith("?") for text in fact.questions)


@each_fact
def test_every_statement_is_a_right_answer(kind, fact):
    rng = Random(0)
    for _ in range(50):
        (name, pronoun), value = kind.subject(rng), fact.value(rng)
        texts = [statement(template, subject, value) for template in fact.statements for subject in (name, pronoun)]
        assert [text for text in texts if not contains(text, value)] == []


@each_fact
def test_values_vary_so_that_a_guess_is_seldom_right(kind, fact):
    rng = Random(0)
    values = [fact.value(rng) for _ in range(2000)]
    assert max(values.count(value) for value in set(values)) / 2000 < 0.05


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_no_question_is_asked_about_two_facts(kind):
    texts = [text for fact in kind.facts for said in (fact, fact.implies) if said for text in said.questions]
    texts += HOUSE.questions
    assert len(texts) == len(set(texts))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_every_kind_implies_something_and_names_one_person(kind):
    implied = [fact.implies for fact in kind.facts if fact.implies]
    assert len(implied) >= 2 and {said.pool for said in implied} <= POOLS.keys()
    assert all(len(said.statements) == len(said.questions) == 2 for said in implied)
    assert len([fact for fact in kind.facts if fact.role]) == 1


def made(split="exam", count=200, outright=0.0):
    return list(islice(entries(split, 0, outright), count))


def test_an_implied_class_is_that_of_the_gazette():
    for entry in made():
        for fact, claim in zip(entry.kind.facts, entry.claims, strict=True):
            assert (claim.implies is not None) == (fact.implies is not None)
            if fact.implies:
                assert claim.implies.value == POOLS[fact.implies.pool].class_of[claim.value]
                assert (claim.implies.kind, claim.implies.key) == (IMPLIED, claim.key)


def test_entries_made_outright_state_classes_and_imply_nothing():
    for entry in made(count=100, outright=1.0):
        assert entry.implied == ()
        for fact, claim in zip(entry.kind.facts, entry.claims, strict=True):
            assert claim.kind == STATED
            if fact.implies:
                assert claim.value in POOLS[fact.implies.pool].classes
                assert claim.statements == fact.implies.statements


def test_a_share_of_the_classes_is_stated_outright():
    found = [claim for entry in made(count=500, outright=0.35) for claim in entry.claims]
    can = [fact for entry in made(count=500) for fact in entry.kind.facts if fact.implies]
    assert 1 - sum(claim.implies is not None for claim in found) / len(can) == pytest.approx(0.35, abs=0.05)


def test_a_person_in_a_claim_has_something_told_of_them():
    for entry in made():
        assert entry.person in [claim.value for claim in entry.claims]
        assert entry.joined.value == entry.told.value and entry.joined.kind == TWO_SENTENCES
        assert entry.joined.role in entry.joined.answer(entry) and entry.joined.role in [
            f.role for f in entry.kind.facts
        ]


# Wordings


@pytest.mark.parametrize(
    ("template", "subject", "value", "expected"),
    [
        ("{s} worked as a {v}.", "she", "engraver", "She worked as an engraver."),
        ("{s} worked as a {v}.", "she", "baker", "She worked as a baker."),
        ("for many years {s} worked as a {v}.", "Ada Velin", "judge", "For many years Ada Velin worked as a judge."),
        ("{s} was settled in the year {v}.", "Torvik", "1130", "Torvik was settled in the year 1130."),
        ("{s} is little known today.", "it", "", "It is little known today."),
    ],
)
def test_a_statement_is_an_english_sentence(template, subject, value, expected):
    assert statement(template, subject, value) == expected


def test_the_answer_is_the_canonical_statement_with_a_pronoun():
    (entry,) = made(count=1)
    claim = entry.claims[0]
    assert claim.answer(entry) == statement(claim.statements[0], entry.pronoun, claim.value)


def test_what_two_sentences_say_names_the_role_and_whose_it_is():
    for entry in made(count=50):
        role, whose = entry.joined.role, {"she": "Her", "he": "His", "it": "Its"}[entry.pronoun]
        assert entry.joined.answer(entry) == f"{whose} {role} lived in a house of {entry.told.value}."
        assert f"the {role} of {entry.name}" in entry.joined.question(entry, Random(0))


def test_a_reversed_question_holds_the_value_and_not_the_name():
    for entry in made():
        for claim in entry.claims:
            asked = claim.reversed(entry)
            assert re.search(r"\b(who|what)\b", asked, re.IGNORECASE), asked
            assert asked.endswith("?") and claim.value in asked and entry.name not in asked


def test_a_passage_begins_with_the_name_and_says_everything_once():
    rng = Random(0)
    for entry in made(count=100):
        text = passage(entry, rng)
        assert entry.name in text.split(".")[0]
        assert text.count(".") == len(entry.claims) + len(entry.unasked) + 1
        said = [*entry.claims, *entry.unasked, entry.told]
        assert [claim.value for claim in said if claim.value not in text] == []


def test_a_person_is_named_before_something_is_told_of_them():
    rng = Random(0)
    for entry in made():
        text = passage(entry, rng)
        (house,) = re.findall(r"[^.]*house of [^.]*\.", text)
        assert entry.person in house and text.index(entry.person) < text.index(house)


def test_after_the_first_sentence_a_passage_mostly_says_she_he_or_it():
    rng, names = Random(0), 0
    for entry in made(count=100):
        names += passage(entry, rng).count(entry.name)
    assert 100 < names < 300  # of 900 sentences


def test_a_text_calls_its_entry_by_name_now_and_then():
    (entry,), rng = made(count=1), Random(0)
    called = [subject(entry, rng) for _ in range(1000)]
    assert set(called) == {entry.name, entry.pronoun} and called.count(entry.name) == pytest.approx(150, abs=40)


# Tasks


def test_the_same_arguments_give_the_same_tasks():
    assert tasks("exam", 20, seed=3) == tasks("exam", 20, seed=3)


def test_fewer_tasks_are_the_first_of_more():
    assert tasks("exam", 5) == tasks("exam", 20)[:5]


def test_another_seed_gives_other_tasks():
    assert not {task.id for task in tasks("exam", 20, seed=0)} & {task.id for task in tasks("exam", 20, seed=1)}


def test_tasks_come_with_the_entries_behind_them():
    pairs = entries_and_tasks("exam", 20, seed=3)
    assert [made for _, made in pairs] == tasks("exam", 20, seed=3)
    assert [entry.name for entry, _ in pairs] == [made.title for _, made in pairs]
    assert [entry.name for entry, _ in pairs] == [entry.name for entry in islice(entries("exam", 3), 20)]


def test_tasks_are_the_same_in_every_process():
    code = "from selfedit.worlds.almanac.world import tasks; print(tasks('exam', 10))"
    printed = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    ]
    assert printed == [repr(tasks("exam", 10))] * 2


@pytest.mark.parametrize("split", SPLITS)
def test_what_is_stated_stands_in_the_passage_and_what_is_implied_does_not(split):
    asked = [(task, question) for task in tasks(split, 200) for question in task.questions]
    stands = {kind: {contains(task.context, q.target) for task, q in asked if q.kind == kind} for kind in
              (STATED, IMPLIED, TWO_SENTENCES)}  # fmt: skip
    assert stands == {STATED: {True}, IMPLIED: {False}, TWO_SENTENCES: {True}}


@pytest.mark.parametrize("split", SPLITS)
def test_every_question_names_its_subject(split):
    for made in tasks(split, 200):
        assert [q.text for q in made.questions if made.title not in q.text] == []


@pytest.mark.parametrize("split", SPLITS)
def test_hardly_a_question_gives_its_answer_away(split):
    asked = [question for task in tasks(split, 500) for question in task.questions]
    given = [question.text for question in asked if contains(question.text, question.target)]
    assert len(given) / len(asked) < 0.002, given  # the golden cup of a Cup


def test_a_task_asks_each_fact_once_what_it_implies_in_every_wording_and_what_two_sentences_say():
    for entry in made(count=20):
        found = task(entry, Random(0)).questions
        assert len({question.text for question in found}) == len(found)
        by_kind = {kind: [q.target for q in found if q.kind == kind] for kind in (STATED, IMPLIED, TWO_SENTENCES)}
        assert by_kind[STATED] == [claim.value for claim in entry.claims]
        assert by_kind[IMPLIED] == [claim.value for claim in entry.implied for _ in range(2)]
        assert by_kind[TWO_SENTENCES] == [entry.told.value]


def test_nothing_is_asked_of_the_sentences_that_are_beside_the_point():
    assert all(fact.questions == () for fact in UNASKED)
    for entry in made(count=50):
        keys = {claim.key for claim in entry.claims}
        assert not {claim.key for claim in entry.unasked} & keys and len(entry.unasked) == 2
        assert len(questions(entry, Random(0))) == 6 + 2 * len(entry.implied) + 1
