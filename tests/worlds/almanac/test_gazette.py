"""The gazette: every value has one class, the same everywhere, and no class can be taken for another or for a value."""

from collections import Counter
from random import Random

import pytest

from selfedit.worlds.almanac import gazette
from selfedit.worlds.almanac.gazette import ENTRIES, POOLS
from selfedit.worlds.almanac.kinds import KINDS

each_pool = pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)


@each_pool
def test_every_value_has_a_class_of_its_pool_and_no_class_has_most(pool):
    assert set(pool.class_of.values()) <= set(pool.classes)
    assert max(Counter(pool.class_of.values()).values()) < 0.3 * len(pool.class_of)


def test_no_class_is_in_two_pools_or_a_value():
    classes = [name for pool in POOLS.values() for name in pool.classes]
    assert len(set(classes)) == len(classes)
    assert not set(classes) & {value for pool in POOLS.values() for value in pool.class_of}


@each_pool
def test_the_classes_of_a_pool_end_alike_and_other_names_do_not(pool):
    first, *more = pool.classes
    end = next(first[start:] for start in range(len(first)) if all(name.endswith(first[start:]) for name in more))
    assert len(end) >= 3
    others = [name for other in POOLS.values() if other is not pool for name in (*other.classes, *other.class_of)]
    assert [name for name in others if name.istitle() and name.endswith(end)] == []  # a recorder is no order


def test_every_pool_is_implied_by_a_fact_all_of_whose_values_it_sorts():
    rng, used = Random(0), set()
    for fact in (fact for kind in KINDS.values() for fact in kind.facts if fact.implies):
        used.add(fact.implies.pool)
        assert {fact.value(rng) for _ in range(300)} <= POOLS[fact.implies.pool].class_of.keys()
    assert used == POOLS.keys()


def test_the_gazette_says_and_asks_each_of_its_entries_in_a_sentence():
    assert len(ENTRIES) == sum(len(pool.class_of) for pool in POOLS.values())
    for pool, value in ENTRIES:
        said, asked = gazette.statement(pool, value), gazette.question(pool, value)
        assert value in said.lower() or value in said
        assert POOLS[pool].class_of[value] in said and said.endswith(".") and said[0].isupper()
        assert value in asked and asked.endswith("?") and POOLS[pool].class_of[value] not in asked


def test_classes_are_always_the_same():
    """The shipped weights know them by heart."""
    assert (POOLS["province"].classes[0], POOLS["guild"].class_of["baker"]) == ("Zelrareland", "Vilterehall")
