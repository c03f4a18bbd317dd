"""A key in somebody else's words: whole, cut or encoded, it is not shown."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfedit.engines.redact import SHOWN_AT_MOST, forms, without_key

KEY = "sk-proj-Ab12+Cd34/Ef56=Gh78"
B64 = base64.b64encode


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"bad key {KEY}!", "bad key ...!"),
        (f"bad key {KEY.upper()}!", "bad key ...!"),
        (f"it begins with {KEY[:-1]}", "it begins with ..."),
        (f"{KEY[:8]}*****{KEY[-4:]}", f"...*****{KEY[-4:]}"),
        (f"it ends with {KEY[-8:]}", "it ends with ..."),
        (B64(KEY.encode()).decode(), "..."),
        (f"url {quote(KEY, safe='')}", "url ..."),
        (f"hex {KEY.encode().hex()}", "hex ..."),
        ("nothing of it", "nothing of it"),
        (KEY[:SHOWN_AT_MOST], KEY[:SHOWN_AT_MOST]),
        ("", ""),
    ],
)
def test_what_is_shown(text, shown):
    assert without_key(text, KEY) == shown


@given(st.text(), st.text(), st.integers(0, 20), st.integers(0, 20))
def test_no_piece_of_it_is_left(before, after, start, length):
    shown = without_key(before + KEY[start : start + length] + after, KEY).lower()
    size = SHOWN_AT_MOST + 1
    assert not any(KEY[at : at + size].lower() in shown for at in range(len(KEY) - size + 1))


@given(st.binary(max_size=9))
def test_in_base64_it_is_found_wherever_it_begins(before):
    shown = without_key(B64(before + KEY.encode() + b" and more").decode(), KEY)
    assert len(shown) < 4 * (len(before) + 9) / 3 + 24


@given(st.text())
def test_without_a_key_nothing_changes(text):
    assert without_key(text, "") == text


def test_a_short_key_goes_as_a_whole():
    assert without_key("the key abc is bad", "abc") == "the key ... is bad"


@given(st.binary(max_size=9), st.binary(max_size=9))
def test_a_whole_key_is_found_in_base64_by_one_of_its_forms(before, after):
    text = B64(before + KEY.encode() + after).decode()
    assert any(form in text for form in forms(KEY))
