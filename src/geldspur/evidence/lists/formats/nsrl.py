"""NSRL's Reference Data Set, version 3: an SQLite database whose FILE (a table, in
the full set a view) holds SHA-256, SHA-1 and MD5.

The files in it are known software: the list is benign. The database is opened read-only and immutable, so that not even
a lock or a journal appears beside it.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.lists.entry import Entry, Facts, Item, Reading, Rejected, add_hash, finished
from geldspur.evidence.lists.listfile import ListFile
from geldspur.progress import Task

_DIGESTS = ("sha256", "sha1", "md5")
_ROWS = 10_000


def read(file: ListFile, task: Task) -> Reading:
    """The database's distinct files. Rows with the same three digests (one file in several packages) are one entry."""
    _refuse_unfinished(file)
    with closing(_open(file)) as db:
        table, columns = _columns(db, file)
        facts = Facts("nsrl-rds-3", kind="benign")
        facts.version, facts.made = _version(db)
    return Reading(facts, _items(file, task, table, columns))


def _refuse_unfinished(file: ListFile) -> None:
    """What lies in a journal beside the database would not be read."""
    for suffix in ("-wal", "-journal"):
        beside = file.path.with_name(file.path.name + suffix)
        if beside.exists() and beside.stat().st_size:
            raise UsageError(
                "the database was not closed: a journal with changes lies beside it",
                where=str(beside),
                todo="open and close a copy of it with sqlite3, or get it anew",
            )


def _open(file: ListFile) -> sqlite3.Connection:
    db = sqlite3.connect(f"{file.path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA temp_store = FILE")
    db.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return db


def _columns(db: sqlite3.Connection, file: ListFile) -> tuple[str, list[str]]:
    """The table or view to read, and its columns of digests."""
    for table in ("FILE", "METADATA"):
        try:
            names = [row[1].lower() for row in db.execute(f"PRAGMA table_info({table})")]
        except sqlite3.DatabaseError as error:
            raise _broken(file, error) from error
        if columns := [name for name in _DIGESTS if name in names]:
            return table, columns
    raise UsageError(
        "the SQLite database is no NSRL data set: it has no table FILE with digests",
        where=str(file.path),
        todo="name the .db file of an RDS version 3",
    )


def _version(db: sqlite3.Connection) -> tuple[str | None, str | None]:
    """Version and release date; each copy of the data set names some of the columns."""
    try:
        names = [row[1].lower() for row in db.execute("PRAGMA table_info(VERSION)")]
        row = db.execute("SELECT * FROM VERSION LIMIT 1").fetchone()
    except sqlite3.DatabaseError:
        return None, None
    said = dict(zip(names, row or (), strict=False))
    date = said.get("release_date", said.get("build_date"))
    return (str(said["version"]) if said.get("version") else None), (str(date) if date else None)


def _items(file: ListFile, task: Task, table: str, columns: list[str]) -> Iterator[Item]:
    names = ", ".join(columns)
    with closing(_open(file)) as db:
        number = 0
        try:
            cursor = db.execute(f"SELECT DISTINCT {names} FROM {table} ORDER BY {names}")  # noqa: S608 (names are ours)
            while rows := cursor.fetchmany(_ROWS):
                for row in rows:
                    number += 1
                    yield _entry(columns, row, f"record {number:,} by {columns[0]}")
        except sqlite3.DatabaseError as error:
            raise _broken(file, error) from error
    task.advance(file.size)


def _entry(columns: list[str], row: tuple[object, ...], where: str) -> Entry | Rejected:
    entry = Entry(where=where)
    for name, value in zip(columns, row, strict=True):
        add_hash(entry, name, value.hex() if isinstance(value, bytes) else value)
    return finished(entry)


def _broken(file: ListFile, error: sqlite3.DatabaseError) -> GeldspurError:
    return GeldspurError(
        f"the database can't be read: {error}", where=str(file.path), todo="get a sound copy of the list"
    )
