"""Names in a config: rows of a table, and what an outside package holds."""

import string

import pytest

from selfedit.errors import InputError
from selfedit.plugins import lookup

TABLE = {"gain": 1, "binary": 2}


def test_a_name_in_the_table_is_its_row():
    assert lookup(TABLE, "binary", "outer.reward") == 2


def test_a_path_is_what_the_package_holds():
    assert lookup(TABLE, "string:capwords", "outer.reward") is string.capwords
    assert lookup(TABLE, "os.path:join", "outer.reward").__name__ == "join"
    assert lookup(TABLE, "string:Template.substitute", "outer.reward") is string.Template.substitute


def test_a_row_goes_before_a_path():
    assert lookup({"string:capwords": 3}, "string:capwords", "outer.reward") == 3


def test_a_name_that_is_not_there_comes_with_those_that_are():
    with pytest.raises(InputError) as error:
        lookup(TABLE, "gian", "outer.reward")
    assert str(error.value) == "outer.reward is 'gian'; it can be gain, binary, or package.module:name"


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("not_there:gain", "No module named 'not_there'"),
        ("string.not_there:gain", "No module named 'string.not_there'"),
        ("string:not_there", "has no attribute 'not_there'"),
        ("string:Template.not_there", "has no attribute 'not_there'"),
        ("string:", ""),
        (":gain", ""),
        (".string:gain", ""),
    ],
)
def test_a_path_that_leads_nowhere_is_said_with_its_key_and_why(path, why):
    with pytest.raises(InputError) as error:
        lookup(TABLE, path, "outer.reward")
    assert str(error.value).startswith(f"outer.reward is {path!r}, which cannot be imported: ")
    assert why in str(error.value) and "\n" not in str(error.value)
