"""A run is a directory you can read, resume and re-run.

    config.json      the resolved config, written once, never edited
    trials.sqlite    one row per trial, a wave per transaction: the source of truth
    metrics.jsonl    one line per stage, written anew from the trials
    updates/<id>/    PEFT adapters, each written whole or not at all
    summary.json     the score table
    report.html      what people look at

A run resumes only under the config that started it.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from selfedit.errors import InputError, Refused
from selfedit.types import Example, Failure, Recipe, Score, SelfEdit, Trial, Update

_SCHEMA = """
create table if not exists waves (stage text, wave integer, seconds real, primary key (stage, wave));
create table if not exists trials (
    stage text, wave integer, position integer, task_id text, reward real, failure text, trial text,
    primary key (stage, wave, position)
);
"""


@dataclass(frozen=True, slots=True)
class Wave:
    stage: str
    number: int
    seconds: float
    trials: list[Trial]


class Run:
    """An open run. `path` is its directory; close it, or use it in a `with`."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self.path, self.config = path, config
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
                _refuse_other_config(path, json.loads(saved.read_text()), config)
            elif path.exists() and any(path.iterdir()):
                raise Refused(f"{path} is not empty and holds no run; choose another folder with --output")
            else:
                path.mkdir(parents=True, exist_ok=True)
                write_whole(saved, json.dumps(config, indent=2, sort_keys=True) + "\n")
        return cls(path, config)

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run that exists."""
        if not (path / "config.json").is_file():
            raise InputError(f"{path} is not a run: it has no config.json; `selfedit runs list` shows the runs here")
        return cls(path, json.loads((path / "config.json").read_text()))

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
        known = self._database.execute("select 1 from waves where stage = ? and wave = ?", (stage, wave)).fetchone()
        query = "select trial from trials where stage = ? and wave = ? order by position"
        return [parse(text) for (text,) in self._database.execute(query, (stage, wave))] if known else None

    def waves(self) -> list[Wave]:
        """Everything that was tried so far, in the order in which it was."""
        rows = self._database.execute("select stage, wave, seconds from waves order by rowid").fetchall()
        return [Wave(stage, number, seconds, self._trials(stage, number) or []) for stage, number, seconds in rows]

    def write_json(self, name: str, value: object) -> None:
        self.write_text(name, json.dumps(value, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        with _disk(self.path):
            write_whole(self.path / name, text)

    def write_metrics(self) -> None:
        """One line per stage: trials, mean reward, failures by blame, trained tokens, seconds."""
        stages: dict[str, list[Wave]] = {}
        for wave in self.waves():
            stages.setdefault(wave.stage, []).append(wave)
        lines = [json.dumps({"stage": stage, **_metrics(waves)}) for stage, waves in stages.items()]
        self.write_text("metrics.jsonl", "".join(line + "\n" for line in lines))

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _metrics(waves: list[Wave]) -> dict[str, Any]:
    trials = [trial for wave in waves for trial in wave.trials]
    rewards = [trial.reward for trial in trials if trial.reward is not None]
    blames = [trial.failure.blame for trial in trials if trial.failure]
    return {
        "trials": len(trials),
        "mean_reward": sum(rewards) / len(rewards) if rewards else None,
        "policy_failures": blames.count("policy"),
        "system_failures": blames.count("system"),
        "trained_tokens": sum(trial.update.tokens for trial in trials if trial.update),
        "seconds": round(sum(wave.seconds for wave in waves), 3),
    }


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
    with partial.open("w") as file:
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
    )


def _score(row: dict[str, Any] | None) -> Score | None:
    def item(value: Any) -> Any:
        return Failure(**value) if isinstance(value, dict) else value

    return Score(tuple(map(item, row["answers"])), tuple(map(item, row["grades"]))) if row else None
