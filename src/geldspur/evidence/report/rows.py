"""The scan's rows in the order of the outputs, by bytes of the path and ordinal, one at a time."""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from geldspur.evidence.names import shown
from geldspur.evidence.report.cells import cell
from geldspur.evidence.report.count_contents import LEVELS
from geldspur.times import utc_ns

_COLUMNS = (
    "entry.id, path, ordinal, kind, deleted, state, reason, detail, errno, error_offset, entry.size, allocated, "
    "entry.content, device, inode, links, born_ns, modified_ns, accessed_ns, changed_ns, times_from, parent, members, "
    "number, names, content.sha256, content.sha1, content.md5, content.blake3, content.media, report_level.level, "
    "(SELECT alike.sha256 FROM content AS alike JOIN cluster ON alike.id = cluster.cluster "
    "WHERE cluster.content = entry.content)"
)
_ENTRIES = (
    f"SELECT {_COLUMNS} FROM entry CROSS JOIN report_name ON report_name.entry = entry.id "
    "LEFT JOIN content ON content.id = entry.content LEFT JOIN report_level ON report_level.content = entry.content "
    "{where} ORDER BY path, ordinal"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One name of the inventory. It is the `number`-th of the `names` of its content, in the order
    of paths."""

    id: int
    path: bytes
    ordinal: int
    kind: str
    deleted: int
    state: str
    reason: str | None
    detail: str | None
    errno: int | None
    error_offset: int | None
    size: int | None
    allocated: int | None
    content: int | None
    device: int | None
    inode: int | None
    links: int | None
    born_ns: int | None
    modified_ns: int | None
    accessed_ns: int | None
    changed_ns: int | None
    times_from: str | None
    parent: int | None
    members: str | None
    number: int
    names: int
    sha256: bytes | None
    sha1: bytes | None
    md5: bytes | None
    blake3: bytes | None
    media: str | None
    level: str | None
    alike: bytes | None


@dataclass(frozen=True, slots=True)
class Hit:
    """One entry of a list that a content matches. `list` is hash_list.id, `says` what the list says of the entry."""

    list: int
    method: str
    row: int
    category: str | None
    frames: int | None
    of_frames: int | None
    distance: int | None
    quality: int | None
    variant: str | None
    says: str

    @property
    def near(self) -> bool:
        """Whether frames match, and not the bytes."""
        return self.method == "pdq"


@dataclass(frozen=True, slots=True)
class Rows:
    """Reads one scan for the outputs. With `masked`, names give way to short ids made from digests.

    Ids are `DIGEST-N`: the first 16 digits of the content's SHA-256 and the number of the name among the names of
    this content; `unread-N` where there is no digest.
    """

    db: sqlite3.Connection
    masked: bool
    compared: bool

    def prepare(self) -> None:
        """Lay out levels and numbers of names in temporary tables of this connection; the scan stays as it is."""
        cases = " ".join(f"WHEN {where} THEN '{level}'" for level, where in LEVELS.items())
        level = f"CASE {cases} END" if self.compared else "CASE WHEN size = 0 THEN 'empty' ELSE 'not compared' END"
        for statement in (
            "CREATE TEMP TABLE report_level (content INTEGER PRIMARY KEY, level TEXT NOT NULL)",
            f"INSERT INTO report_level SELECT id, {level} FROM content",
            "CREATE TEMP TABLE report_name (entry INTEGER PRIMARY KEY, content INTEGER, number INTEGER, names INTEGER)",
            "INSERT INTO report_name SELECT id, content, "
            "row_number() OVER (PARTITION BY content ORDER BY path, ordinal), "
            "count(*) OVER (PARTITION BY content) FROM entry",
            "CREATE INDEX temp.report_name_content ON report_name (content, number)",
        ):
            self.db.execute(statement)

    def files(self) -> Iterator[Row]:
        """Every name found, folders left out."""
        return self._rows("WHERE kind <> 'directory'")

    def not_read(self) -> Iterator[Row]:
        """What was not read, folders included."""
        return self._rows("WHERE state IN ('unreadable', 'skipped') OR members = 'refused'")

    def contents(self, where: str = "1") -> Iterator[Row]:
        """Each content once, by its first name. `where` may look at content and report_level."""
        return self._rows(f"WHERE report_name.number = 1 AND entry.content IS NOT NULL AND {where}")

    def names(self, first: Row) -> Iterable[Row]:
        """All names of a content, by its first."""
        return (first,) if first.names == 1 else self._rows(f"WHERE entry.content = {first.content:d}")

    def hits(self, content: int, *, says: tuple[str, ...] = ("material", "benign")) -> list[Hit]:
        """What lists say of a content: reported material first, digests before frames."""
        marks = ", ".join("?" * len(says))
        query = (
            "SELECT list, method, row, category, frames, of_frames, distance, quality, variant, says "
            f"FROM statement JOIN hash_list ON hash_list.id = list WHERE content = ? AND says IN ({marks}) "
            "ORDER BY says DESC, hash_list.name, hash_list.sha256, "
            "CASE method WHEN 'sha256' THEN 1 WHEN 'sha1' THEN 2 WHEN 'md5' THEN 3 ELSE 4 END, row"
        )
        return [Hit(*row) for row in self.db.execute(query, (content, *says))]

    def name(self, row: Row) -> str:
        """The name to print."""
        if not self.masked:
            return shown(row.path)
        return f"{row.sha256.hex()[:16]}-{row.number}" if row.sha256 else f"unread-{row.number}"

    def path_hex(self, row: Row) -> str | None:
        """The path's bytes in hexadecimal, where the printed name is not simply the path."""
        if self.masked or cell(shown(row.path)).encode() == row.path:
            return None
        return row.path.hex()

    def detail(self, row: Row) -> str | None:
        """What happened, in words; masked with the names, which it may cite."""
        return None if self.masked else row.detail

    def _rows(self, where: str) -> Iterator[Row]:
        return (Row(*values) for values in self.db.execute(_ENTRIES.format(where=where)))


def utc(nanoseconds: int | None) -> str | None:
    """A time in UTC; None where none was recorded."""
    return None if nanoseconds is None else utc_ns(nanoseconds)
