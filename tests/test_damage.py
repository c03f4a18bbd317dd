"""Whatever happens to the files of a run that was stopped half-way: it ends as if nothing had, or it is told.

Each damage is done to a copy, then the run is resumed. `told`: one sentence of the project's own, with its exit code.
`healed`: all that the run holds in the end is what an undamaged one holds.
"""

import json
import os
import shutil
import sqlite3
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import examples, mutated_bytes

from selfedit.cli.main import run as command
from selfedit.errors import printable
from selfedit.store import Run

TASKS = [
    {
        "title": f"Town {number}",
        "context": f"Town {number} lies on the river R{number}.",
        "questions": [{"question": f"River {number}?", "answer": f"R{number}"}],
    }
    for number in range(6)
]
# Two edits that are worth the same teach nothing by their advantage: the best of them is imitated.
SMALL = [
    "outer.rounds=2",
    "outer.tasks_per_round=2",
    "outer.edits_per_task=2",
    "outer.credit=rest_em",
    "max_adapters=2",
    "seed=3",
]
ADAPTER, CARD = "updates/round-0/update.json", "updates/round-1/update.json"
UNREAD = ("metrics.jsonl", "report.html")
FILES = ["config.json", "tasks.json", "trials.sqlite", ADAPTER]


def start(folder, name="run", *more):
    """A finished run of two rounds."""
    (folder / "train.json").write_text(json.dumps(TASKS[:4]))
    (folder / "eval.json").write_text(json.dumps(TASKS[4:]))
    sets = [word for key in [*SMALL, *more] for word in ("--set", key)]
    files = ["--data", str(folder / "train.json"), "--eval", str(folder / "eval.json")]
    assert command(["train", *files, "--dry-run", "-o", str(folder / name), *sets]) == 0


def half(path):
    """Take the end of a run away: its last batches, and what was written after them."""
    with Run.resume(path) as run:
        run.cut([stage for stage in run.by_stage() if stage.startswith("exam/")], 0)
        run.keep_text("summary.json", None)
    for name in UNREAD:
        (path / name).unlink()


def sql(*statements):
    def damage(path, other):
        with closing(sqlite3.connect(path / "trials.sqlite", isolation_level=None)) as database:
            for statement in statements:
                database.execute(statement)

    return damage


def removed(name):
    def damage(path, other):
        shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink()

    return damage


def rewritten(name, change):
    """The bytes of a file, as `change` makes them."""

    def damage(path, other):
        (path / name).write_bytes(change((path / name).read_bytes()))

    return damage


def flipped(place):
    def change(content):
        at = int(place * (len(content) - 1))
        return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]

    return change


def edited(name, key, value):
    def damage(path, other):
        content = json.loads((path / name).read_text())
        *parents, last = key
        inner = content
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
        (path / name).write_text(json.dumps(content, indent=2, sort_keys=True))

    return damage


def in_place(name, make):
    """Something else where a file should be."""

    def damage(path, other):
        removed(name)(path, other)
        make(path / name)

    return damage


def from_other(name):
    """What another run has there."""

    def damage(path, other):
        removed(name)(path, other)
        copy = shutil.copytree if (other / name).is_dir() else shutil.copyfile
        copy(other / name, path / name)

    return damage


def swapped(first, second):
    def damage(path, other):
        os.rename(path / first, path / "aside")
        os.rename(path / second, path / first)
        os.rename(path / "aside", path / second)

    return damage


def log(content, name="trials.sqlite-wal"):
    return lambda path, other: (path / name).write_bytes(content)


def loop(path):
    path.symlink_to(path.name)


