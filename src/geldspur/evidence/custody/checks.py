"""What a check of a scan says, and how the checks read a scan without touching it."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.store import DATABASE

State = Literal["ok", "failed", "not checked"]
_NAMED = 3  # problems that a check names; the others are counted


@dataclass(frozen=True, slots=True)
class Check:
    """One named check: its state, and what was found in words."""

    name: str
    state: State
    words: str


def judged(name: str, problems: Iterable[str], fine: str) -> Check:
    """Failed with the first problems named and the others counted; ok where there is none."""
    problems = iter(problems)
    first = list(islice(problems, _NAMED))
    if not first:
        return Check(name, "ok", fine)
    more = sum(1 for _ in problems)
    return Check(name, "failed", "; ".join(first) + (f"; and {more:,} more" if more else ""))


def not_checked(name: str, why: str) -> Check:
    """A check that there was nothing to do for, or not enough."""
    return Check(name, "not checked", why)


@contextmanager
def untouched(folder: Path) -> Iterator[sqlite3.Connection]:
    """The database of a scan, opened so that nothing in its folder changes.

    SQLite writes a `-shm` file beside a database with a write-ahead log even where it only reads. Where no such log is
    left over (no scan runs, none was killed), the database is declared immutable, and nothing is written.
    """
    path = folder / DATABASE
    if not path.is_file():
        raise UsageError(
            "this is not a scan directory", where=str(folder), todo="name one: geldspur evidence verify DIR"
        )
    left_over = path.with_name(path.name + "-wal")
    mode = "mode=ro" if left_over.exists() and left_over.stat().st_size else "mode=ro&immutable=1"
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True, isolation_level=None)
    try:
        db.execute("PRAGMA trusted_schema = OFF")
        db.execute("PRAGMA query_only = ON")
        db.execute("BEGIN")  # one state for all checks, whoever writes meanwhile
        yield db
    except sqlite3.DatabaseError as error:
        raise GeldspurError(
            f"the scan's database can't be read: {error}", where=str(path), todo="take the scan from a copy"
        ) from error
    finally:
        db.close()


def events(db: sqlite3.Connection, *, newest_first: bool) -> Iterator[tuple[int, dict[str, Any]]]:
    """Number and fields of each record; records that are no JSON object have no fields."""
    order = "DESC" if newest_first else "ASC"
    for seq, text in db.execute(f"SELECT seq, event FROM log ORDER BY seq {order}"):  # noqa: S608
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            fields = None
        yield seq, fields if isinstance(fields, dict) else {}
