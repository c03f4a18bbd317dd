"""A config as commented TOML."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel

from selfedit.config.tree import Config, DomainConfig


def to_toml(config: Config, options: BaseModel) -> str:
    """The config as commented TOML, every key with its default: what `selfedit init` writes.

    `options` are those of the config's domain, which stand in its table `domain`.
    """
    return "\n".join(_lines(config, (), options)) + "\n"


def _lines(table: Any, path: tuple[str, ...], options: BaseModel) -> Iterator[str]:
    if path:
        yield f"\n[{'.'.join(path)}]"
    rows = [*_rows(table), *(_rows(options) if isinstance(table, DomainConfig) else ())]
    tables = [(name, value) for name, value, _ in rows if _is_table(value)]
    for name, value, about in rows:
        if value is None:  # which TOML has no word for
            yield f"# {name} is left out: {about}"
        elif not _is_table(value):
            yield f"{name} = {_value(value)}" + (f"  # {about}" if about else "")
    for name, value in tables:
        yield from _lines(value, (*path, name), options)


def _is_table(value: object) -> bool:
    return isinstance(value, BaseModel) or is_dataclass(value)


def _rows(table: Any) -> Iterator[tuple[str, Any, str]]:
    """(key, value, what it is): a section keeps that in its fields, a noun in the `Annotated` of its own."""
    if isinstance(table, BaseModel):
        for name, declared in type(table).model_fields.items():
            yield name, getattr(table, name), declared.description or ""
        return
    hints: Mapping[str, Any] = get_type_hints(type(table), include_extras=True)
    for field in fields(table):
        about = [part for part in getattr(hints[field.name], "__metadata__", ()) if isinstance(part, str)]
        yield field.name, getattr(table, field.name), "".join(about)


def _value(value: object) -> str:
    """JSON, which is TOML as well but for two things: TOML knows no surrogate pairs, and DEL must be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
