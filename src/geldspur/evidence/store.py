"""The scan directory: `scan.sqlite`, its hash-chained log, and who may write."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from geldspur.errors import GeldspurError, UsageError
from geldspur.proof.chainlog import START, canonical, next_hash
from geldspur.times import utc_now

SCHEMA = "1"
DATABASE = "scan.sqlite"
_LOCK = "lock"  # made first: it may be all that a kill left


class ScanStore:
    """One scan directory. Rows change only inside `change()`, together with the records that tell of the change."""

    def __init__(self, folder: Path, db: sqlite3.Connection, clock: Callable[[], str] = utc_now) -> None:
        self.folder = folder
        self.db = db
        self._clock = clock
        last = db.execute("SELECT seq, hash FROM log ORDER BY seq DESC LIMIT 1").fetchone()
        self._seq: int = last[0] if last else 0
        self._hash: bytes = last[1] if last else START

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is there after a kill, or nothing."""
        before = self._seq, self._hash
        self.db.execute("BEGIN IMMEDIATE")
        try:
            yield self.db
            self.db.execute("COMMIT")
        except BaseException as error:
            self._seq, self._hash = before
            if self.db.in_transaction:
                self.db.execute("ROLLBACK")
            if getattr(error, "sqlite_errorcode", None) in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise GeldspurError(
                    "no room is left for the scan",
                    where=str(self.folder),
                    todo="make room and run the same command again: what was recorded stands, nothing is half recorded",
                ) from error
            raise

    def log(self, kind: str, **fields: Any) -> None:
        """Add a record to the chain; call it inside `change()`. Bytes go in as hexadecimal text."""
        plain = {name: value.hex() if isinstance(value, bytes) else value for name, value in fields.items()}
        event = canonical({"seq": self._seq + 1, "time": self._clock(), "kind": kind, **plain})
        self._seq, self._hash = self._seq + 1, next_hash(self._hash, event)
        self.db.execute("INSERT INTO log VALUES (?, ?, ?)", (self._seq, event, self._hash))

    def log_halves(self, events: Iterable[tuple[str, str]]) -> None:
        """Add many records, as the texts before and behind their number; the time is their last field, and is added.

        A caller that writes canonical JSON itself saves most of what a record costs.
        """
        time, rows = self._clock(), []
        for before, behind in events:
            event = f'{before}{self._seq + 1}{behind}"time":"{time}"}}'
            self._seq, self._hash = self._seq + 1, next_hash(self._hash, event)
            rows.append((self._seq, event, self._hash))
        self.db.executemany("INSERT INTO log VALUES (?, ?, ?)", rows)

    def about(self) -> dict[str, str]:
        """What was scanned with what."""
        return dict(self.db.execute("SELECT key, value FROM about ORDER BY key"))

    @property
    def head(self) -> tuple[int, bytes]:
        """Number and hash of the last record."""
        return self._seq, self._hash


@contextmanager
def _connected(path: Path, read_only: bool) -> Iterator[sqlite3.Connection]:
    """The database while it is open; whatever SQLite finds damaged in it meanwhile is a `GeldspurError`."""
    mode = "ro" if read_only else "rwc"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None)
    try:
        _set_up(db, read_only)
        yield db
    except sqlite3.DatabaseError as error:
        raise GeldspurError(
            f"the scan's database can't be used: {error}",
            where=str(path),
            todo="geldspur evidence verify DIR tells whether it is damaged; take the scan from a copy, or scan again",
        ) from error
    finally:
        db.close()


def _set_up(db: sqlite3.Connection, read_only: bool) -> None:
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("PRAGMA trusted_schema = OFF")
    db.execute("PRAGMA temp_store = MEMORY")  # no file outside the scan directory
    db.execute("PRAGMA cache_size = -65536")  # digests fall anywhere in their indexes
    if not read_only:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA wal_autocheckpoint = 8000")  # pages; each one is written once for many changes of it


@contextmanager
def new_or_unfinished(folder: Path) -> Iterator[ScanStore]:
    """The scan directory to write: made anew (mode 0700, files 0600) or as an earlier run left it.

    Raises:
        UsageError: the folder holds something else.
        GeldspurError: another process writes it.
    """
    if folder.is_dir() and not (folder / DATABASE).exists() and any(path.name != _LOCK for path in folder.iterdir()):
        raise UsageError("the folder is not empty and holds no scan", where=str(folder), todo="name a new folder")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _only_writer(folder):
        path = folder / DATABASE
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
        with _connected(path, read_only=False) as db:
            if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'log'").fetchone():
                schema = files("geldspur.evidence").joinpath("schema.sql").read_text()
                db.executescript("BEGIN;" + schema + "COMMIT;")
            _check(db, folder)
            yield ScanStore(folder, db)


@contextmanager
def open_to_write(folder: Path) -> Iterator[ScanStore]:
    """An existing scan directory, to add matches to it."""
    _must_exist(folder)
    with new_or_unfinished(folder) as store:
        yield store


@contextmanager
def open_to_read(folder: Path) -> Iterator[ScanStore]:
    """An existing scan directory, to read only."""
    _must_exist(folder)
    with _connected(folder / DATABASE, read_only=True) as db:
        _check(db, folder)
        yield ScanStore(folder, db)


def _must_exist(folder: Path) -> None:
    if not (folder / DATABASE).is_file():
        raise UsageError(
            "this is not a scan directory",
            where=str(folder),
            todo="make one with: geldspur evidence scan SOURCE --out DIR",
        )


def _check(db: sqlite3.Connection, folder: Path) -> None:
    try:
        row = db.execute("SELECT value FROM about WHERE key = 'schema'").fetchone()
    except sqlite3.DatabaseError as error:
        raise GeldspurError(f"the scan's database can't be read: {error}", where=str(folder / DATABASE)) from error
    if row is None or row[0] != SCHEMA:
        found = row[0] if row else "none"
        raise GeldspurError(
            f"the scan has schema {found}, this program reads {SCHEMA}", where=str(folder), todo="scan again"
        )


@contextmanager
def _only_writer(folder: Path) -> Iterator[None]:
    lock = os.open(folder / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise GeldspurError("another process is writing this scan", where=str(folder), todo="wait for it") from None
        yield
    finally:
        os.close(lock)
