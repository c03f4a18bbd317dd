"""A run is a directory you can read, resume and re-run.

    config.json      version, kind and command of the run, and its resolved config
    tasks.json       what it learns and is examined on
    trials.sqlite    one row per trial (or other noun), a batch per transaction: the source of truth
    metrics.jsonl    one line per stage, written anew from the trials
    updates/<id>/    PEFT adapters, each written whole or not at all
    summary.json     the results
    report.html      what people look at
    lock             held by the process that is working on the run

A run resumes only under the config that started it, and in one process at a time. Other files belong to the workflow
that writes them.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from selfedit import __version__
from selfedit.errors import InputError, OtherVersion, Refused
from selfedit.files import write_whole
from selfedit.protocols import NounT
from selfedit.statistics import Reliability, reliability
from selfedit.types import Continuation, DraftedQuestions, Drift, Observation, Trial

_SCHEMA = """
create table if not exists batches (stage text, step integer, seconds real, primary key (stage, step));
create table if not exists items (
    stage text, step integer, position integer, noun text, task_id text, reward real, failure text, item text,
    primary key (stage, step, position)
);
"""

NOUNS: dict[str, type[Any]] = {
    noun.__name__: noun for noun in (Trial, Observation, DraftedQuestions, Continuation, Drift)
}
"""What can be stored: frozen nouns that survive a round trip through JSON."""

_BEFORE_CONFIG = {"lock", "config.json.partial"}
"""What a run that was killed as it began may have left in its folder."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    """What was computed in one step of a stage, and the seconds it took. `trials` are those of its items."""

    stage: str
    step: int
    seconds: float
    items: list[Any]

    @property
    def trials(self) -> list[Trial]:
        return [item for item in self.items if isinstance(item, Trial)]


class Run:
    """An open run. `path` is its directory; close it, or use it in a `with`."""

    def __init__(self, path: Path, config: dict[str, Any], lock: int | None = None) -> None:
        self.path, self.config, self._lock = path, config, lock
        self.updates = path / "updates"
        with _disk(path):
            self._database = sqlite3.connect(path / "trials.sqlite")
            self._database.execute("pragma journal_mode=wal")
            self._database.executescript(_SCHEMA)

    @classmethod
    def create(cls, path: Path, config: dict[str, Any]) -> Run:
        """Start a run, or go on with one that has the same config. Raises Refused where the config differs."""
        config = json.loads(json.dumps({"version": __version__, **config}))  # as it is read: a tuple becomes a list
        saved = path / "config.json"
        with _disk(path):
            if saved.exists():
                _refuse_other_config(path, _read_config(path), config)
            elif path.exists() and {file.name for file in path.iterdir()} - _BEFORE_CONFIG:
                raise Refused(f"{path} is not empty and holds no run; choose another folder with --output")
            path.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(path)
            if not saved.exists():
                write_whole(saved, _config_text(config))
        return cls(path, config, lock)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run that exists, to look at it; another process may be working on it."""
        return cls(path, _read_config(path))

    @classmethod
    def resume(cls, path: Path) -> Run:
        """Open a run that exists, to go on with it. Raises Refused where another process does."""
        config = _read_config(path)
        with _disk(path):
            return cls(path, config, _take_lock(path))

    @property
    def kind(self) -> str:
        """Which workflow it is a run of."""
        return str(self.config.get("kind", ""))

    def become(self, kind: str) -> None:
        """From now on a run of another workflow: one that learned its documents in one go goes on as a stream."""
        if kind != self.kind:
            self.config = {**self.config, "kind": kind}
            self.write_text("config.json", _config_text(self.config))

    def remember(self, stage: str, step: int, compute: Callable[[], list[NounT]], noun: type[NounT]) -> list[NounT]:
        """The items of a batch, each a `noun`: from the database, or computed now and written in one transaction."""
        stored = self._items(stage, step)
        if stored is not None:
            return stored
        began = time.monotonic()
        items = compute()
        rows = [
            (stage, step, position, noun.__name__, _task_id(item), _reward(item), _failure(item), dump(item))
            for position, item in enumerate(items)
        ]
        with _disk(self.path), self._database:
            self._database.executemany("insert into items values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._database.execute("insert into batches values (?, ?, ?)", (stage, step, time.monotonic() - began))
        return items

    def _items(self, stage: str, step: int) -> list[Any] | None:
        query = "select noun, item from items where stage = ? and step = ? order by position"
        with _disk(self.path):
            known = self._database.execute(
                "select 1 from batches where stage = ? and step = ?", (stage, step)
            ).fetchone()
            rows = self._database.execute(query, (stage, step)).fetchall()
        return [parse(text, NOUNS[noun]) for noun, text in rows] if known else None

    def cut(self, stages: Collection[str], first: int, last: int | None = None) -> None:
        """Forget the steps `first` to `last` of these stages (None: to the end); later ones move up, all or none."""
        for_stages = f"stage in ({', '.join('?' * len(stages))})"
        end = 2**31 if last is None else last
        with _disk(self.path), self._database:
            for table in ("items", "batches"):
                where = f"delete from {table} where {for_stages} and step between ? and ?"
                self._database.execute(where, (*stages, first, end))
                later = f"update {table} set step = step - ? where {for_stages} and step > ?"
                self._database.execute(later, (end - first + 1, *stages, end))

    def batches(self) -> list[StoredBatch]:
        """Everything that was tried so far, in the order in which it was."""
        with _disk(self.path):
            rows = self._database.execute("select stage, step, seconds from batches order by rowid").fetchall()
        return [StoredBatch(stage, step, seconds, self._items(stage, step) or []) for stage, step, seconds in rows]

    def by_stage(self) -> dict[str, dict[int, list[Any]]]:
        """The same by stage and step, without the times."""
        stages: dict[str, dict[int, list[Any]]] = {}
        for batch in self.batches():
            stages.setdefault(batch.stage, {})[batch.step] = batch.items
        return stages

    def seconds(self) -> dict[str, float]:
        """What each stage took, rounded to a tenth of a second; a batch that was resumed counts once."""
        query = "select stage, round(sum(seconds), 1) from batches group by stage"
        return dict(self._database.execute(query).fetchall())

    def write_json(self, name: str, value: object) -> None:
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        with _disk(self.path):
            write_whole(self.path / name, text)

    def metrics(self) -> list[dict[str, Any]]:
        """One row per stage: trials, mean reward, failures by blame, trained tokens, seconds."""
        stages: dict[str, list[StoredBatch]] = {}
        for batch in self.batches():
            stages.setdefault(batch.stage, []).append(batch)
        return [{"stage": stage, **_metrics(batches)} for stage, batches in stages.items()]

    def write_metrics(self) -> None:
        self.write_text("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in self.metrics()))

    def close(self) -> None:
        self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def list_runs(folder: Path) -> list[dict[str, Any]]:
    """Every run in a folder: its path, command, model, trials and state. A damaged one must not hide the others."""
    rows = []
    for path in sorted(saved.parent for saved in folder.glob("*/config.json")):
        try:
            with Run.open(path) as run:
                config, trials = run.config, sum(len(batch.trials) for batch in run.batches())
            state = "finished" if (path / "report.html").exists() else "can be resumed"
        except InputError as error:
            config, trials, state = {}, 0, "of another version" if isinstance(error, OtherVersion) else "damaged"
        model = config.get("model")
        name = model.get("name") if isinstance(model, dict) else None
        rows.append(
            {"run": str(path), "command": config.get("command"), "model": name, "trials": trials, "state": state}
        )
    return rows


def _metrics(batches: list[StoredBatch]) -> dict[str, Any]:
    trials = [trial for batch in batches for trial in batch.trials]
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    blames = [trial.failure.blame for trial in trials if trial.failure]
    return {
        "trials": sum(len(batch.items) for batch in batches),
        "mean_reward": sum(rewards) / len(rewards) if rewards else None,
        "reliability": asdict(found) if (found := reward_reliability(trials)) else None,
        "policy_failures": blames.count("policy"),
        "system_failures": blames.count("system"),
        "trained_tokens": sum(trial.update.tokens for trial in trials if trial.update),
        "seconds": round(sum(batch.seconds for batch in batches), 3),
    }


def reward_reliability(trials: Sequence[Trial]) -> Reliability | None:
    """How reliable the rewards of these trials are, where edits were tried more than once."""
    groups: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial in trials:
        if trial.reward is not None and trial.failure is None:
            groups[trial.edit.task_id][trial.member].append(trial.reward)
    return reliability([list(of_task.values()) for of_task in groups.values()])


def _take_lock(path: Path) -> int:
    """The open lock file. The system lets go of it when the process ends, however it ends."""
    lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise Refused(f"another process is working on {path}; wait for it, or choose another folder") from None
    return lock


def _read_config(path: Path) -> dict[str, Any]:
    saved = path / "config.json"
    if not saved.is_file():
        raise InputError(f"{path} is not a run: it has no config.json; `selfedit runs list` shows the runs here")
    config = read_json(saved)
    if not isinstance(config, dict):
        raise InputError(f"{saved} is damaged: it holds no table of settings; restore it, or choose another folder")
    made_by = str(config.get("version", "0.1"))
    if made_by.split(".")[:2] != __version__.split(".")[:2]:
        raise OtherVersion(
            f"{path} is a run of selfedit {made_by}, and this is {__version__}: open it with that version, or start it "
            "again; its adapters work as they are, by the folders in updates/"
        )
    return config


def read_json(path: Path) -> Any:
    """A JSON file of a run or an adapter. Raises InputError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}; restore it, or choose another folder") from None


def _refuse_other_config(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    was, now = dict(_leaves(old)), dict(_leaves(new))
    keys = (was.keys() | now.keys()) - {"version"}  # `_read_config` has let it through
    changed = sorted(key for key in keys if was.get(key) != now.get(key))
    if changed:
        raise Refused(
            f"{path} was started with another config; it differs in {', '.join(changed)}; "
            "choose another folder with --output, or go on with the old config: selfedit resume"
        )


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


@contextmanager
def _disk(path: Path) -> Iterator[None]:
    """What the disk refuses is the user's to mend, and nothing that was stored before is touched by it."""
    try:
        yield
    except (OSError, sqlite3.OperationalError) as error:
        raise InputError(
            f"cannot write to {path}: {error}; free some space or choose another folder, then resume"
        ) from error
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # a mistake in this file, such as a row of the wrong type
        raise InputError(f"{path}/trials.sqlite is damaged: {error}; start again in another folder") from error


def _config_text(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def dump(item: Any) -> str:
    return json.dumps(asdict(item), separators=(",", ":"))


def parse(text: str, noun: type[NounT]) -> NounT:
    """The inverse of `dump`."""
    item: NounT = _adapter(noun).validate_python(json.loads(text))  # type: ignore[arg-type]  # a class is hashable
    return item


@cache
def _adapter(noun: Any) -> TypeAdapter[Any]:
    return TypeAdapter(noun)


def _task_id(item: Any) -> str | None:
    return item.edit.task_id if isinstance(item, Trial) else getattr(item, "task_id", None)


def _reward(item: Any) -> float | None:
    return item.reward if isinstance(item, Trial) else None


def _failure(item: Any) -> str | None:
    return item.failure.message if isinstance(item, Trial) and item.failure else None
