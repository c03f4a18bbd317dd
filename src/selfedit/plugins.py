"""Rows of the visible tables by their names, and what stands outside this package by its import path."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from importlib import import_module
from typing import Any, TypeVar

from selfedit.errors import InputError

RowT = TypeVar("RowT")


def lookup(table: Mapping[str, RowT], name: str, key: str) -> RowT:
    """The row that the config's `key` names, or what `package.module:attribute` imports.

    An outside package must be importable: installed, or on PYTHONPATH. Raises InputError with the names there are.

    lookup(REWARDS, "gain", "outer.reward"), lookup(REWARDS, "my_rewards:brevity", "outer.reward")
    """
    if name in table:
        return table[name]
    if ":" not in name:
        raise InputError(f"{key} is {name!r}; it can be {', '.join(table)}, or package.module:name")
    module, _, attribute = name.partition(":")
    try:
        found: Any = reduce(getattr, attribute.split("."), import_module(module))
    except (ImportError, AttributeError, ValueError, TypeError) as error:
        raise InputError(f"{key} is {name!r}, which cannot be imported: {error}") from None
    row: RowT = found
    return row


def made(found: Any) -> Any:
    """An object of the class, where a class was named; otherwise what was named."""
    return found() if isinstance(found, type) else found
