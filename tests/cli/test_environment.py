"""The program in other terminals, locales, folders and pipes than ours, each in a process of its own."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = "from selfedit.cli.program import main; main()"
LESSON = ["adapt", "handbuch ü.md", "-q", "fragen→.json", "-o", "läufe", "--dry-run"]
BARE = {"PATH": os.environ["PATH"], "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
NOWHERE = dict.fromkeys(("HOME", "HF_HOME", "MPLCONFIGDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/proc/x")


def start(folder, *arguments, code=PROGRAM, environment=(), **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    words = [os.fsencode(word) for word in (sys.executable, "-c", code, *arguments)]
    return subprocess.Popen(words, cwd=folder, env={**BARE, **dict(environment)}, **options)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "handbuch ü.md").write_text("# Handbuch ü\n\nDer Café-Wächter hat 25 Tage Urlaub → 日本.\n", "utf-8")
    asked = [{"question": "Wie viele Tage → ü?", "answer": "25 Tage"}]
    (tmp_path / "fragen→.json").write_text(json.dumps(asked, ensure_ascii=False), "utf-8")
    return tmp_path


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONWARNINGS": "error", "COLUMNS": "12"},
        {"PYTHONIOENCODING": "ascii", "TERM": "dumb", "NO_COLOR": "1", **NOWHERE},
        {"PYTHONIOENCODING": "latin-1", "COLUMNS": "0", "LANG": "xx_XX", "FORCE_COLOR": "1"},
    ],
    ids=["no-utf8-narrow-warnings", "ascii-no-home", "latin1"],
)
def test_a_lesson_ends_well_in_any_locale_terminal_and_home(folder, environment):
    process = start(folder, *LESSON, environment=environment)
    _, err = process.communicate()
    assert process.returncode == 0 and b"Traceback" not in err, err
    assert "日本" in (folder / "läufe" / "report.html").read_text("utf-8")
    saved = (folder / "läufe" / "tasks.json").read_text("utf-8")
    assert "Wie viele Tage → ü?" in json.dumps(json.loads(saved), ensure_ascii=False)


def test_who_reads_only_the_first_line_is_told_nothing(folder):
    read, written = os.pipe()
    os.close(read)
    process = start(folder, "--help", stdout=written)
    os.close(written)
    assert (process.communicate()[1], process.returncode) == (b"", 0)


def test_a_full_disk_behind_the_output_is_told(folder):
    with open("/dev/full", "w") as full:
        process = start(folder, "runs", "list", "--json", stdout=full)
    assert process.communicate()[1] == b"error: the output cannot be written: No space left on device\n"
    assert process.returncode == 3


def test_streams_that_are_closed_take_no_files_place(folder):
    closing = f"import os, sys; [os.close(n) for n in (0, 1, 2)]; os.execv(sys.executable, {[sys.executable]!r} + "
    code = f"{closing} ['-c', {PROGRAM!r}, *sys.argv[1:]])"
    process = start(folder, *LESSON, code=code)
    assert process.communicate() == (b"", b"") and process.returncode == 0
    assert (folder / "läufe" / "report.html").is_file()


def test_a_folder_that_was_removed_is_told(folder):
    code = f"import os; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); {PROGRAM}"
    process = start(folder, "runs", "list", code=code)
    assert process.communicate()[1].startswith(b"error: the current folder was removed") and process.returncode == 3


@pytest.mark.parametrize("kind", ["KeyboardInterrupt", "ImportError"])
def test_ctrl_c_while_it_is_imported_is_130_without_a_traceback(folder, kind):
    """C code in an import may have made another exception of it."""
    code = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where tests run in the background
class Pressed:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            try:
                os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt:
                raise {kind}
sys.meta_path.insert(0, Pressed())
{PROGRAM}"""
    process = start(folder, "--help", code=code)
    assert process.communicate() == (b"", b"stopped\n") and process.returncode == 130
