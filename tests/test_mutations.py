"""The hostile inputs are hostile, bounded and the same each time; and a reader that lets one through is caught."""

import json
import tomllib

import pytest
from hypothesis import given
from mutations import LARGEST, examples, mutated_bytes, mutated_json, mutated_toml, survives

from selfedit.errors import InputError

RECORD = {"title": "Apollo", "questions": [{"question": "When?", "answer": "1969"}], "n": 3}
TOML = '[model]\nname = "almanac"\n[outer]\nrounds = 3\n'


def is_read(read, content):
    try:
        return read(content) is not None
    except (ValueError, RecursionError):
        return False


@pytest.mark.parametrize(
    ("inputs", "read"),
    [(mutated_json(RECORD, [1]), json.loads), (mutated_toml(TOML), lambda content: tomllib.loads(content.decode()))],
)
def test_mutations_are_bounded_and_some_can_still_be_read(inputs, read):
    readable = []

    @examples(60)
    @given(inputs)
    def collect(content):
        assert isinstance(content, bytes) and len(content) <= LARGEST
        readable.append(is_read(read, content))

    collect()
    assert True in readable and False in readable


@given(mutated_bytes(b"some bytes"))
@examples(60)
def test_bytes_are_bounded(content):
    assert isinstance(content, bytes) and len(content) <= LARGEST


def refuse(message, kind=InputError):
    raise kind(message)


def test_a_reader_that_raises_something_else_or_shows_too_much_is_caught():
    assert survives(lambda: 3) == 3 and survives(refuse, "x is no number; write one") is None
    with pytest.raises(KeyError):
        survives(refuse, "title", KeyError)
    with pytest.raises(AssertionError):
        survives(refuse, "x" * 9999)
    assert survives(refuse, "two\nlines \x1b[2J \ud800") is None  # errors put these right themselves
    with pytest.raises(AssertionError):
        survives(refuse, "two\nlines", ValueError, errors=ValueError)
