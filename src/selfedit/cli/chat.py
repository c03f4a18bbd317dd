"""`chat`: what the model says before its update and after it, line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from selfedit.cli import screen
from selfedit.cli.options import Json, Model, Set
from selfedit.cli.running import print_json
from selfedit.cli.updates import UpdateFolder, named_update
from selfedit.config import Config
from selfedit.errors import InputError
from selfedit.protocols import Engine
from selfedit.types import BASE, SamplingParams, Update
from selfedit.workflows.engine import open_engine
from selfedit.workflows.evaluate import ask_update
from selfedit.workflows.evaluate import chat as chat_with

LONGEST = 100_000
"""Characters of a line that are read as one message."""

WIDE = 80
"""Columns of a terminal in which two answers stand side by side."""

Reply = Callable[[str, int], Mapping[str, str]]
"""Called with (a message, how many came before it): the answers by name."""


def chat(
    update: UpdateFolder,
    topic: Annotated[
        str, typer.Option("--topic", help="lines are exam questions about the document of this title")
    ] = "",
    after_only: Annotated[bool, typer.Option("--after-only", help="without the answer before the update")] = False,
    temperature: Annotated[float, typer.Option("--temperature", min=0, help="0: the likeliest words")] = 0.0,
    max_tokens: Annotated[int, typer.Option("--max-tokens", min=1, help="most tokens of an answer")] = 256,
    model: Model = None,
    overrides: Set = None,
    json: Json = False,
) -> None:
    """Talk to a model before and after its update, side by side.

    What is typed is sent as it is, as a chat message, and every line stands alone: nothing that was said before is
    remembered. With --topic a line is asked as the exams ask, closed book and greedily. It ends with `exit`, or at the
    end of the input (Ctrl-D). Lines may also come from a file or a pipe; with --json every answer is a line of JSON.

    Example: selfedit chat runs/handbook

    Example: selfedit chat runs/handbook --topic Handbook --json < questions.txt
    """
    folder, config = named_update(update, model, overrides)
    sampling = SamplingParams(temperature, top_p=1.0, max_new_tokens=max_tokens)
    with open_engine(config) as engine:
        reply = _replies(config, engine, _updates(engine, folder, after_only), topic, sampling)
        for number, message in enumerate(_messages()):
            try:
                answers = reply(message, number)
            except InputError as error:  # such as a message that is too long: the next one may not be
                screen.err.print(f"error: {error}", soft_wrap=True)
                continue
            if json:
                print_json({"message": message, **answers}, indent=None)
            else:
                _show(answers)


def _updates(engine: Engine, folder: Path | None, after_only: bool) -> dict[str, Update]:
    """Who answers, by name; attached and not merged, so that going from one to the other costs nothing."""
    if folder is None:
        return {"answer": BASE}
    after = engine.load(folder, one_of_many=True)
    return {"answer": after} if after_only else {"before": BASE, "after": after}


def _replies(
    config: Config, engine: Engine, updates: Mapping[str, Update], topic: str, sampling: SamplingParams
) -> Reply:
    def reply(message: str, number: int) -> dict[str, str]:
        if topic:
            return {name: ask_update(config, engine, update, message, topic) for name, update in updates.items()}
        said = chat_with(engine, list(updates.values()), message, sampling, seed=config.seed + number)
        return dict(zip(updates, said, strict=True))

    return reply


def _messages() -> Iterator[str]:
    """The lines of standard input that are not empty, until its end, or where people have said `exit`."""
    while True:
        if sys.stdin.isatty():
            screen.err.print("> ", end="")
        if not (line := sys.stdin.readline(LONGEST)):
            return
        if len(line) == LONGEST and not line.endswith("\n"):
            while (rest := sys.stdin.readline(LONGEST)) and not rest.endswith("\n"):
                pass
            screen.err.print(f"error: a line has {LONGEST:,} characters or more, and was left out; cut it")
        elif said := line.strip():
            if said in ("exit", "quit"):
                return
            yield said


def _show(answers: Mapping[str, str]) -> None:
    """Side by side where there is room for both, else one under the other."""
    texts = {name: answer or "(blank)" for name, answer in answers.items()}
    if len(texts) == 1:
        screen.out.print(*texts.values())
    elif screen.out.is_terminal and screen.out.width >= WIDE:
        columns = Table(box=box.SIMPLE_HEAD, show_edge=False, expand=True, padding=(0, 1, 0, 0))
        for name in texts:
            columns.add_column(name, ratio=1, overflow="fold")
        columns.add_row(*(Text(screen.shown(text)) for text in texts.values()))
        screen.out.print(columns)
    else:
        for name, text in texts.items():
            screen.out.print(f"{name + ':':<8}{text}", soft_wrap=True)
