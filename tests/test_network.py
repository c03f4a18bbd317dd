"""Who is asked: for a model on this machine nobody, not even a name server; for one of a dead hub, nobody for long."""

import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import contextlib, io, json, sys, time

asked = []
sys.addaudithook(lambda event, given: asked.append(repr(given)) if event in EVENTS else None)
EVENTS = {"socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto"}
from selfedit.cli.main import run

for command in json.loads(sys.argv[1]):
    asked.clear()
    began = time.monotonic()
    with contextlib.redirect_stdout(io.StringIO()):
        code = run(command)
    print(json.dumps({"code": code, "asked": asked, "seconds": time.monotonic() - began}))
"""


@pytest.fixture
def ask(tmp_path):
    """Runs command lines in a process that may use the network; for each what it ended with, and whom it asked."""

    def run(*commands, **environment):
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        process = subprocess.run(
            [sys.executable, "-c", SCRIPT, json.dumps(commands)],
            env={**clean, "HF_HOME": str(tmp_path / "hub"), "OMP_NUM_THREADS": "1", **environment},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        return [json.loads(line) for line in process.stdout.splitlines()], process.stderr

    return run


def test_a_model_on_this_machine_asks_nobody_and_a_dead_proxy_is_one_sentence(ask, saved_model, tmp_path):
    (tmp_path / "torvik.md").write_text("# Torvik\n\nTorvik lies on the river Selx. The town is famous for its lace.\n")
    brief = ["outer.sampling.max_new_tokens=8", "inner.epochs=1", "inner.rank=2", "model.processes=1"]
    options = [word for setting in brief for word in ("--set", setting)]
    results, err = ask(
        ["doctor", *options],
        ["adapt", "torvik.md", "--model", str(saved_model), "-o", "run", "--preset", "seal", *options],
        ["ask", "run", "Where?"],
        ["doctor", "--model", "someone/some-model"],
        HTTPS_PROXY="http://127.0.0.1:9",
    )
    assert [result["code"] for result in results] == [0, 0, 0, 3], err
    assert [result["asked"] for result in results[:3]] == [[], [], []]
    assert results[3]["asked"] and all("'127.0.0.1', 9" in asked for asked in results[3]["asked"])
    assert "could not be fetched from the model hub: Connection refused; download" in err
    assert "Retry" not in err and results[3]["seconds"] < 5
