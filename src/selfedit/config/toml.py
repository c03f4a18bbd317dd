"""A config as commented TOML."""

from __future__ import annotations

import json

from pydantic import BaseModel

from selfedit.config.tree import Config


def to_toml(config: Config) -> str:
    """The config as commented TOML, every key with its default: what `selfedit init` writes."""
    return "\n".join(_toml_lines(config, ())) + "\n"


def _toml_lines(table: BaseModel, path: tuple[str, ...]) -> list[str]:
    lines = [f"\n[{'.'.join(path)}]"] if path else []
    fields = type(table).model_fields
    nested = [name for name in fields if isinstance(getattr(table, name), BaseModel)]
    for name in [name for name in fields if name not in nested]:
        comment = f"  # {fields[name].description}" if fields[name].description else ""
        value = getattr(table, name)
        lines.append(f"{name} = {_toml_value(value)}{comment}")
    for name in nested:
        lines += _toml_lines(getattr(table, name), (*path, name))
    return lines


def _toml_value(value: object) -> str:
    """JSON, which is TOML as well but for two things: TOML knows no surrogate pairs, and DEL must be escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
