"""The command line: one function per command, one place where errors end.

Exit codes: 0 done, 1 our fault, 2 refused, 3 your input; 130 when stopped with Ctrl-C.
"""

from __future__ import annotations

import errno
import os
from typing import Annotated

import typer
from rich.text import Text
from typer.exceptions import TyperException

from selfedit import __version__
from selfedit.cli import (
    adapt,
    bench,
    chat,
    continual,
    export,
    fetch,
    keys,
    reproduce,
    runs,
    screen,
    setup,
    train,
    updates,
)
from selfedit.errors import InputError, SelfEditError, printable

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="A language model teaches itself new documents, and learns to teach itself better.",
)
app.command("demo")(train.demo)
app.command("adapt")(adapt.adapt)
app.command("continual")(continual.continual)
app.command("rollback")(continual.rollback)
app.command("forget")(continual.forget)
app.command("train")(train.train)
app.command("eval")(updates.evaluate)
app.command("ask")(updates.ask)
app.command("chat")(chat.chat)
app.command("cost")(updates.cost)
app.command("export")(export.export)
app.add_typer(runs.app, name="runs")
app.command("resume")(train.resume)
app.command("reproduce")(reproduce.reproduce)
app.add_typer(keys.app, name="keys")
app.command("fetch")(fetch.fetch)
app.command("init")(setup.init)
app.command("doctor")(setup.doctor)
app.command("bench")(bench.bench)


def _version(wanted: bool) -> None:
    if wanted:
        screen.out.print(f"selfedit {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="show tracebacks")] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code. Every error ends here as one sentence; --debug lets it through."""
    debug = "--debug" in arguments
    try:
        _refuse_folder_that_is_gone()
        with screen.remarks():
            code = app([a for a in arguments if a != "--debug"], prog_name="selfedit", standalone_mode=False)
        return _say("stopped", 130) if code == 130 else int(code or 0)  # 130: typer has met Ctrl-C
    except SelfEditError as error:
        if debug:
            raise
        return _say(str(error), error.exit_code)
    except TyperException as error:
        message = error.format_message()  # none where no command was named: then the help has been printed
        return _say(message, 3) if message else 0
    except MemoryError:
        if debug:
            raise
        return _say("there is not enough memory for this: free some, take a smaller model, or give it less text", 3)
    except Exception as error:
        if debug or (isinstance(error, OSError) and error.errno in (errno.EPIPE, errno.ENOSPC) and not error.filename):
            raise  # standard output: cli/program.py knows what to do
        what = " ".join(f"{type(error).__name__}: {error}".split())
        return _say(f"this is our fault: {what}; run it again with --debug for the details", 1)


def _refuse_folder_that_is_gone() -> None:
    try:
        os.getcwd()
    except OSError:
        raise InputError("the current folder was removed, or cannot be read; go to another with cd") from None


def _say(message: str, code: int) -> int:
    label = Text("" if code == 130 else "error: ", style="bold red")
    screen.err.print(label.append(printable(message), style="not bold default"), soft_wrap=True)
    return code
