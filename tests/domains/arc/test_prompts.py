"""Both formats: what is written can be read, and what cannot be read is a ValueError."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as numpy_strategies

from selfedit.domains.arc.prompts import FORMATS

shapes = st.tuples(st.integers(1, 30), st.integers(1, 30))
grids = shapes.flatmap(lambda shape: numpy_strategies.arrays(np.int_, shape, elements=st.integers(0, 9)))
ONE, TWO = np.array([[0, 1], [2, 3]]), np.array([[4, 5, 6]])


@pytest.mark.parametrize("name", FORMATS)
@given(grid=grids)
def test_a_grid_is_read_as_it_was_written(name, grid):
    form = FORMATS[name]
    assert form.read(form.output(grid)) == form.read(form.output(grid).strip()) == grid.tolist()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("text", ["", " ", "no grid", "1a", "-1", "1.5", "[]", "٣", "²", "1 x 2", "12\n\n34\nx"])
def test_what_is_no_grid_cannot_be_read(name, text):
    with pytest.raises(ValueError, match="is not"):
        FORMATS[name].read(text)


def test_the_compact_format_has_a_character_per_cell_and_row():
    form, pair = FORMATS["compact"], (ONE, TWO)
    assert form.question([pair], TWO) == "I01\n23\nO456\nI456\nO"
    assert form.whole([pair], (TWO, ONE)) == form.question([pair], TWO) + form.output(ONE)
    assert [form.plan([pair], wide) for wide in (False, True)] == ["I01\n23\nO456\nP", "I01\n23\nO456\nW"]


@given(grids)
def test_seals_format_writes_arrays_as_numpy_prints_them(grid):
    assert FORMATS["seal"].output(grid) == f"{np.array2string(grid, threshold=10**6, max_line_width=10**6)}#"


def test_seals_prompts_show_the_examples_and_say_what_is_asked():
    form, pair = FORMATS["seal"], (ONE, TWO)
    assert form.question([pair], TWO).endswith("[[0 1]\n [2 3]] -> [[4 5 6]]#\n\n[[4 5 6]] ->")
    assert form.whole([pair], (TWO, ONE)).endswith("[[4 5 6]] -> [[0 1]\n [2 3]]#")
    assert "Input:\n0 1\n2 3\nOutput:\n4 5 6\n" in form.plan([pair], wide=False)
