"""The sum of a scan: found = hashed + unreadable + skipped, and what the files are; every figure one query."""

import sqlite3
from dataclasses import dataclass

_FILES = "kind IN ('file', 'symlink', 'special')"
_MANY_NAMES = """SELECT count(*) - 1 AS further FROM entry WHERE kind = 'file' AND links > 1 AND parent IS NULL
                 GROUP BY device, inode"""

_CLAIMS = "FROM entry WHERE kind = 'file' AND parent IS NOT NULL"


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one scan. Files are rows that are no directory, members of archives among them; sizes in bytes.

    `size`: of files outside archives, as the source has them; `claimed_size`: of members, as their archives say, which
    may be anything. `not_read`: files whose turn has not come; 0 once the scan is finished. `hard_links`: names beyond
    the first of the same inode. `sparse`: files with less room on the disk than their size. `deleted`: from
    unallocated entries of a file system, members of deleted archives not among them. `contents`: distinct by bytes.
    `media`: contents by what fingerprinting found them to be.
    """

    found: int
    hashed: int
    unreadable: dict[str, int]
    skipped: dict[str, int]
    not_read: int
    directories: int
    directories_unreadable: int
    directories_skipped: int
    members: int
    size: int
    claimed_size: int
    hard_links: int
    empty: int
    sparse: int
    deleted: int
    contents: int
    content_size: int
    media: dict[str, int]
    archives: dict[str, int]

    @property
    def closes(self) -> bool:
        """Does the sum hold, with nothing left to read?"""
        total = self.hashed + sum(self.unreadable.values()) + sum(self.skipped.values())
        return self.not_read == 0 and total == self.found


def count(db: sqlite3.Connection) -> Counts:
    """Count a scan's rows as they are now."""

    def one(query: str) -> int:
        value: int | None = db.execute(query).fetchone()[0]
        return value or 0

    def by(column: str, table: str, where: str) -> dict[str, int]:
        query = f"SELECT {column}, count(*) FROM {table} WHERE {where} GROUP BY 1 ORDER BY 1"  # noqa: S608
        return dict(db.execute(query))

    states = by("state", "entry", _FILES)
    return Counts(
        found=sum(states.values()),
        hashed=states.get("hashed", 0),
        unreadable=by("reason", "entry", f"state = 'unreadable' AND {_FILES}"),
        skipped=by("reason", "entry", f"state = 'skipped' AND {_FILES}"),
        not_read=states.get("found", 0),
        directories=one("SELECT count(*) FROM entry WHERE kind = 'directory'"),
        directories_unreadable=one("SELECT count(*) FROM entry WHERE kind = 'directory' AND state = 'unreadable'"),
        directories_skipped=one("SELECT count(*) FROM entry WHERE kind = 'directory' AND state = 'skipped'"),
        members=one(f"SELECT count(*) FROM entry WHERE parent IS NOT NULL AND {_FILES}"),  # noqa: S608
        size=one("SELECT sum(size) FROM entry WHERE kind = 'file' AND parent IS NULL"),
        # By halves: what archives claim may add up to more than SQLite's sum() can hold, which is an error there.
        claimed_size=(one(f"SELECT sum(size >> 32) {_CLAIMS}") << 32) + one(f"SELECT sum(size & 4294967295) {_CLAIMS}"),
        hard_links=one(f"SELECT sum(further) FROM ({_MANY_NAMES})"),  # noqa: S608
        empty=one("SELECT count(*) FROM entry WHERE kind = 'file' AND size = 0"),
        sparse=one("SELECT count(*) FROM entry WHERE kind = 'file' AND allocated < size"),
        deleted=one(f"SELECT count(*) FROM entry WHERE deleted = 1 AND {_FILES}"),  # noqa: S608
        contents=one("SELECT count(*) FROM content"),
        content_size=one("SELECT sum(size) FROM content"),
        media=by("media", "content", "TRUE"),
        archives=by("members", "entry", "members IS NOT NULL AND kind = 'file'"),
    )
