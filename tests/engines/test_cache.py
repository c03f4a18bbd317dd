"""Answers kept on disk: what was written is read, and nothing else is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.engines.cache import AnswerCache, key_of
from selfedit.errors import InputError

BODY = {"url": "http://host/v1/completions", "model": "m", "prompt": "What?", "seed": 0}


def stored(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


@given(text=st.text(), prompt=st.text())
def test_what_was_written_is_read_again(tmp_path_factory, text, prompt):
    folder, body = tmp_path_factory.mktemp("answers"), {**BODY, "prompt": prompt}
    AnswerCache(folder).write(body, text)
    assert AnswerCache(folder).read(body) == text
    (path,) = stored(folder)
    assert path == folder / key_of(body)[:2] / f"{key_of(body)}.json"


@pytest.mark.parametrize("change", [{"url": "x"}, {"model": "n"}, {"prompt": "Who?"}, {"seed": 1}, {"top_p": 0.5}])
def test_another_request_has_another_key(tmp_path, change):
    answers = AnswerCache(tmp_path)
    answers.write(BODY, "one")
    assert answers.read({**BODY, **change}) is None


def test_a_key_does_not_depend_on_the_order(tmp_path):
    assert key_of(BODY) == key_of(dict(reversed(BODY.items())))


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"text": "one"}', b"\xff\xfe", "not mine", "no text"])
def test_a_damaged_answer_is_not_there_and_can_be_written_again(tmp_path, damage):
    answers = AnswerCache(tmp_path)
    answers.write(BODY, "one")
    (path,) = stored(tmp_path)
    rows = {"not mine": {"request": {}, "text": "one"}, "no text": {"request": BODY, "text": 3}}
    content = json.dumps(rows[damage]) if damage in rows else damage
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert answers.read(BODY) is None
    answers.write(BODY, "two")
    assert answers.read(BODY) == "two" and stored(tmp_path) == [path]


def test_without_a_folder_nothing_is_kept():
    answers = AnswerCache(None)
    answers.write(BODY, "one")
    assert answers.read(BODY) is None


def test_a_disk_that_refuses_is_the_users_to_mend(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write to .*file: .*; free some space, then resume"):
        AnswerCache(tmp_path / "file").write(BODY, "one")