ITEM = "stage = 'round-0' and step = 0 and position = 1"
DAMAGE = {
    **{f"{name} removed": removed(name) for name in FILES},
    **{f"{name} empty": rewritten(name, lambda content: b"") for name in FILES},
    **{f"{name} cut": rewritten(name, lambda content: content[: len(content) // 2]) for name in FILES},
    **{f"{name} longer": rewritten(name, lambda content: content + b"\0more") for name in FILES},
    **{f"{name} zeros": rewritten(name, lambda content: bytes(len(content))) for name in FILES},
    **{f"{name} byte at {at}": rewritten(name, flipped(at)) for name in FILES for at in (0.02, 0.37, 0.8)},
    **{f"{name} is a folder": in_place(name, os.mkdir) for name in FILES},
    **{f"{name} is a loop of links": in_place(name, loop) for name in FILES},
    **{f"{name} is a pipe": in_place(name, os.mkfifo) for name in FILES},
    **{f"{name} of another run": from_other(name) for name in FILES},
    **{f"{name} is in Latin-1": rewritten(name, lambda content: content + b'"\xe9"') for name in FILES[:2]},
    "lock removed": removed("lock"),
    "lock is a folder": in_place("lock", os.mkdir),
    "updates removed": removed("updates"),
    "updates is a file": in_place("updates", lambda path: path.write_text("mine")),
    "updates of another run": from_other("updates"),
    "policy removed": removed("updates/round-0"),
    "last policy removed": removed("updates/round-1"),
    "policies swapped": swapped("updates/round-0", "updates/round-1"),
    "files of policies swapped": swapped(ADAPTER, CARD),
    "a file more in a policy": lambda path, other: (path / "updates/round-0/more.json").write_text("{}"),
    "half of a policy that was being written": lambda path, other: (path / "updates/round-1.partial").mkdir(),
    "a policy that nobody made": lambda path, _: shutil.copytree(path / "updates/round-0", path / "updates/round-7"),
    "the policy's tokens": edited(ADAPTER, ["update", "tokens"], 3),
    "the policy's loss is NaN": edited(ADAPTER, ["update", "loss"], float("nan")),
    "the policy's text": edited(ADAPTER, ["examples", 0, "target"], "Something else"),
    "config: a value": edited("config.json", ["seed"], 4),
    "config: a nested value": edited("config.json", ["outer", "rounds"], 3),
    "config: a wrong type": edited("config.json", ["outer", "rounds"], "two"),
    "config: an unknown key": edited("config.json", ["outer", "rnds"], 3),
    "config: its kind": edited("config.json", ["kind"], "adapt"),
    "config: the machine": edited("config.json", ["machine", "threads"], 64),
    "config: another version": edited("config.json", ["version"], "0.1"),
    "config: a list": rewritten("config.json", lambda content: b"[1]"),
    "config: a key twice": rewritten("config.json", lambda content: content.replace(b"{", b'{"seed": 1,', 1)),
    "config: nested deeply": rewritten("config.json", lambda content: b'{"a":' * 100_000),
    "tasks: a text": edited("tasks.json", ["train", 0, "context"], "Something else."),
    "tasks: an answer": edited("tasks.json", ["eval", 0, "questions", 0, "target"], "R9"),
    "tasks: a wrong type": edited("tasks.json", ["train", 0, "id"], 7),
    "metrics and report cut": lambda path, other: [log(b"{", name)(path, other) for name in UNREAD],
    "a summary before the end": log(b"{\"seconds\": 1}", "summary.json"),
    "an item removed": sql(f"delete from items where {ITEM}"),
    "a reward": sql(f"update items set reward = 1 where {ITEM}"),
    "a reward that is a text": sql(f"update items set reward = 'high' where {ITEM}"),
    "a reward that is NaN": sql(
        f"update items set item = replace(item, '\"reward\":', '\"reward\":NaN,\"was\":') where {ITEM}"
    ),
    "an item's text": sql(f"update items set item = replace(item, 'Town', 'City') where {ITEM}"),
    "an item that is no JSON": sql(f"update items set item = '{{' where {ITEM}"),
    "an item that is bytes": sql(f"update items set item = x'ff00' where {ITEM}"),
    "an item that is no UTF-8": sql(f"update items set item = cast(x'ff' as text) where {ITEM}"),
    "an item's noun": sql(f"update items set noun = 'Recipe' where {ITEM}"),
    "an item's place": sql(f"update items set position = 9 where {ITEM}"),
    "an item in another step": sql(f"update items set step = 7 where {ITEM}"),
    "an item twice": sql("insert into items select stage, step, 2, noun, task_id, reward, failure, item from items "
                         f"where {ITEM}"),
    "items of no batch": sql("insert into items select 'exam/base', 0, position, noun, task_id, reward, failure, item "
                             "from items where stage = 'round-0' and step = 0"),
    "a batch removed": sql("delete from batches where stage = 'round-0' and step = 0"),
    "all batches removed": sql("delete from batches", "delete from items"),
    "all items removed": sql("delete from items"),
    "a batch's seconds": sql("update batches set seconds = 1e9 where step = 0"),
    "a batch without seconds": sql("update batches set seconds = null where step = 0"),
    "a batch without a checksum": sql("update batches set checksum = null where step = 0"),
    "a batch's stage": sql("update batches set stage = 'round-9' where stage = 'round-0' and step = 0"),
    "batches swapped": sql("update items set step = 5 - step where stage = 'round-0'",
                           "update batches set step = 5 - step where stage = 'round-0'",
                           "update items set step = step - 4 where stage = 'round-0'",
                           "update batches set step = step - 4 where stage = 'round-0'"),
    "a batch of nothing": sql("insert into batches values (null, null, null, null)"),
    "a step that is a text": sql("update batches set step = 'one' where stage = 'round-0' and step = 1"),
    "items dropped": sql("drop table items"),
    "batches dropped": sql("drop table batches"),
    "files dropped": sql("drop table files"),
    "a column dropped": sql("alter table items drop column failure"),
    "a table more": sql("create table more (a)"),
    "a trigger": sql("create trigger t after insert on items begin delete from items; end"),
    "a view": sql("create view v as select 1"),
    "files emptied": sql("delete from files"),
    "stored tasks removed": sql("delete from files where name = 'tasks.json'"),
    "stored tasks edited": sql("update files set text = replace(text, 'river', 'lake') where name = 'tasks.json'"),
    "stored tasks are bytes": sql("update files set text = x'00' where name = 'tasks.json'"),
    "stored config edited": sql("""update files set text = replace(text, '"seed": 3', '"seed": 4')"""),
    "stored checksum edited": sql("update files set checksum = 'x' where name like 'updates/%'"),
    "stored checksums removed": sql("delete from files where name like 'updates/%'"),
    "a log of garbage": log(b"garbage" * 999),
    "an empty log": log(b""),
    "an index of garbage": log(b"garbage" * 9999, "trials.sqlite-shm"),
    "a journal of garbage": log(b"garbage" * 999, "trials.sqlite-journal"),
    "a log that is a folder": lambda path, other: (path / "trials.sqlite-wal").mkdir(),
    "the database of another version": lambda path, other: sql("drop table files", "drop table batches")(path, other),
    "an empty database": in_place("trials.sqlite", lambda path: sqlite3.connect(path).close()),
    "the database of another program": in_place(
        "trials.sqlite", lambda path: closing(sqlite3.connect(path)).__enter__().execute("create table a (b)")
    ),
}  # fmt: skip


def contents(path):
    """All that a run holds but seconds, by which nothing is decided."""
    with closing(sqlite3.connect(path / "trials.sqlite")) as database:
        items = database.execute("select * from items order by stage, step, position").fetchall()
        batches = database.execute("select stage, step from batches order by stage, step").fetchall()
        texts = dict(database.execute("select name, text from files where text is not null and name != 'summary.json'"))
    files = {str(f.relative_to(path)): f.read_bytes() for f in sorted((path / "updates").rglob("*")) if f.is_file()}
    copies = {name: (path / name).read_text() for name in texts}
    scores = {
        k: {**v, "seconds": 0} for k, v in json.loads((path / "summary.json").read_text()).items() if k != "seconds"
    }
    assert (path / "report.html").stat().st_size > 4 and (path / "metrics.jsonl").read_text().count("\n") == 7
    return items, batches, texts, copies, files, scores


@pytest.fixture(autouse=True)
def a_quick_report(monkeypatch):
    monkeypatch.setattr(
        "selfedit.cli.running.write_report", lambda run, summary: run.write_text("report.html", "whole")
    )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with a finished run, the same one as it was half-way, and another one."""
    folder = tmp_path_factory.mktemp("runs")
    start(folder, "whole")
    start(folder, "other", "seed=4", "outer.edits_per_task=3")
    half(shutil.copytree(folder / "whole", folder / "half"))
    return folder


def test_a_run_that_was_stopped_half_way_is_finished(runs, tmp_path):
    path = shutil.copytree(runs / "half", tmp_path / "run")
    assert command(["resume", str(path)]) == 0
    assert contents(path) == contents(runs / "whole")


TOLD, HEALED = [], []


@pytest.mark.parametrize("name", DAMAGE)
def test_damage_is_healed_or_told(runs, tmp_path, capsys, name):
    path = shutil.copytree(runs / "half", tmp_path / "run")
    DAMAGE[name](path, runs / "other")
    capsys.readouterr()
    code = command(["resume", str(path)])
    *_, last = capsys.readouterr().err.splitlines() or [""]
    assert code in (0, 2, 3), last
    if code == 0:
        HEALED.append(name)
        assert contents(path) == contents(runs / "whole")
    else:
        TOLD.append(name)
        assert last.startswith("error: ") and str(path) in last and printable(last) == last


def test_of_more_than_seventy_kinds_of_damage_all_are_healed_or_told():
    assert len(DAMAGE) > 70
    if (
        len(TOLD) + len(HEALED) > 1 and "PYTEST_XDIST_WORKER" not in os.environ
    ):  # all tests of this file, in one process
        assert len(TOLD) + len(HEALED) == len(DAMAGE) > 70


# Any bytes at all


@examples(12)
@given(
    name=st.sampled_from([*FILES, "summary.json", "updates/round-1/update.json"]),
    words=st.sampled_from([["runs", "show"], ["resume"], ["ask"], ["runs", "list"]]),
    data=st.data(),
)
def test_any_bytes_in_any_file_are_healed_or_told(runs, tmp_path_factory, capsys, name, words, data):
    path = shutil.copytree(runs / "whole", tmp_path_factory.mktemp("any") / "run")
    (path / name).write_bytes(data.draw(mutated_bytes((path / name).read_bytes())))
    capsys.readouterr()
    code = command([*words, str(path.parent if words[-1] == "list" else path), *(["?"] if words == ["ask"] else [])])
    said = "".join(capsys.readouterr())
    assert code in (0, 2, 3), said
    assert all(printable(line) == line for line in said.splitlines())
    shutil.rmtree(path.parent)
