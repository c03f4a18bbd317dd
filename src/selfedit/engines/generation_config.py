"""How a model's maker samples from it: the numbers in its generation_config.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from selfedit.errors import InputError
from selfedit.files import read_json


def own_sampling(model: str) -> dict[str, float]:
    """`temperature` and `top_p` of a model's directory, as far as they are numbers that can be meant.

    Nothing where there is no such file, or where it says to take the likeliest token. Not covered: top_k, penalties,
    and models that are still at the hub.
    """
    path = Path(model).expanduser() / "generation_config.json"
    try:
        found: Any = read_json(path) if path.is_file() else {}
    except (InputError, OSError):
        return {}  # loading the model says what is wrong with it
    if not isinstance(found, dict) or found.get("do_sample") is False:
        return {}
    limits = {"temperature": 2.0, "top_p": 1.0}
    return {
        key: float(found[key])
        for key, most in limits.items()
        if isinstance(found.get(key), int | float) and not isinstance(found[key], bool) and 0 < found[key] <= most
    }
