"""Hostile inputs for whatever reads files: a reader returns, or raises one of the project's errors, in one plain line.

    @examples(40)
    @given(content=mutated_json(RECORDS) | mutated_bytes(b"..."))
    def test_any_file_is_read_or_refused(content):
        survives(read_tasks, write("data.json", content))

Everything is seeded and bounded: no input is larger than `LARGEST`. SELFEDIT_EXAMPLES=15000 tries that many a test.
"""

import codecs
import json
import os
import unicodedata

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from selfedit.errors import SelfEditError

LARGEST = 2_000_000
"""Bytes. Most inputs are a thousand times smaller."""

HOSTILE_TEXTS = [
    *("", " ", "\n", "\r", "\t", "\x00", "\x07", "\x0c", "\x1b[2J", "\x1b]0;owned\x07", "\x7f", "\x85", "\x9b31m"),
    *(
        "\u2028",
        "\u202eabc",
        "\ufeff",
        "\ufffd",
        "\ufffe",
        "\ud800",
        "e\u0301\u0301",
        "👩\u200d👩\u200d👧",
        "ﬁ",
        "İ",
        "ß",
    ),
    *("../../etc/passwd", "/dev/zero", "~", "a/b\\c", ".", "..", "CON", "%s%n", "{0}", "{{7*7}}", "${HOME}", "[/bold]"),
    *("</script>", "'; drop table runs; --", "<|im_end|>", "NaN", "null", "-1", "1e999", "x" * 300, "長" * 100_000),
]
"""Words that break programs: control characters, bidi, half a surrogate pair, paths, templates, markup, sizes."""

HOSTILE_JSON = [
    *("null", "true", "false", "0", "-1", "1", "2", "0.5", "-0.0", "NaN", "Infinity", "-Infinity", "1e308", "1e400"),
    *("9223372036854775808", "1" + "0" * 400, "1" + "0" * 5000, "[]", "{}", "[[]]", '[""]', "[null]", '{"": null}'),
    *("[" * 900 + "]" * 900, "[" * 100_000, "[" * 100_000 + "]" * 100_000, '{"a":' * 900 + "1" + "}" * 900),
    *('{"a": 1, "a": 2}', '"\\ud800"', '"\\u0000"', '"\\u001b[2J"', "01", "+1", "'a'", "undefined", "", ",", "/*x*/"),
    *(json.dumps(text) for text in HOSTILE_TEXTS),
]
"""JSON, or nearly: values to put where something else should stand."""

HOSTILE_TOML = [
    *("true", "0", "-1", "nan", "inf", "1e400", "1" + "0" * 400, "9223372036854775808", "''", '""', '"\\u0000"', "[]"),
    *(
        "{}",
        "[[]]",
        '[1, "a"]',
        "{a = 1, a = 2}",
        "1979-05-27",
        "1979-05-27T07:32:00Z",
        "[" * 5000 + "]" * 5000,
        "",
        "=",
    ),
    *('"\\u001b[2J"', "'''", '"""', "0x10", "1_000", '"' + "x" * 100_000 + '"', "['\\']", "# nothing"),
]


def examples(few):
    """Settings for a test of hostile inputs: so many in the suite, as many as SELFEDIT_EXAMPLES says if it is set."""
    count = int(os.environ.get("SELFEDIT_EXAMPLES", few))
    return settings(max_examples=count, database=None, suppress_health_check=list(HealthCheck))


