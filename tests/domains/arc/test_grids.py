"""Augmentations, by properties; the counts of training rows, against SEAL's code (docs/seal.md 3.3)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from selfedit.domains.arc.grids import (
    AUGMENTATIONS,
    VIEWS,
    Rng,
    capped,
    key,
    leave_out,
    recoloured,
    reordered,
    to_grid,
    training_rows,
    translated,
    unique,
)

shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))
grids = shapes.flatmap(lambda shape: numpy_strategies.arrays(np.int_, shape, elements=st.integers(0, 9)))
pairs = st.tuples(grids, grids)
rows = st.lists(pairs, min_size=1, max_size=4).map(tuple)
NAMES = [(group, name) for group, augmentations in AUGMENTATIONS.items() for name in augmentations]

UNDO = {
    "rotate 90": lambda grid: np.rot90(grid, 3),
    "rotate 270": lambda grid: np.rot90(grid, 1),
    "rotate 180": lambda grid: np.rot90(grid, 2),
    "flip 0": np.flipud,
    "flip 1": np.fliplr,
    "transpose": np.transpose,
    "mirror 0": lambda grid: grid[: len(grid) // 2],
    "mirror 1": lambda grid: grid[:, : grid.shape[1] // 2],
    "mirror 0, image first": lambda grid: grid[len(grid) // 2 :],
    "mirror 1, image first": lambda grid: grid[:, grid.shape[1] // 2 :],
    "twice as large": lambda grid: grid[::2, ::2],
    "twice as high": lambda grid: grid[::2],
    "twice as wide": lambda grid: grid[:, ::2],
    "repeat 0": lambda grid: grid[: len(grid) // 2],
    "repeat 1": lambda grid: grid[:, : grid.shape[1] // 2],
    "repeat both": lambda grid: grid[: len(grid) // 2, : grid.shape[1] // 2],
}


def undo(name, grid):
    first, _, then = name.partition(", twice")
    return UNDO[first](grid[::2, ::2]) if then else UNDO[name](grid)


def task(demonstrations, seed=5):
    rng = Rng(seed)
    return [(rng.randint(0, 10, (5, 6)), rng.randint(0, 10, (4, 7))) for _ in range(demonstrations)]


# Augmentations


def test_there_are_the_23_of_seal():
    assert {group: len(of_group) for group, of_group in AUGMENTATIONS.items()} == {
        "basic": 11,
        "size": 3,
        "chain": 6,
        "repeat": 3,
    }


@pytest.mark.parametrize(("group", "name"), [pair for pair in NAMES if pair[1] != "translate"])
@given(row=rows)
def test_an_augmentation_can_be_undone_on_inputs_and_outputs_alike(group, name, row):
    changed = AUGMENTATIONS[group][name](row, Rng(0))
    assert key(tuple((undo(name, grid), undo(name, output)) for grid, output in changed)) == key(row)


@given(grids, st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_a_pair_is_shifted_as_one_and_each_by_its_own_shift(grid, seed, count):
    moved = translated(((grid, grid),) * count, Rng(seed))
    assert all((a == b).all() for a, b in moved)
    assert [sorted(a.ravel()) for a, _ in moved] == [sorted(grid.ravel())] * count
    places = np.arange(grid.size).reshape(grid.shape)
    if grid.size > 1:
        assert all((a != places).any() for a, _ in translated(((places, places),) * count, Rng(seed)))


def test_shifts_differ_from_pair_to_pair_and_from_row_to_row():
    rng, places = Rng(0), np.arange(100).reshape(10, 10)
    (first, _), (second, _) = translated(((places, places),) * 2, rng)
    ((third, _),) = translated(((places, places),), rng)
    assert len({first[0, 0], second[0, 0], third[0, 0]}) == 3


@given(rows, st.integers(0, 2**32 - 1))
def test_colours_are_permuted_for_the_whole_row_and_the_background_stays(row, seed):
    changed = recoloured(row, Rng(seed))
    mapping = {
        (int(old), int(new))
        for before, after in zip(row, changed, strict=True)
        for a, b in zip(before, after, strict=True)
        for old, new in zip(a.ravel(), b.ravel(), strict=True)
    }
    assert len({old for old, _ in mapping}) == len({new for _, new in mapping}) == len(mapping)
    assert all((old == 0) == (new == 0) for old, new in mapping)


@given(rows, st.integers(0, 2**32 - 1))
def test_another_order_shows_the_same_pairs_and_asks_the_same(row, seed):
    changed = reordered(row, Rng(seed))
    assert key(changed[-1:]) == key(row[-1:])
    assert sorted(key((pair,)) for pair in changed) == sorted(key((pair,)) for pair in row)


@pytest.mark.parametrize("name", VIEWS)
@given(grid=grids)
def test_a_view_can_be_shown_back(name, grid):
    there, back = VIEWS[name]
    assert (back(there(grid)) == grid).all()


# Training rows


def test_every_pair_is_asked_after_the_others_and_after_the_others_but_one():
    pairs = task(4)
    one, two = leave_out(pairs, 1), leave_out(pairs, 2)
    assert (len(one), len(two), {len(row) for row in one}, {len(row) for row in two}) == (4, 12, {4}, {3})
    assert [key(row[-1:]) for row in one] == [key((pair,)) for pair in pairs]
    assert len(unique([*one, *two])) == 16


@pytest.mark.parametrize(
    ("groups", "counts"),
    [
        ([], [4, 10, 23, 47, 69]),
        (["basic"], [96, 216, 384, 600, 864]),
        (["size"], [32, 72, 128, 200, 288]),
        (["chain"], [56, 126, 224, 350, 504]),
        (["repeat"], [32, 72, 128, 200, 288]),
        (list(AUGMENTATIONS), [192, 432, 768, 1200, 1728]),
    ],
    ids=lambda value: "+".join(map(str, value)) or "none",
)
def test_two_to_six_demonstrations_make_as_many_rows_as_seals_code_does(groups, counts):
    """docs/seal.md 3.3, "rows before the cap"; where it gives a range the upper end is of tasks without equal rows."""
    assert [len(training_rows(task(number), groups, seed=0)) for number in range(2, 7)] == counts


def test_on_seals_tasks_the_counts_lie_in_its_ranges(shared):
    import json

    ranges = {
        "": [(4, 4), (10, 10), (23, 23), (47, 47), (69, 69)],
        "basic": [(96, 96), (188, 216), (256, 384), (600, 600), (864, 864)],
        "size": [(32, 32), (44, 72), (32, 128), (200, 200), (288, 288)],
        "repeat": [(32, 32), (44, 72), (32, 128), (200, 200), (288, 288)],
        "chain": [(56, 56), (42, 126), (32, 224), (350, 350), (504, 504)],
    }
    for path in (shared / "data/arc/seal_subset/data").glob("*challenges_filtered*.json"):
        for task in json.loads(path.read_text()).values():
            pairs = [(to_grid(pair["input"]), to_grid(pair["output"])) for pair in task["train"]]
            for group, by_number in ranges.items():
                low, high = by_number[len(pairs) - 2]
                count = len(training_rows(pairs, [group] if group else [], seed=0))
                assert 0.98 * low <= count <= high  # new colours may by chance be the old ones


@given(st.integers(2, 4), st.sets(st.sampled_from(list(AUGMENTATIONS))), st.integers(0, 2**32 - 1))
def test_rows_are_different_small_enough_and_the_same_every_time(number, groups, seed):
    rows = training_rows(task(number), sorted(groups), seed, max_side=12)
    assert len(unique(rows)) == len(rows) and rows
    assert max(max(grid.shape) for row in rows for pair in row for grid in pair) <= 12
    again = training_rows(task(number), sorted(groups), seed, max_side=12)
    assert [key(row) for row in rows] == [key(row) for row in again]


def test_copies_bring_the_rows_again_in_other_orders_and_colours():
    plain, more = (training_rows(task(3), ["size"], 0, copies=copies) for copies in (1, 3))
    assert (len(plain), len(more)) == (72, 144)


def test_leave_two_can_be_left_out():
    assert {len(row) for row in training_rows(task(4), [], 0, leave_two=False)} == {4}


def test_one_demonstration_makes_no_row():
    assert training_rows(task(1), ["basic"], 0) == []


def test_a_cap_keeps_so_many_by_chance_and_a_smaller_list_as_it_is():
    rows = training_rows(task(3), ["basic"], 0)
    kept = capped(rows, 50, 7)
    assert len(kept) == 50 == len(unique(kept)) and {key(row) for row in kept} < {key(row) for row in rows}
    assert [key(row) for row in capped(rows, 50, 7)] == [key(row) for row in kept]
    assert [key(row) for row in capped(rows, 300, 7)] == [key(row) for row in rows]


# Reading


def test_grids_of_every_size_are_read():
    for rows, columns in [(1, 1), (30, 30), (1, 30), (30, 1)]:
        assert to_grid([[9] * columns for _ in range(rows)]).shape == (rows, columns)


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ([[1, 2], [3]], "ragged"),
        ([[0, 10]], "from 0 to 9; one here is 10"),
        ([[0, -1]], "one here is -1"),
        ([[True]], "one here is True"),
        ([[1.0]], "one here is 1.0"),
        ([["1"]], "one here is '1'"),
        ([[None]], "one here is None"),
        ([], "list of rows"),
        ([[]], "1 to 30"),
        ([[0] * 31], "1 x 31"),
        ([[0]] * 31, "31 x 1"),
        ([1, 2], "list of rows"),
        ("12", "list of rows"),
        (None, "list of rows"),
    ],
)
def test_what_is_no_grid_is_refused_with_a_reason(value, complaint):
    with pytest.raises(ValueError, match=complaint):
        to_grid(value)
