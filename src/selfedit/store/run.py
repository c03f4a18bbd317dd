"""An open run: its config, what it has computed, the files it keeps, and the lock that says who works on it."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from selfedit import __version__, files
from selfedit.errors import InputError, NoRun, OtherVersion, Refused
from selfedit.protocols import NounT
from selfedit.store.database import DATABASE, Database, checksum_of, disk
from selfedit.store.metrics import StoredBatch, stage_metrics
from selfedit.store.nouns import NOUNS, columns, parse

CONFIG, REPORT, SUMMARY = "config.json", "report.html", "summary.json"

MACHINE = "machine"
"""The table in config.json with what the run found of the machine when it began: it does not make another config."""

_OF_THE_DATABASE = {"lock", DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm", f"{DATABASE}-journal"}
_BEFORE_CONFIG = {*_OF_THE_DATABASE, f"{CONFIG}.partial"}
"""What a run that was killed as it began may have left in its folder."""


class Run:
    """`path` is its directory; close it, or use it in a `with`."""

    def __init__(self, path: Path, config: dict[str, Any], database: Database, lock: int | None = None) -> None:
        self.path, self.config, self._database, self._lock = path, config, database, lock
        self.updates = path / "updates"
        self._changed: set[str] = set()

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], machine: Mapping[str, int] | None = None) -> Run:
        """Start a run, or go on with one that has the same config. Raises Refused where the config differs.

        `machine`: what a new run keeps of the machine; other values of it make no other config.
        """
        config = json.loads(json.dumps({"version": __version__, **config}))  # as it is read: a tuple becomes a list
        with disk(path), ExitStack() as opened:
            if (path / CONFIG).exists():
                _refuse_other_config(path, _read_config(path), config)
                return cls.resume(path)
            if path.exists() and {file.name for file in path.iterdir()} - _BEFORE_CONFIG:
                raise Refused(f"{path} is not empty and holds no run; choose another folder with --output")
            path.mkdir(parents=True, exist_ok=True)
            lock = _take_lock(path)
            opened.callback(os.close, lock)
            database = opened.enter_context(closing(Database(path, writes=True)))
            database.make_tables()
            run = cls(path, {**config, MACHINE: dict(machine)} if machine else config, database, lock)
            if run.batches():
                raise Refused(f"{path} is a run without its {CONFIG}; restore that, or choose another folder")
            run.keep_text(CONFIG, json.dumps(run.config, indent=2, sort_keys=True) + "\n")
            opened.pop_all()
            return run

    @classmethod
    def open(cls, path: Path) -> Run:
        """Open a run that exists, to look at it; another process may be working on it. Writes nothing."""
        with disk(path), ExitStack() as opened:
            run = cls(path, _read_config(path), opened.enter_context(closing(Database(path))))
            run._check()
            opened.pop_all()
            return run

    @classmethod
    def resume(cls, path: Path) -> Run:
        """Open a run that exists, to go on with it. Raises Refused where another process does."""
        with disk(path), ExitStack() as opened:
            config, lock = _read_config(path), _take_lock(path)
            opened.callback(os.close, lock)
            run = cls(path, config, opened.enter_context(closing(Database(path, writes=True))), lock)
            run._check()
            run._write_copies(run._names())
            opened.pop_all()
            return run

    def _check(self) -> None:
        """Raises InputError where the database is not that of a run, or of one with another config."""
        self._database.check()
        kept = json.loads(self.read_text(CONFIG) or "{}")
        if changed := _differences(kept, self.config):
            raise InputError(
                f"{self.path / CONFIG} was changed since the run began, in {', '.join(changed[:5])}; put that back, or "
                "start another run with the new settings"
            )
        self.config = kept

    @property
    def kind(self) -> str:
        """Which workflow it was started as a run of."""
        return str(self.config.get("kind", ""))

    @property
    def is_finished(self) -> bool:
        return self.read_text(SUMMARY) is not None and (self.path / REPORT).exists()

    @property
    def has_begun(self) -> bool:
        """Whether anything was computed, which a resumed run does not compute again."""
        return self.updates.exists() or bool(self._database.batches())

    # What was computed

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is stored within is stored all at once, or not at all; one within another is part of it."""
        with disk(self.path):
            self.refuse_if_removed()
            with self._database.transaction():
                yield
            if not self._database.in_transaction:
                self._write_copies(self._changed)
                self._changed = set()

    def remember(self, stage: str, step: int, compute: Callable[[], list[NounT]], noun: type[NounT]) -> list[NounT]:
        """The items of a batch, each a `noun`: from the database, or computed now and written in one transaction."""
        stored = self._items(stage, step)
        if stored is not None:
            return stored
        began = time.monotonic()
        items = compute()
        with self.transaction():
            rows = [(noun.__name__, *columns(item)) for item in items]
            self._database.add_batch(stage, step, time.monotonic() - began, rows)
        return items

    def _items(self, stage: str, step: int) -> list[Any] | None:
        stored = self._database.items(stage, step)
        return None if stored is None else [parse(text, NOUNS[noun]) for noun, text in stored]

    def cut(self, stages: Collection[str], first: int, last: int | None = None) -> None:
        """Forget the steps `first` to `last` of these stages (None: to the end); later ones move up, all or none."""
        with self.transaction():
            self._database.cut(stages, first, 2**31 if last is None else last)

    def batches(self) -> list[StoredBatch]:
        """Everything that was tried so far, in the order in which it was."""
        stored = self._database.batches()
        return [StoredBatch(stage, step, seconds, self._items(stage, step) or []) for stage, step, seconds in stored]

    def by_stage(self) -> dict[str, dict[int, list[Any]]]:
        """The same by stage and step, without the times."""
        stages: dict[str, dict[int, list[Any]]] = {}
        for batch in self.batches():
            stages.setdefault(batch.stage, {})[batch.step] = batch.items
        return stages

    def seconds(self) -> dict[str, float]:
        """What each stage took, rounded to a tenth of a second; a batch that was resumed counts once."""
        took: dict[str, list[float]] = {}
        for stage, _, seconds in self._database.batches():
            took.setdefault(stage, []).append(seconds)
        return {stage: round(sum(seconds), 1) for stage, seconds in took.items()}

    def metrics(self) -> list[dict[str, Any]]:
        """One row per stage: items, trials, mean reward, failures by blame, trained tokens, seconds."""
        return stage_metrics(self.batches())

    # Files

    def read_text(self, name: str) -> str | None:
        """What `keep_text` kept under this name; None if nothing."""
        return self._database.read_text(name)

    def keep_text(self, name: str, text: str | None) -> None:
        """Store a file that is read back, with a copy of it for people in the folder; None removes both."""
        with self.transaction():
            new = {} if text is None else {name: (text, checksum_of(text.encode(errors="surrogatepass")))}
            self._database.replace_files([name], new)
            self._changed.add(name)

    def keep_json(self, name: str, value: object) -> None:
        self.keep_text(name, json.dumps(value, indent=2) + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a file that is only looked at."""
        with disk(self.path):
            self.refuse_if_removed()
            files.write_whole(self.path / name, text)

    def write_metrics(self) -> None:
        self.write_text("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in self.metrics()))

    def _names(self) -> list[str]:
        """Of the files that are kept whole: all but those of updates."""
        return [name for name in self._database.files() if "/" not in name]

    def _write_copies(self, names: Collection[str]) -> None:
        """Have the files in the folder be what is kept; those that are not kept any more are removed."""
        for name in sorted(names):
            if (text := self.read_text(name)) is None:
                (self.path / name).unlink(missing_ok=True)
            elif not files.holds(self.path / name, text):
                files.write_whole(self.path / name, text)

    # Updates

    def keep_update(self, folder: Path) -> None:
        """Store the checksums of an update's files."""
        new = {name: (None, digest) for name, digest in self._found(folder).items()}
        self._database.replace_files(self._kept(folder), new)

    def check_update(self, folder: Path) -> None:
        """Raises InputError for an update in the run's folder that is not what was kept."""
        kept, found = self._kept(folder), self._found(folder)
        if wrong := sorted(name for name in kept.keys() | found if kept.get(name) != found.get(name)):
            how = "is not what the run wrote" if wrong[0] in found else "is missing"
            raise InputError(
                f"{self.path / wrong[0]} {how}; restore it, or start again in another folder (an adapter or a round is "
                f"made again where it is missing: remove {folder}, and resume)"
            )

    def keeps_update(self, folder: Path) -> bool:
        return bool(self._kept(folder))

    def _kept(self, folder: Path) -> dict[str, str]:
        """Checksums of an update's files as they were kept, by their path in the run."""
        place = f"{folder.relative_to(self.path).as_posix()}/"
        return {name: digest for name, digest in self._database.files().items() if name.startswith(place)}

    def _found(self, folder: Path) -> dict[str, str]:
        """The same as they are now."""
        found = {}
        with disk(self.path):
            for path in sorted(folder.rglob("*")):
                if path.is_file():
                    with path.open("rb") as file:
                        digest = hashlib.file_digest(file, "sha256")
                    found[path.relative_to(self.path).as_posix()] = digest.hexdigest()
        return found

    # Its folder

    def refuse_if_removed(self) -> None:
        """Raises InputError where the folder of a run that goes on was removed, or another is in its place."""
        try:
            is_there = self._lock is None or os.path.samestat(os.stat(self.path / "lock"), os.fstat(self._lock))
        except FileNotFoundError:
            is_there = False
        if not is_there:
            raise InputError(
                f"{self.path} was removed, or its lock was, while the run went on: what it held is lost; start it again"
            )

    def discard(self) -> None:
        """Remove a run that could not begin, and nothing else that is in its folder."""
        names = {*self._names(), *_BEFORE_CONFIG}
        self.close()
        for name in names:
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):  # somebody has put something in it
            self.path.rmdir()

    def close(self) -> None:
        self._database.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


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
    saved = path / CONFIG
    if not saved.is_file():
        raise NoRun(f"{path} is not a run: it has no {CONFIG}; `selfedit runs list` shows the runs here")
    config, has_database = read_json(saved), (path / DATABASE).exists()
    if not isinstance(config, dict):
        raise InputError(f"{saved} is damaged: it holds no table of settings; restore it, or choose another folder")
    if "version" not in config and not has_database:
        raise NoRun(f"{path} is not a run: its {CONFIG} is another program's; `selfedit runs list` shows the runs here")
    made_by = str(config.get("version", "0.1"))
    if made_by.split(".")[:2] != __version__.split(".")[:2]:
        raise OtherVersion(
            f"{path} is a run of selfedit {made_by}, and this is {__version__}: open it with that version, or start it "
            "again; its adapters work as they are, by the folders in updates/"
        )
    if not (path / DATABASE).is_file():
        how = "is no ordinary file" if has_database else "is missing"
        raise InputError(f"{path / DATABASE} {how}; restore it, or start again in another folder")
    return config


def read_json(path: Path) -> Any:
    """A JSON file of a run or an adapter. Raises InputError where it is damaged."""
    content = files.read_bytes(path)
    try:
        return files.parse_json(content.decode(), str(path))
    except (UnicodeDecodeError, InputError) as error:
        why = str(error).removeprefix(f"{path} ")
        raise InputError(f"{path} is damaged: {why}; restore it, or choose another folder") from None


def _refuse_other_config(path: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    if changed := _differences(old, new):
        raise Refused(
            f"{path} was started with another config; it differs in {', '.join(changed)}; "
            "choose another folder with --output, or go on with the old config: selfedit resume"
        )


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The keys with other values; a version that could read it, and another machine, make no difference."""
    was, now = dict(_leaves(old)), dict(_leaves(new))
    keys = {key for key in was.keys() | now.keys() if key != "version" and not key.startswith(f"{MACHINE}.")}
    return sorted(key for key in keys if was.get(key) != now.get(key))


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value
