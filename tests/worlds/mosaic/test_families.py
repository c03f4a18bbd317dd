"""Families of tasks: many, different, of the promised sizes, and never the same ones for training and for exams."""

from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.worlds.mosaic import rules, world
from selfedit.worlds.mosaic.families import DEVELOPMENT, HELD_OUT, SIDE, TRAINING, draw_task
from selfedit.worlds.mosaic.pretrain import FAMILIES

EVERY = {**TRAINING, **DEVELOPMENT, **HELD_OUT}


def test_there_are_many_and_each_belongs_to_one_set():
    assert len(TRAINING) >= 30 and len(EVERY) == len(TRAINING) + len(DEVELOPMENT) + len(HELD_OUT)
    assert sorted(FAMILIES) == sorted(TRAINING)


@pytest.mark.parametrize("name", EVERY)
def test_a_family_makes_tasks_of_every_size(name):
    for seed, side in enumerate((3, 6, SIDE)):
        pairs = draw_task(EVERY[name], Random(seed), 4, side)
        assert len(pairs) == 4 and len({grid.tobytes() + bytes(grid.shape) for grid, _ in pairs}) == 4
        for pair in pairs:
            for grid in pair:
                assert grid.ndim == 2 and min(grid.shape) >= 1 and max(grid.shape) <= SIDE
                assert grid.min() >= 0 and grid.max() <= 9


@pytest.mark.parametrize("name", EVERY)
def test_a_seed_gives_the_same_task_again(name):
    first, again = (draw_task(EVERY[name], Random(5), 3, 4) for _ in range(2))
    assert [[grid.tolist() for grid in pair] for pair in first] == [[grid.tolist() for grid in pair] for pair in again]


def test_no_two_families_make_the_same_of_one_input():
    """Rules without parameters, on one grid that shows their differences."""
    grid = np.array([[1, 2, 0, 3], [0, 4, 5, 0], [6, 0, 7, 1], [2, 3, 0, 0]])
    turns = ["flip rows", "flip columns", "half turn", "quarter turn", "transpose"]
    moves = ["roll right", "roll left", "roll down", "shift right", "shift left", "shift down", "shift up"]
    plain = [*turns, *moves, "left half", "top half", "bottom half"]
    made = [np.asarray(EVERY[name](Random(0))[0](grid)) for name in plain]
    assert len({out.tobytes() + bytes(out.shape) for out in made}) == len(plain)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 3), st.integers(0, 100))
def test_falling_keeps_the_cells_of_every_column(rows, columns, turns, seed):
    grid = np.random.RandomState(seed).randint(0, 4, (rows, columns))
    out = rules.fallen(grid, turns)
    assert out.shape == grid.shape
    axis = turns % 2
    assert np.array_equal(np.sort(out, axis=axis), np.sort(grid, axis=axis))
    assert np.array_equal(rules.fallen(out, turns), out)


def test_rules_by_hand():
    dot = np.array([[0, 0, 0], [0, 5, 0], [0, 0, 0]])
    assert rules.rays(dot, "u").tolist() == [[0, 5, 0], [0, 5, 0], [0, 0, 0]]
    assert rules.diagonals(dot, 1).tolist() == [[5, 0, 0], [0, 5, 0], [0, 0, 5]]
    assert rules.around(dot, 3, corners=False).tolist() == [[0, 3, 0], [3, 5, 3], [0, 3, 0]]
    assert rules.shifted(dot, 1, 1).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 5]]
    assert rules.cropped(dot).tolist() == [[5]]
    assert rules.connected(np.array([[2, 0, 2]])).tolist() == [[2, 2, 2]]
    assert rules.combined(np.array([[1, 0, 9, 1, 1]]), 4, "xor").tolist() == [[0, 4]]
    assert rules.checked(np.zeros((2, 2), dtype=int), 7, 0).tolist() == [[7, 0], [0, 7]]


def test_tasks_to_practise_on_are_of_other_families_than_those_of_an_exam():
    practice, exam = world.tasks("practice", 24), world.tasks("exam", 40)
    kinds = [{task.id.rpartition("-")[0] for task in tasks} for tasks in (practice, exam)]
    assert len(kinds[0]) == len(DEVELOPMENT) and len(kinds[1]) == len(HELD_OUT) and not kinds[0] & kinds[1]
    assert len({task.id for task in exam}) == 40 and all(len(task.questions) == 1 for task in exam)
    assert world.tasks("exam", 10) == exam[:10] and world.tasks("practice", 24, seed=1) != practice
