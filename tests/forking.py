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
from pathlib import Path

import peft  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401

import selfedit.engines.local.engine
import selfedit.report.html  # noqa: F401
from selfedit.cli.main import run


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
    if "largest_file" in request:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request["largest_file"], request["largest_file"]))
    code = 99
    try:
        code = run(request["arguments"])
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


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
