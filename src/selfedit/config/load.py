"""A config from what people write: TOML in, `--set a.b=c` over it, and one sentence about the first thing wrong."""

from __future__ import annotations

import difflib
import json
import tomllib
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, TypeAdapter, ValidationError

from selfedit.config.renamed import renamed
from selfedit.config.tree import Config
from selfedit.errors import InputError
from selfedit.files import read_text

Tree = dict[str, Any]
SectionT = TypeVar("SectionT")


def load_config(path: Path | None, overrides: list[str], base: Tree | None = None) -> Config:
    """`base` (a recipe), then the TOML file, then `a.b=c` overrides. Raises InputError naming the key that is wrong."""
    return resolve(config_tree(path, overrides, base), str(path or "the options"))


def config_tree(path: Path | None, overrides: list[str], base: Tree | None = None) -> Tree:
    """The same, as it was written: nothing is checked but that it can be read."""
    tree = merge(base or {}, read_toml(path) if path else {})
    for override in overrides:
        tree = merge(tree, _parse_override(override))
    return tree


def resolve(tree: Tree, source: str) -> Config:
    return validated(Config, tree, source)


def validated(kind: type[SectionT], tree: Tree, source: str, name: str = "") -> SectionT:
    """The tree as a section of the config, which is called `name`. Raises InputError that begins with `source`."""
    try:
        return TypeAdapter(kind).validate_python(tree)
    except ValidationError as error:
        raise InputError(f"{source}: {_explain(error, kind, name)}") from None


def read_toml(path: Path) -> Tree:
    if not path.exists():
        raise InputError(f"there is no config file {path}; `selfedit init` writes one to start from")
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise InputError(f"{path} is nested too deeply to be read") from None
    except ValueError as error:  # besides what is not TOML a number of too many digits, or a date that there is not
        raise InputError(f"{path} is not TOML: {error}") from None


def merge(under: Tree, over: Tree) -> Tree:
    """The tables of both; where both have a value, that of `over`."""
    merged = dict(under)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def _parse_override(text: str) -> Tree:
    key, equals, raw = text.partition("=")
    if not equals or not key:
        raise InputError(f"--set takes key=value, such as --set outer.rounds=3; this is {text!r}")
    if key.count(".") > 9:
        raise InputError(f"there is no key {key[:80]}; `selfedit init` lists them all")
    try:
        value: Any = json.loads(raw)
    except RecursionError:
        raise InputError(f"the value of {key} is nested too deeply to be read") from None
    except ValueError:  # also of a number with too many digits
        value = raw.replace(r"\n", "\n")  # a line break in a template; a shell would need $'...' for it
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return dict(value)


_MAY_HOLD_SECRETS = {"url", "key_env"}
"""Keys whose wrong values are not shown: a password or an API key may have been put there."""


def _explain(error: ValidationError, kind: Any, section: str) -> str:
    """The first problem in one sentence; an unknown key comes with the nearest right one."""
    problem = error.errors()[0]
    *parents, key = [str(part) for part in problem["loc"]] or ["the config"]
    name = ".".join([section, *parents, key] if section else [*parents, key])
    given = [f"{name}.{inner}" for inner in problem["input"]] if isinstance(problem["input"], dict) else []
    if now := next(filter(None, map(renamed, [*given, name])), ""):
        return now
    if problem["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        unsaid = key in _MAY_HOLD_SECRETS or isinstance(problem["input"], dict | BaseModel)
        is_table = problem["type"] in ("dataclass_type", "model_type")
        said = "this is a table of keys" if is_table else problem["msg"].removeprefix("Value error, ")
        return f"{name} is wrong: {said}" + ("" if unsaid else f" (it is {_brief(problem['input'])})")
    known = _keys(kind, parents)
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"the keys here are {', '.join(known)}"
    return f"there is no key {name}; {hint}"


def _brief(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 200 else f"{shown[:200]}…"


def _keys(kind: Any, parents: list[str]) -> list[str]:
    for parent in parents:
        kind = kind.model_fields[parent].annotation
        if isinstance(kind, UnionType):  # a table, or none
            kind = get_args(kind)[0]
    return [field.name for field in fields(kind)] if is_dataclass(kind) else list(kind.model_fields)
