"""A process that has everything imported and runs one command line per request, each in a fork of its own.

Requests come as lines of JSON on standard input, answers go to standard output. Importing PyTorch takes seconds, and
these tests need dozens of processes that can be killed. Nothing is computed before the fork: PyTorch would not survive.
"""

import json
import os
import resource
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import peft  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401

import selfedit.engines.local.engine
import selfedit.report.html  # noqa: F401
from selfedit.cli import running
from selfedit.cli.main import run
from selfedit.store.database import Database

CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.truncate", "os.link", "os.symlink"}


def answer(request):
    """Run the command; send it the signal after so many seconds, where one is asked for."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        become(request)
    if "signal" in request:
        wait_for(child, request, began)
    _, status, usage = os.wait4(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - began, "cpu": usage.ru_utime}


def become(request):
    """The command itself, in the child: never returns."""
    os.chdir(request["folder"])
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), number)
    if "crash" in request:
        steps = crash_at(request["crash"], request["folder"])
    if "no_report" in request:
        running.write_report = lambda run, summary: run.write_text("report.html", "a second's work")
    if "largest_file" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], request["largest_file"]))
    code = 99
    try:
        code = run(request["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        if "crash" in request:
            Path(request["folder"], "steps.txt").write_text(str(len(steps)))
        os._exit(code)


def crash_at(number, folder):
    """Let this process die right before it changes the run in the folder for the `number`-th time. The changes so far.

    Every opening for writing, renaming, making and removing, as Python's audit events tell, and the beginning and the
    end of every transaction.
    """
    steps, transaction = [], Database.transaction

    def step(what):
        steps.append(what)
        if len(steps) == number:
            os._exit(137)

    def hear(event, arguments):
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in CHANGES) and isinstance(arguments[0], str | os.PathLike):
            path = os.path.abspath(arguments[0])
            if path.startswith(f"{folder}/run"):
                step(f"{event} {path}")

    @contextmanager
    def counted(database):
        step("begin")
        with transaction(database):
            yield
        step("end")

    Database.transaction = counted
    sys.addaudithook(hear)
    return steps


def wait_for(child, request, began):
    """Until it is time, or the file that the signal should wait for is there, or the command has ended."""
    file = Path(request["once"]) if "once" in request else None
    while not (file.exists() if file else time.monotonic() - began >= request["after"]):
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
        time.sleep(0.005)
    os.kill(child, request["signal"])


if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a file that grows too large is an OSError, as on a full disk
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)
