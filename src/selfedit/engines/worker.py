"""One process of a pool: an engine of its own, which does what it is told through a pipe."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, NamedTuple

from selfedit.errors import EngineError
from selfedit.protocols import Engine, Progress


class Report(NamedTuple):
    """What a Progress is called with."""

    what: str
    done: int
    total: int
    note: str


def start(make: Callable[[Progress], Engine]) -> tuple[BaseProcess, Connection]:
    """A worker that makes its engine, and the pipe to it.

    It first answers None, or why there is no engine; then to each (workers busy, method, argument, ...) that it is
    sent. An answer is what the method returned or the exception it raised, and Reports come before it.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_work, args=(make, theirs), daemon=True)
    resource_tracker.ensure_running()  # every start does this; the first would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        process.start()  # Ctrl-C stays blocked in the worker, from its first instruction: it is the parent's to handle
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
    return process, ours


def _work(make: Callable[[Progress], Engine], pipe: Connection) -> None:
    """Make the engine and answer, then answer one call after the other until the parent closes the pipe."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _be_silent()
    engines: list[Engine] = []
    with suppress(EOFError, BrokenPipeError):
        pipe.send(_outcome(lambda: engines.append(make(lambda *report: pipe.send(Report(*report))))))
        torch = sys.modules.get("torch")  # there if the engine uses it
        threads = torch.get_num_threads() if torch else 1
        while engines:
            busy, method, *arguments = pipe.recv()
            if torch:
                torch.set_num_threads(max(1, threads // busy))
            pipe.send(_outcome(getattr(engines[0], method), *arguments))


def _outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the function returns, or the exception it raises: as an EngineError if it does not survive pickling."""
    try:
        return function(*arguments)
    except Exception as error:
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        with suppress(Exception):
            return pickle.loads(pickle.dumps(error))
        return EngineError(f"{type(error).__name__}: {error}")


def _end_with_parent() -> None:
    """A parent that is killed does not wait for its workers; they end at once, whatever they are doing."""
    parent = multiprocessing.parent_process()
    assert parent
    parent.join()
    os._exit(1)


def _be_silent() -> None:
    """The parent prints; whatever a library has to say would garble its bars, once per worker."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
