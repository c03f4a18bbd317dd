"""Files in: what they hold, or one sentence that says which file and what to do."""

import json
import os

import pytest
from hypothesis import given
from mutations import HOSTILE_JSON, examples, mutated_bytes, mutated_json, survives

from selfedit.errors import InputError
from selfedit.files import parse_json, read_bytes, read_json, read_text


def refused(read, *arguments):
    with pytest.raises(InputError) as error:
        read(*arguments)
    return str(error.value)


def test_what_has_no_end_or_is_too_large_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large.txt").write_bytes(b"12345")
    assert "is no ordinary file" in refused(read_bytes, tmp_path / "pipe")
    assert "is no ordinary file" in refused(read_bytes, tmp_path.__class__("/dev/zero"))
    assert "is larger than 0 MB" in refused(read_bytes, tmp_path / "large.txt", 4)
    assert read_bytes(tmp_path / "large.txt", 5) == b"12345"


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
def test_what_cannot_be_the_name_of_a_file_is_no_fault_of_ours(tmp_path, name):
    assert "cannot be the name of a file" in refused(read_bytes, tmp_path / name)


def test_lines_end_in_one_way(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(tmp_path / "a.txt") == "a\nb\nc\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"a": 1,\n}', "x is not JSON: .* in line"),
        ("[NaN]", "x is not JSON: NaN is no number"),
        ("[1e400]", "x is not JSON: a number is too large"),
        ("[1" + "0" * 5000 + "]", "x is not JSON: Exceeds the limit"),
        ("[" * 100_000, "x is nested too deeply"),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "x is not JSON: the key 'c' stands twice"),
        ('["\\ud800"]', "x holds half of a character"),
    ],
)
def test_what_python_takes_and_json_has_not_is_refused(text, complaint):
    with pytest.raises(InputError, match=complaint):
        parse_json(text, "x")


def test_whole_surrogate_pairs_are_characters():
    assert parse_json('["\\ud83d\\ude00"]', "x") == ["😀"]


@pytest.mark.parametrize("text", HOSTILE_JSON)
def test_hostile_json_is_read_or_refused(text):
    value = survives(parse_json, text, "x")
    assert value is None or json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@examples(40)
@given(mutated_bytes(b'[{"a": [1, 2.5, null], "b": "text"}]') | mutated_json([{"a": [1, 2.5, None], "b": "text"}]))
def test_any_bytes_are_read_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(content)
    survives(read_json, path)
