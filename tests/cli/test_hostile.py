"""Command lines that nobody types on purpose: each ends, in one sentence, and never as our fault.

SELFEDIT_HOSTILE=300 runs so many of them, drawn with a seed, instead of a few.
"""

import os
import random
import re
import signal
import socket
from pathlib import Path

import pytest

from selfedit.config import Config

LONG = "x" * 5000
WORDS = ["", " ", LONG, "\udc80", "\x1b[31m", "a\nb", "--", "../..", "[bold]", "日本", "{}", "%s"]
VALUES = [
    *("1e400", "nan", "NaN", "Infinity", "-1", str(10**30), "9" * 5000, "[" * 5000, "{}", "[]", "null", "true", "0"),
    *("", LONG, "\x1b[2J", "\udc80", "'x'", '{"a": {"b": 1}}', '"\\ud800"'),
]
PATHS = [
    *("missing", "folder", ".", "/", "/dev/zero", "/dev/null", "/dev/full", "/proc/self/mem", "fifo", "socket", "loop"),
    *("unreadable", "huge.json", "binary", "deep.json", "deep.toml", "empty", "nul\0in", "\udcff", "\x1b[2J.md", LONG),
    *("date.toml", "file/below", "~nobody/x", "nan.json", "surrogate.json", "", "*", "[", "binary.toml"),
]
PLACES = [  # where a path can be said; PATH is put in its place
    *(["adapt", "PATH", "--dry-run"], ["adapt", "good.md", "-q", "PATH", "--dry-run"]),
    *(["adapt", "good.md", "-m", "PATH"], ["adapt", "good.md", "-o", "PATH", "--dry-run", "-m", "almanac"]),
    *(["adapt", "good.md", "--into", "PATH"], ["adapt", "good.md", "--policy", "PATH", "-m", "almanac", "--dry-run"]),
    *(["continual", "PATH", "--dry-run"], ["continual", "good.md", "--dry-run", "-m", "almanac", "--neutral", "PATH"]),
    *(["train", "PATH", "--dry-run"], ["train", "--data", "PATH", "--dry-run"], ["runs", "list", "PATH"]),
    *(["runs", "show", "PATH"], ["resume", "PATH"], ["ask", "PATH", "Why?"], ["eval", "PATH", "--data", "good.json"]),
    *(["rollback", "PATH", "1"], ["forget", "PATH", "good"], ["init", "PATH"], ["reproduce", "PATH"]),
    ["doctor", "PATH", "--set", "model.engine=fake"],
]
REST = [
    *([word] for word in WORDS),
    *(["adapt", "good.md", f"--{word}"] for word in WORDS),
    *(["adapt", "good.md", "--set", word] for word in [*WORDS, "=", "=1", ".=1", "a." * 20000 + "=1", "model=1"]),
    *(["adapt", "good.md", "--memory", value, "--dry-run"] for value in VALUES),
    *(["adapt", "good.md", "--reinforce", value, "--dry-run"] for value in VALUES),
    ["adapt", "good.md", "--into", "folder", "--model", "x"],
]


def keys(section, prefix=""):
    for name, value in section.items():
        yield from keys(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]


KEYS = sorted(keys(Config().model_dump()))
OF_KEYS = [
    ["adapt", "good.md", "--dry-run", "--set", f"{key}={value}"] for key in [*KEYS, "model", "no"] for value in VALUES
]
OF_PATHS = [[path if word == "PATH" else word for word in place] for place in PLACES for path in PATHS]
ALL = [*OF_PATHS, *REST, *OF_KEYS]
CHOSEN = random.Random(0).sample(ALL, min(len(ALL), int(os.environ.get("SELFEDIT_HOSTILE", "25"))))


@pytest.fixture
def hostile_folder(write):
    write("good.md", "# Good\n\nThe gate closes at nine.\n")
    write("good.json", [{"title": "G", "context": "Nine.", "questions": [{"question": "When?", "answer": "nine"}]}])
    for name, content in {
        "deep.json": "[" * 100000,
        "deep.toml": "a = " + "[" * 100000,
        "empty": "",
        "file": "x",
    }.items():
        write(name, content)
    write("date.toml", "a = 2026-99-99")
    write("nan.json", '[{"title": NaN}]')
    write("surrogate.json", '[{"title": "\\ud800", "context": "x"}]')
    Path("binary").write_bytes(bytes(range(256)) * 10)
    Path("binary.toml").write_bytes(bytes(range(256)) * 10)
    Path("folder").mkdir()
    os.mkfifo("fifo")
    os.symlink("loop", "loop")
    with open("huge.json", "wb") as file:
        file.truncate(2**40)
    write("unreadable", "x")
    os.chmod("unreadable", 0)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind("socket")
    yield
    listening.close()


class Hangs(BaseException):
    pass


def called(cli, arguments):
    def ring(number, frame):
        raise Hangs(str(arguments)[:300])

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(20)
    try:
        return cli(*arguments)
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_a_hostile_command_line_ends_in_one_sentence_that_blames_nobody_else(cli, hostile_folder):
    wrong = []
    for number, arguments in enumerate(CHOSEN):
        arguments = (
            [*arguments, "-o", f"out{number}"] if "--dry-run" in arguments and "-o" not in arguments else arguments
        )
        try:
            ended = called(cli, arguments)
        except (Hangs, Exception, SystemExit) as error:
            wrong.append((arguments, repr(error)[:300]))
            continue
        last = ended.err.rstrip("\n").split("\n")[-1]
        told = ended.code == 0 or last.startswith("error: ")
        steers = re.search("[\x00-\x08\x0b-\x1f\x7f\x80-\x9f\ud800-\udfff]", ended.out + ended.err)
        if ended.code not in (0, 2, 3) or "Traceback" in ended.err or not told or steers:
            wrong.append((arguments, ended.code, last[-300:]))
    shown = [(str(arguments)[:160], *rest) for arguments, *rest in wrong]
    assert not wrong, f"{len(wrong)} of {len(CHOSEN)}:\n" + "\n".join(map(str, shown[:80]))
