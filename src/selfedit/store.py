"""A run is a directory you can read, resume and re-run.

    config.json      the resolved config, written once, never edited
    trials.sqlite    one row per trial, a wave per transaction: the source of truth
    metrics.jsonl    one line per stage, written anew from the trials
    updates/<id>/    PEFT adapters, each written whole or not at all
    summary.json     the score table
    report.html      what people look at
    lock             held by the process that is working on the run

A run resumes only under the config that started it, and in one process at a time.
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
from pathlib import Path
from typing import Any

from selfedit.errors import InputError, Refused
from selfedit.statistics import Reliability, reliability
from selfedit.types import Example, Failure, Recipe, Score, SelfEdit, Trial, Update

_SCHEMA = """
create table if not exists waves (stage text, wave integer, seconds real, primary key (stage, wave));
create table if not exists trials (
    stage text, wave integer, position integer, task_id text, reward real, failure text, trial text,
    primary key (stage, wave, position)
);
"""


_BEFORE_CONFIG = {"lock", "config.json.partial"}
"""What a run that was killed as it began may have left in its folder."""


@dataclass(frozen=True, slots=True)
class StoredBatch:
    stage: str
    number: int
    seconds: float
    trials: list[Trial]


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
        config = json.loads(json.dumps(config))  # as it will be read back: a tuple becomes a list
        saved = path / "config.json"
        with _disk(path):
            if saved.exists():
                _refuse_other_config(path, _read_config(path), config)
            elif path.exists() and {file.name for file in path.iterdir()} - _BEFORE_CONFIG:
                raise Refused(f"{path} is not empty and holds no run; choose another folder with --output")
            path.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(path)
            if not saved.exists():
                write_whole(saved, json.dumps(config, indent=2, sort_keys=True) + "\n")
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

    def remember(self, stage: str, wave: int, compute: Callable[[], list[Trial]]) -> list[Trial]:
        """The trials of a wave: from the database, or computed now and written in one transaction."""
        stored = self._trials(stage, wave)
        if stored is not None:
            return stored
        began = time.monotonic()
        trials = compute()
        rows = [
            (stage, wave, position, t.edit.task_id, t.reward, t.failure and t.failure.message, dump(t))
            for position, t in enumerate(trials)
        ]
        with _disk(self.path), self._database:
            self._database.executemany("insert into trials values (?, ?, ?, ?, ?, ?, ?)", rows)
            self._database.execute("insert into waves values (?, ?, ?)", (stage, wave, time.monotonic() - began))
        return trials

    def _trials(self, stage: str, wave: int) -> list[Trial] | None:
        query = "select trial from trials where stage = ? and wave = ? order by position"
        with _disk(self.path):
            known = self._database.execute("select 1 from waves where stage = ? and wave = ?", (stage, wave)).fetchone()
            rows = self._database.execute(query, (stage, wave)).fetchall()
        return [parse(text) for (text,) in rows] if known else None

    def cut(self, stages: Collection[str], first: int, last: int | None = None) -> None:
        """Forget the waves `first` to `last` of these stages (None: to the end); later ones move up, all or none."""
        for_stages = f"stage in ({', '.join('?' * len(stages))})"
        end = 2**31 if last is None else last
        with _disk(self.path), self._database:
            for table in ("trials", "waves"):
                where = f"delete from {table} where {for_stages} and wave between ? and ?"
                self._database.execute(where, (*stages, first, end))
                later = f"update {table} set wave = wave - ? where {for_stages} and wave > ?"
                self._database.execute(later, (end - first + 1, *stages, end))

    def waves(self) -> list[StoredBatch]:
        """Everything that was tried so far, in the order in which it was."""
        with _disk(self.path):
            rows = self._database.execute("select stage, wave, seconds from waves order by rowid").fetchall()
        return [
            StoredBatch(stage, number, seconds, self._trials(stage, number) or []) for stage, number, seconds in rows
        ]

    def seconds(self) -> dict[str, float]:
        """What each stage took, rounded to a tenth of a second; a wave that was resumed counts once."""
        query = "select stage, round(sum(seconds), 1) from waves group by stage"
        return dict(self._database.execute(query).fetchall())

    def write_json(self, name: str, value: object) -> None:
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        with _disk(self.path):
            write_whole(self.path / name, text)

    def metrics(self) -> list[dict[str, Any]]:
        """One row per stage: trials, mean reward, failures by blame, trained tokens, seconds."""
        stages: dict[str, list[StoredBatch]] = {}
        for wave in self.waves():
            stages.setdefault(wave.stage, []).append(wave)
        return [{"stage": stage, **_metrics(waves)} for stage, waves in stages.items()]

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


def _metrics(waves: list[StoredBatch]) -> dict[str, Any]:
    trials = [trial for wave in waves for trial in wave.trials]
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    blames = [trial.failure.blame for trial in trials if trial.failure]
    return {
        "trials": len(trials),
        "mean_reward": sum(rewards) / len(rewards) if rewards else None,
        "reliability": asdict(found) if (found := reward_reliability(trials)) else None,
        "policy_failures": blames.count("policy"),
        "system_failures": blames.count("system"),
        "trained_tokens": sum(trial.update.tokens for trial in trials if trial.update),
        "seconds": round(sum(wave.seconds for wave in waves), 3),
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
    return config


def read_json(path: Path) -> Any:
    """A JSON file of a run or an adapter. Raises InputError where it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} is damaged: {error}; restore it, or choose another folder") from None


def _refuse_other_config(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    was, now = dict(_leaves(old)), dict(_leaves(new))
    changed = sorted(key for key in was.keys() | now.keys() if was.get(key) != now.get(key))
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


def write_whole(path: Path, text: str) -> None:
    """Write the file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(partial, path)


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


def dump(trial: Trial) -> str:
    return json.dumps(asdict(trial), separators=(",", ":"))


def parse(text: str) -> Trial:
    """The inverse of `dump`."""
    row = json.loads(text)
    edit = row["edit"]
    examples = tuple(Example(**example) for example in edit["examples"])
    recipe = Recipe(**{**edit["recipe"], "targets": tuple(edit["recipe"]["targets"])})
    return Trial(
        edit=SelfEdit(**{**edit, "examples": examples, "recipe": recipe}),
        update=Update(**row["update"]) if row["update"] else None,
        before=_score(row["before"]),
        after=_score(row["after"]),
        reward=row["reward"],
        failure=Failure(**row["failure"]) if row["failure"] else None,
        member=row["member"],
        repeat=row["repeat"],
    )


def _score(row: dict[str, Any] | None) -> Score | None:
    def item(value: Any) -> Any:
        return Failure(**value) if isinstance(value, dict) else value

    return Score(**{name: tuple(map(item, values)) for name, values in row.items()}) if row else None
