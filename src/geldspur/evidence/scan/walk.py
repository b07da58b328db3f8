"""The walk's rows: everything that the source lists, before a byte of content is read."""

import json
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from geldspur.evidence.model import Found
from geldspur.evidence.names import shown
from geldspur.evidence.store import ScanStore
from geldspur.progress import Progress

_INSERT = """
INSERT INTO entry (parent, path, ordinal, kind, place, size, allocated, device, inode, links, born_ns, modified_ns,
                   accessed_ns, changed_ns, times_from, deleted, state, reason, detail, errno, error_offset, content,
                   members)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_SPEAK_EVERY = 1000
MOST = 1 << 63  # what SQLite's integers hold


def insert(
    db: sqlite3.Connection,
    found: Found,
    *,
    path: bytes,
    ordinal: int,
    parent: int | None,
    state: str,
    reason: str | None = None,
    detail: str | None = None,
    errno: int | None = None,
    offset: int | None = None,
    content: int | None = None,
    members: str | None = None,
) -> int:
    """Add one row; returns its id."""
    times = found.times
    of_times = (
        (*map(storable, (times.born_ns, times.modified_ns, times.accessed_ns, times.changed_ns)), times.source)
        if times
        else (None, None, None, None, None)
    )
    place = json.dumps(found.place, sort_keys=True) if found.place else "{}"
    row = db.execute(
        _INSERT,
        (
            parent, path, ordinal, found.kind, place, storable(found.size), storable(found.allocated),
            _signed(found.device), _signed(found.inode), storable(found.links), *of_times, int(found.deleted), state,
            reason, as_words(detail), errno, storable(offset), content, members,
        ),
    )  # fmt: skip
    assert row.lastrowid is not None
    return row.lastrowid


def storable(number: int | None) -> int | None:
    """What a column can hold, None for the rest: anyone can give a file a time in the year 2400, which in nanoseconds
    is beyond 2**63."""
    return number if number is not None and -MOST <= number < MOST else None


def as_words(text: str | None) -> str | None:
    """Words that came from a library, which may quote a file's name or an archive's own text: fit for one line."""
    return text if text is None or text.isprintable() else shown(text.encode("utf-8", "surrogatepass"))


def _signed(inode: int | None) -> int | None:
    """SQLite's integers end at 2**63, numbers of inodes and devices at 2**64."""
    return inode - (1 << 64) if inode is not None and inode >= MOST else inode


def record_walk(store: ScanStore, listing: Iterable[Found], progress: Progress) -> None:
    """List the source into rows, as one change: a walk that was cut short leaves nothing, and is done again."""
    files = directories = size = waiting = 0
    with store.change() as db, progress.task("walk", None, "entries") as bar:
        for found in listing:
            _add(store, db, found)
            directories += found.kind == "directory"
            files += found.kind != "directory"
            size += found.size or 0 if found.kind == "file" else 0
            waiting += 1
            if waiting == _SPEAK_EVERY:
                bar.advance(waiting)
                waiting = 0
        bar.advance(waiting)
        db.execute("INSERT INTO about VALUES ('walked', 'yes')")
        store.log("walked", files=files, directories=directories, bytes=size)


def _add(store: ScanStore, db: sqlite3.Connection, found: Found) -> None:
    state, reason, errno, detail = _state(found)
    listed = partial(
        insert, db, found, path=found.path, parent=None, state=state, reason=reason, detail=detail, errno=errno
    )
    ordinal = 0
    try:
        listed(ordinal=ordinal)
    except sqlite3.IntegrityError:  # the path is there: deleted entries repeat names
        ordinal = db.execute("SELECT max(ordinal) FROM entry WHERE path = ?", (found.path,)).fetchone()[0] + 1
        listed(ordinal=ordinal)
    if reason is not None:
        kind = "directory" if found.kind == "directory" else "file"
        told = {"reason": reason} | ({} if errno is None else {"errno": errno})
        store.log(kind, path=found.path, ordinal=ordinal, state=state, size=found.size, **told)


def _state(found: Found) -> tuple[str, str | None, int | None, str | None]:
    """State, reason, errno and words of an entry as it was listed."""
    if found.error is not None:
        errno, words = found.error
        return "unreadable", "vanished" if errno == 2 else "error", errno, f"could not be listed: {words}"
    if found.skip is not None:
        return "skipped", found.skip, None, found.detail
    return ("listed" if found.kind == "directory" else "found"), None, None, None


@dataclass(frozen=True, slots=True)
class Differences:
    """Between a source and its walk: paths that are new or of other facts, in order of finding; how many are gone."""

    changed: list[bytes]
    gone: int


def differences(store: ScanStore, listing: Iterable[Found]) -> Differences:
    """Compare kinds, sizes, inodes and times of content and inode; no content is read."""
    query = "SELECT kind, size, inode, modified_ns, changed_ns FROM entry WHERE path = ? AND ordinal = ?"
    changed, seen = [], 0
    ordinals: dict[bytes, int] = {}  # of deleted entries only, which alone repeat names
    for found in listing:
        ordinal = ordinals.get(found.path, -1) + 1 if found.deleted else 0
        if found.deleted:
            ordinals[found.path] = ordinal
        row = store.db.execute(query, (found.path, ordinal)).fetchone()
        times = found.times
        modified, inode_changed = (storable(times.modified_ns), storable(times.changed_ns)) if times else (None, None)
        seen += row is not None
        if row != (found.kind, storable(found.size), _signed(found.inode), modified, inode_changed):
            changed.append(found.path)
    (walked,) = store.db.execute("SELECT count(*) FROM entry WHERE parent IS NULL").fetchone()
    return Differences(changed, walked - seen)
