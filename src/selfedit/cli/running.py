"""Runs from a command: where they live, how they go on after Ctrl-C, and what is printed when they end."""

from __future__ import annotations

import json
import shlex
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from selfedit.cli import screen
from selfedit.config import Config
from selfedit.errors import EndpointDown, SelfEditError, printable
from selfedit.report import write_report
from selfedit.store import Run
from selfedit.types import Task
from selfedit.workflows.runs import carry_out, start

RUNS = Path("runs")


def new_folder(command: str) -> Path:
    """runs/<command>-<n>, the first that is free."""
    number = 1
    while (RUNS / f"{command}-{number}").exists():
        number += 1
    return RUNS / f"{command}-{number}"


def start_and_finish(
    kind: str, command: str, output: Path | None, config: Config, tasks: Mapping[str, Sequence[Task]], as_json: bool
) -> None:
    """Make a run, and carry it out."""
    with start(kind, output or new_folder(command), config, tasks, command) as run:
        screen.err.print(f"run folder: {run.path}", style="dim")
        finish(run, as_json)


def finish(run: Run, as_json: bool) -> None:
    """Do what a run has not done yet, write its report, and show what it found."""
    with resumable("resume", run.path):
        with screen.bars() as progress:
            summary = carry_out(run, progress)
        report = write_report(run, summary)
    if as_json:
        paths = {name: str(path) for name, path in summary.paths.items()}
        return print_json({"run": str(run.path), **paths, **summary.to_json()})
    screen.show(summary)
    for name, path in {**summary.paths, "report": report}.items():
        screen.out.print(f"{name.capitalize()}: {path}", soft_wrap=True)


def print_json(value: object, indent: int | None = 2) -> None:
    r"""As JSON that can be printed: what would steer a terminal stands there as \u001b, as JSON escapes it.

    With `indent` None on one line.
    """
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    sys.stdout.write(printable(text, "\n", lambda c: "\\u007f" if c == "\x7f" else json.dumps(c)[1:-1]) + "\n")
    sys.stdout.flush()  # who reads it line by line is not kept waiting


class Stopped(SelfEditError):
    """Ctrl-C while a run was going on."""

    exit_code = 130


@contextmanager
def resumable(*command: object) -> Iterator[None]:
    """Ctrl-C, or a judge that is down, ends with the command that goes on. What was finished is already stored.

    The key is noted, not only raised: in C code the exception can come out as another (PyTorch makes it a ValueError).
    """
    pressed: list[int] = []

    def note(number: int, frame: object) -> None:
        pressed.append(number)
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGINT, note)
    again = shlex.join(["selfedit", *map(str, command)])
    try:
        yield
    except EndpointDown as error:
        raise EndpointDown(f"{error}; what was finished is kept. When it is up again, go on with: {again}") from error
    except BaseException:
        if not pressed:
            raise
        raise Stopped(f"stopped; what was finished is kept. Go on with: {again}") from None
    finally:
        signal.signal(signal.SIGINT, previous)