def survives(read, *arguments, errors=SelfEditError):
    """What the reader returns, or None where it refuses in one line fit for a terminal. Other errors are raised."""
    try:
        return read(*arguments)
    except errors as error:
        message = str(error)
        assert message.strip() and len(message) < 5000, "an error says what is wrong, and not the whole file"
        bad = sorted({letter for letter in message if unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")})
        assert not bad, f"an error holds characters that steer a terminal or cannot be printed: {bad!r} in {message!r}"
        return None


def mutated_bytes(*originals, most=4):
    """Bytes of one of the originals after up to `most` changes: flips, cuts, insertions, repeats, other codes."""
    return st.composite(_mutate_bytes)(originals, most)


def mutated_json(*originals, most=3):
    """UTF-8 of JSON like one of the original values: values replaced, keys gone, renamed, added or said twice; or bytes
    that are no longer JSON.
    """
    texts = st.composite(_mutate_json)(originals, most).map(_encoded)
    return texts | texts | mutated_bytes(*(json.dumps(original).encode() for original in originals))


def mutated_toml(*originals, most=3):
    """UTF-8 of TOML like one of the originals: values replaced, lines gone, doubled or added; or damaged bytes."""
    texts = st.composite(_mutate_toml)(originals, most).map(_encoded)
    return texts | texts | mutated_bytes(*(original.encode() for original in originals))


def _encoded(text):
    return text.encode("utf-8", "surrogatepass")


# Bytes

_MARKS = [
    codecs.BOM_UTF8,
    codecs.BOM_UTF16_LE,
    codecs.BOM_UTF16_BE,
    codecs.BOM_UTF32_LE,
    b"\x1f\x8b",
    b"PK\x03\x04",
    b"%PDF-",
]
_PIECES = [
    *_MARKS,
    b"\x00" * 64,
    b"\xff" * 16,
    b"\xc3",
    b"\xed\xa0\x80",
    b"\r",
    b"\n" * 500,
    b'"',
    b"[" * 3000,
    b"9" * 5000,
]
_PIECES += [_encoded(text) for text in HOSTILE_TEXTS]
_CODES = ["utf-16", "utf-16-le", "utf-32", "utf-8-sig", "latin-1", "cp1252", "shift_jis", "utf-7"]


def _mutate_bytes(draw, originals, most):
    data = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from([0, 1, 2, 8, 64, 1000])))
        change = draw(st.sampled_from([_flip, _cut, _end, _insert, _insert, _repeat, _begin, _recode]))
        data = change(draw, data, start, end)[:LARGEST]
    return data


def _flip(draw, data, start, end):
    mask = draw(st.integers(1, 255))
    return data[:start] + bytes(byte ^ mask for byte in data[start:end]) + data[end:]


def _cut(draw, data, start, end):
    return data[:start] + data[end:]


def _end(draw, data, start, end):
    return data[:start]


def _insert(draw, data, start, end):
    return data[:start] + draw(st.sampled_from(_PIECES) | st.binary(max_size=8)) + data[end:]


def _repeat(draw, data, start, end):
    return data[:start] + data[start:end] * draw(st.sampled_from([2, 3, 100])) + data[end:]


def _begin(draw, data, start, end):
    return draw(st.sampled_from(_MARKS)) + data


def _recode(draw, data, start, end):
    return data.decode("utf-8", "replace").encode(draw(st.sampled_from(_CODES)), "replace")


# JSON


def _mutate_json(draw, originals, most):
    value, raw = draw(st.sampled_from(originals)), {}
    for _ in range(draw(st.integers(1, most))):
        value = _changed(draw, value, draw(st.sampled_from(list(_places(value)))), raw)
    text = json.dumps(value, ensure_ascii=draw(st.booleans()))
    for mark, instead in raw.items():
        text = text.replace(json.dumps(mark), instead)
    return text


def _places(value, path=()):
    """The keys that lead to every value in a value, itself included."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from _places(inner, (*path, key))


def _changed(draw, value, path, raw):
    if not path:
        mark = f"mark {len(raw)}"
        raw[mark] = draw(st.sampled_from(HOSTILE_JSON))
        return mark
    (key, *rest), copy = path, value.copy()
    change = draw(st.sampled_from(["replace", "replace", "remove", "rename", "add"])) if not rest else "replace"
    if change == "replace":
        copy[key] = _changed(draw, value[key], rest, raw)
    elif change == "remove":
        del copy[key]
    elif isinstance(copy, list):
        copy += [copy[key]] * draw(st.integers(1, 3))
    else:
        name = draw(st.sampled_from(HOSTILE_TEXTS) | st.sampled_from(["id", "data", "text", "answers", "questions"]))
        copy[name] = copy.pop(key) if change == "rename" else draw(st.none() | st.text(max_size=3) | st.integers())
    return copy


# TOML


def _mutate_toml(draw, originals, most):
    lines = draw(st.sampled_from(originals)).splitlines()
    for _ in range(draw(st.integers(1, most))):
        place = draw(st.integers(0, len(lines)))
        old = lines[place : place + 1]
        key, _, value = (old or ["a = 1"])[0].partition("=")
        change = draw(st.sampled_from(["value", "value", "value", "key", "remove", "again", "table"]))
        if change == "value":
            new = [f"{key}= {draw(st.sampled_from(HOSTILE_TOML))}"]
        elif change == "key":
            new = [f"{json.dumps(draw(st.sampled_from(HOSTILE_TEXTS)))} ={value or ' 1'}"]
        elif change == "table":
            new = [*old, f"[{draw(st.sampled_from(['a', 'a.b', 'model', '[model]', '']))}]"]
        else:
            new = old * 2 if change == "again" else []
        lines[place : place + 1] = new
    return "\n".join(lines)
