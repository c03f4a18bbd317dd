"""Keys taken out of what is shown: servers repeat the key that they were given, whole, cut or encoded."""

from __future__ import annotations

import base64
import string
from itertools import groupby
from urllib.parse import quote

SHOWN_AT_MOST = 5
"""So many characters of a key in a row tell nobody anything."""

_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


def forms(key: str) -> list[str]:
    """The key in the ways that it may come back. In base64 a text looks different by where in it the key begins."""
    data = key.encode()
    known = [(shift, (shift + len(data)) * 8 // 6) for shift in range(3)]  # how many letters hold nothing but the key
    shifted = [base64.b64encode(b"\0" * shift + data).decode()[4 if shift else 0 : end] for shift, end in known]
    urlsafe = [text.translate(str.maketrans("+/", "-_")) for text in shifted]
    encoded = [quote(key, safe=""), "".join(f"%{byte:02x}" for byte in data), data.hex(), *shifted, *urlsafe]
    return [key, *(form for form in encoded if len(form) > SHOWN_AT_MOST)]


def without_key(text: str, key: str) -> str:
    """The text with `...` for everything of the key in it that is longer than SHOWN_AT_MOST characters; a shorter key
    goes as a whole. Upper and lower case are alike.
    """
    lower, hidden = text.translate(_LOWER), [False] * len(text)
    for form in {form.translate(_LOWER) for form in forms(key)} if key else ():
        size = min(len(form), SHOWN_AT_MOST + 1)
        pieces = {form[start : start + size] for start in range(len(form) - size + 1)}
        for start in range(len(lower) - size + 1):
            if lower[start : start + size] in pieces:
                hidden[start : start + size] = [True] * size
    runs = groupby(zip(hidden, text, strict=True), key=lambda pair: pair[0])
    return "".join("..." if is_hidden else "".join(letter for _, letter in run) for is_hidden, run in runs)
