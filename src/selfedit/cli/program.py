"""The program `selfedit`: whatever terminal, locale, folder and pipes it has, and Ctrl-C from the first moment.

Nothing of this package is imported before it may be interrupted.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from types import FrameType


def main() -> None:
    pressed: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        pressed.append(number)  # C code may turn the exception into another
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, note)
    output = 1
    try:
        output = _prepare()
        from selfedit.cli.main import run

        code = run(sys.argv[1:])
        sys.stdout.flush()
    except (OSError, SystemExit) as error:  # typer and rich make a SystemExit of a pipe that is closed
        code = _output_failed(error, output)
    except BaseException:
        if not pressed:
            raise
        code = 0
    if pressed and code != 130:
        sys.stderr.write("stopped\n")
        code = 130
    sys.exit(code)


def _prepare() -> int:
    """UTF-8 for names and files whatever the locale; characters that the terminal has not are replaced; three streams
    that are open, so that no file of a run gets the number of one. Returns a copy of standard output's number."""
    if sys.getfilesystemencoding() != "utf-8":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    while (opened := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(opened)
    sys.stdin, sys.stdout, sys.stderr = (
        stream or open(os.devnull, mode, encoding="utf-8")  # noqa: SIM115  # as long as the program
        for stream, mode in ((sys.stdin, "r"), (sys.stdout, "w"), (sys.stderr, "w"))
    )
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    return os.dup(1)


def _output_failed(error: BaseException, output: int) -> int:
    """The exit code where standard output cannot be written: 0 where who read it has seen enough, such as `head`."""
    watch = select.poll()
    watch.register(output, 0)  # not 1, which rich has turned elsewhere by now
    closed = bool(watch.poll(0))
    if not closed and not isinstance(error, OSError):
        raise error
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left in the buffer goes nowhere
    if closed:
        return 0
    sys.stderr.write(f"error: the output cannot be written: {error.strerror}\n")  # type: ignore[attr-defined]
    return 3
