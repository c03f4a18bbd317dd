"""A run's database: batches of items, and files, each with the checksum of what was stored."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from selfedit.errors import InputError

DATABASE = "trials.sqlite"

_SCHEMA = """
create table if not exists files (name text primary key, text text, checksum text);
create table if not exists batches (
    stage text, step integer, seconds real, checksum text, primary key (stage, step)
);
create table if not exists items (
    stage text, step integer, position integer, noun text, task_id text, reward real, failure text, item text,
    primary key (stage, step, position)
);
"""

_ALL = ""
"""The row of `files` whose checksum is that of all other files' and batches': none goes missing unnoticed."""

_NO_ROOM = "cannot write to {path}: {error}; free some space or choose another folder, then resume"
_NO_ACCESS = "cannot open {path}: {error}; see that you may read its files, and write there to go on with it"
_IN_USE = "cannot use {path}/trials.sqlite: {error}; close the program that holds it, then try again"
_DAMAGED = "{path}/trials.sqlite is damaged: {error}; restore it, or start again in another folder"
_REFUSALS = {
    sqlite3.SQLITE_FULL: _NO_ROOM,
    sqlite3.SQLITE_IOERR: _NO_ROOM,
    sqlite3.SQLITE_READONLY: _NO_ACCESS,
    sqlite3.SQLITE_CANTOPEN: _NO_ACCESS,
    sqlite3.SQLITE_PERM: _NO_ACCESS,
    sqlite3.SQLITE_BUSY: _IN_USE,
    sqlite3.SQLITE_LOCKED: _IN_USE,
}
"""What is said of each error of SQLite, by its code; of all others, that the file is damaged."""


class Database:
    """In the folder `path`. What is not as it was stored is an InputError, as is what the disk refuses.

    For reading it is as it was when it was opened, whatever others write meanwhile. Nothing is written then, so it may
    stand on a read-only disk. For writing, what is deleted is overwritten: what a run forgets must not stay in unused
    pages.
    """

    def __init__(self, path: Path, writes: bool = False) -> None:
        self.path = path
        with disk(path):
            self._connection = sqlite3.connect(_address(path / DATABASE, writes), uri=True, isolation_level=None)
            try:
                if writes:
                    self._connection.execute("pragma journal_mode=wal")
                    self._connection.execute("pragma secure_delete=on")
                else:
                    self._connection.execute("begin")
            except sqlite3.Error:
                self._connection.close()
                raise

    def make_tables(self) -> None:
        with disk(self.path):
            self._connection.executescript(_SCHEMA)

    def check(self) -> None:
        """Raises InputError where these are not the tables of a run, or do not hold what was stored."""
        with closing(sqlite3.connect(":memory:")) as fresh:
            fresh.executescript(_SCHEMA)
            query = "select type, name, sql from sqlite_master order by name"
            if self._all(query) != fresh.execute(query).fetchall():
                raise self._damage("it has not the tables of a run")
        for stage, step, _ in self.batches():
            self.items(stage, step)
        seal = self._all("select checksum from files where name = ?", _ALL)
        if seal != [(self._checksum_of_all(),)]:
            raise self._damage("a batch or a file that was stored is missing")

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """What is stored within is stored all at once, or not at all; one within another is part of it."""
        if self._connection.in_transaction:
            yield
        else:
            with disk(self.path), self._connection:
                self._connection.execute("begin immediate")
                yield

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    # Files

    def files(self) -> dict[str, str]:
        """The checksum of every file, by name."""
        return dict(self._all("select name, checksum from files where name != ? order by name", _ALL))

    def read_text(self, name: str) -> str | None:
        """The text of this name; None if there is none."""
        for text, checksum in self._all("select text, checksum from files where name = ?", name):
            if not isinstance(text, str) or checksum_of(text.encode(errors="surrogatepass")) != checksum:
                raise self._damage(f"its {name} is not what was stored")
            return text
        return None

    def replace_files(self, old: Collection[str], new: Mapping[str, tuple[str | None, str]]) -> None:
        """Remove the files of these names, then store others: the text, if it is kept here, and the checksum."""
        with self.transaction():
            self._connection.executemany("delete from files where name = ?", [(name,) for name in old])
            rows = [(name, text, checksum) for name, (text, checksum) in new.items()]
            self._connection.executemany("insert into files values (?, ?, ?)", rows)
            self._seal_all()

    # Batches

    def batches(self) -> list[tuple[str, int, float]]:
        """Stage, step and seconds, in the order in which they were stored."""
        return self._all("select stage, step, seconds from batches order by rowid")

    def items(self, stage: str, step: int) -> list[tuple[str, str]] | None:
        """The items of a batch, the name of its noun before each; None if it is not there."""
        sealed = self._all("select checksum from batches where stage is ? and step is ?", stage, step)
        if not sealed:
            return None
        if sealed != [(self._checksum(stage, step),)]:
            raise self._damage(f"step {step} of {stage} is not what was stored")
        return self._all("select noun, item from items where stage = ? and step = ? order by position", stage, step)

    def add_batch(self, stage: str, step: int, seconds: float, items: Sequence[tuple[Any, ...]]) -> None:
        """Of each item what follows its position."""
        rows = [(stage, step, position, *item) for position, item in enumerate(items)]
        with self.transaction():
            self._connection.execute("delete from items where stage = ? and step = ?", (stage, step))  # of no batch
            self._connection.executemany("insert into items values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._connection.execute("insert into batches values (?, ?, ?, '')", (stage, step, seconds))
            self._seal(stage, step)
            self._seal_all()

    def cut(self, stages: Collection[str], first: int, last: int) -> None:
        """Remove the steps `first` to `last` of these stages; later ones move up."""
        for_stages, by = f"stage in ({', '.join('?' * len(stages))})", last - first + 1
        with self.transaction():
            later = f"select stage, step from batches where {for_stages} and step > ? order by step"
            moved = self._all(later, *stages, last)
            for stage, step in moved:
                self.items(stage, step)  # what is damaged must not be sealed anew
            for table in ("items", "batches"):
                where = f"delete from {table} where {for_stages} and step between ? and ?"
                self._connection.execute(where, (*stages, first, last))
                move = f"update {table} set step = step - ? where {for_stages} and step > ?"
                self._connection.execute(move, (by, *stages, last))
            for stage, step in moved:
                self._seal(stage, step - by)
            self._seal_all()

    def _seal(self, stage: str, step: int) -> None:
        sealed = (self._checksum(stage, step), stage, step)
        self._connection.execute("update batches set checksum = ? where stage = ? and step = ?", sealed)

    def _seal_all(self) -> None:
        seal = (_ALL, None, self._checksum_of_all())
        self._connection.execute("insert or replace into files values (?, ?, ?)", seal)

    def _checksum_of_all(self) -> str:
        batches = self._all("select checksum from batches order by checksum")
        return checksum_of(repr((self.files(), batches)).encode(errors="surrogatepass"))

    def _checksum(self, stage: str, step: int) -> str:
        """Of a batch with all its items."""
        batch = self._all("select stage, step, seconds from batches where stage is ? and step is ?", stage, step)
        items = self._all("select * from items where stage is ? and step is ? order by position", stage, step)
        return checksum_of(repr((batch, items)).encode(errors="surrogatepass"))

    def _all(self, query: str, *values: Any) -> list[Any]:
        with disk(self.path):
            return self._connection.execute(query, values).fetchall()

    def _damage(self, how: str) -> InputError:
        return InputError(_DAMAGED.format(path=self.path, error=how))


def _address(path: Path, writes: bool) -> str:
    """Without a log of unwritten pages beside it a database can be read without writing anything there."""
    log = path.with_name(f"{path.name}-wal")
    is_still = not writes and not (log.exists() and log.stat().st_size)
    return f"{path.absolute().as_uri()}?{'mode=rwc' if writes else 'mode=ro&immutable=1' if is_still else 'mode=ro'}"


def checksum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """What the disk refuses is the user's to mend, and nothing that was stored before is touched by it."""
    try:
        yield
    except PermissionError as error:
        raise InputError(_NO_ACCESS.format(path=path, error=error)) from error
    except OSError as error:
        raise InputError(_NO_ROOM.format(path=path, error=error)) from error
    except (sqlite3.ProgrammingError, sqlite3.InterfaceError):
        raise  # a mistake in this file, such as a row of the wrong type
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
        raise InputError(_REFUSALS.get(code, _DAMAGED).format(path=path, error=error)) from error
