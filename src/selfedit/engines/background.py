"""Work that may never end, such as a request or the look-up of a name: it keeps neither Ctrl-C nor our end waiting."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.5
"""A wait without a limit can miss Ctrl-C, when that comes just before it."""


def in_background(work: Callable[[], T]) -> Future[T]:
    """Starts `work` in a thread that the end of the program does not wait for; its result comes in the future."""
    future = Future[T]()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


class _Loop(asyncio.SelectorEventLoop):
    async def getaddrinfo(self, host: Any, port: Any, **options: Any) -> Any:
        """A system's look-up cannot be stopped, and asyncio's own threads are waited for at the end of the program."""
        return await asyncio.wrap_future(in_background(partial(socket.getaddrinfo, host, port, **options)))


def run_async(main: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What `main` returns or raises. Ctrl-C is met here at once, and cancels it.

    It runs on an event loop in a thread of its own: the caller may have a loop, as in a notebook.
    """
    loop = _Loop()
    task = loop.create_task(main())

    def run() -> T:
        try:
            return loop.run_until_complete(task)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()

    found = in_background(run)
    try:
        while not found.done():
            wait([found], POLL_SECONDS)
    finally:
        with suppress(RuntimeError):  # it has ended, and the loop is closed
            loop.call_soon_threadsafe(task.cancel)
        wait([found], POLL_SECONDS)
    return found.result()


def reason_of(error: BaseException) -> str:
    """Why a request failed: the first of the errors that led to this one, in the system's words if it is one of its."""
    while inner := getattr(error, "exceptions", (None,))[0] or error.__cause__ or error.__context__:
        if isinstance(inner, ImportError):
            break  # the one that it led to says what to install
        error = inner
    number = getattr(error, "errno", None) or 0
    return os.strerror(number) if number > 0 else str(error) or type(error).__name__
