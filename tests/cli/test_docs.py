"""Commands in the README and in the docs are commands, with options and config keys that there are."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from selfedit.cli.main import app
from selfedit.workflows.configure import make_config

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands():
    """Every command in a block of code or between backticks, as words."""
    found = []
    for page in PAGES:
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        blocks = "\n".join(re.findall(r"```\w*\n(.*?)```", text, re.DOTALL))
        lines = re.findall(r"^(?:\$ )?(selfedit .+)$", blocks, re.MULTILINE)
        lines += re.findall(r"`(selfedit [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
        found += [pytest.param(shlex.split(line, comments=True), id=f"{page.name}: {line}") for line in lines]
    return found


def test_there_are_commands_in_the_docs():
    assert len(commands()) > 20


@pytest.mark.parametrize("words", commands())
def test_a_command_of_the_docs_can_be_typed(words):
    command, rest = get_command(app), words[1:]
    while rest and hasattr(command, "commands") and rest[0] in command.commands:
        command, rest = command.commands[rest[0]], rest[1:]
    assert command.name and (not hasattr(command, "commands") or rest in (["--version"], ["--help"]))
    known = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    typed = {word.partition("=")[0] for word in rest if re.match(r"--?[a-z]", word)}
    assert typed <= known | {"--help"}


@pytest.mark.parametrize("words", commands())
def test_config_keys_in_the_docs_are_keys(words):
    settings = [value for word, value in pairwise(words) if word == "--set"]
    make_config("a-model", [setting for setting in settings if "..." not in setting and "…" not in setting])
