"""The almanac's world: splits that cannot meet, and tasks that can be answered."""

import os
import subprocess
import sys
from itertools import islice
from random import Random

import pytest

from selfedit.graders.exact import Contains
from selfedit.types import Question
from selfedit.worlds.almanac.kinds import KINDS
from selfedit.worlds.almanac.world import SPLITS, answer, entries, passage, shuffled, split_of, statement, task, tasks

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
    questions = [text for fact in kind.facts for text in fact.questions]
    assert len(questions) == len(set(questions))


# Wordings


@pytest.mark.parametrize(
    ("template", "subject", "value", "expected"),
    [
        ("{s} worked as a {v}.", "she", "engraver", "She worked as an engraver."),
        ("{s} worked as a {v}.", "she", "baker", "She worked as a baker."),
        ("for many years {s} worked as a {v}.", "Ada Velin", "judge", "For many years Ada Velin worked as a judge."),
        ("{s} was settled in the year {v}.", "Torvik", "1130", "Torvik was settled in the year 1130."),
    ],
)
def test_a_statement_is_an_english_sentence(template, subject, value, expected):
    assert statement(template, subject, value) == expected


def test_the_answer_is_the_canonical_statement_with_a_pronoun():
    (entry,) = islice(entries("exam", 0), 1)
    fact, value = entry.facts[0]
    assert answer(entry, fact, value) == statement(fact.statements[0], entry.pronoun, value)


def test_a_passage_begins_with_the_name_and_states_every_fact_once():
    rng = Random(0)
    for entry in islice(entries("exam", 0), 100):
        facts = shuffled(entry, rng)
        text = passage(entry, facts, rng)
        assert entry.name in text.split(".")[0]
        assert text.count(".") == len(facts)
        assert [text.index(value) for _, value in facts] == sorted(text.index(value) for _, value in facts)


def test_after_the_first_sentence_a_passage_mostly_says_she_he_or_it():
    rng, names = Random(0), 0
    for entry in islice(entries("exam", 0), 100):
        names += passage(entry, entry.facts, rng).count(entry.name)
    assert 100 < names < 250  # of 600 sentences


# Tasks


def test_the_same_arguments_give_the_same_tasks():
    assert tasks("exam", 20, seed=3) == tasks("exam", 20, seed=3)


def test_fewer_tasks_are_the_first_of_more():
    assert tasks("exam", 5) == tasks("exam", 20)[:5]


def test_another_seed_gives_other_tasks():
    assert not {task.id for task in tasks("exam", 20, seed=0)} & {task.id for task in tasks("exam", 20, seed=1)}


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
def test_every_answer_stands_in_its_passage(split):
    for made in tasks(split, 200):
        assert [q.text for q in made.questions if not contains(made.context, q.target)] == []


@pytest.mark.parametrize("split", SPLITS)
def test_every_question_names_its_subject(split):
    for made in tasks(split, 200):
        assert [q.text for q in made.questions if made.title not in q.text] == []


@pytest.mark.parametrize("split", SPLITS)
def test_hardly_a_question_gives_its_answer_away(split):
    questions = [question for made in tasks(split, 500) for question in made.questions]
    given = [question.text for question in questions if contains(question.text, question.target)]
    assert len(given) / len(questions) < 0.002, given  # the golden cup of a Cup


def test_a_task_asks_about_every_fact_of_its_entry():
    for entry in islice(entries("exam", 0), 20):
        assert tuple(question.target for question in task(entry, Random(0)).questions) == entry.values
