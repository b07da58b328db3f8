"""A digest for each table of a scan, by a query that anyone can run again.

`DIGESTS` name rows by what they are (path, digest of the content, digest of the list) and not by the numbers that a
database gives, so that two scans of the same unchanged source have the same digests. `IDS` are the numbers
themselves: they say that nothing was renumbered in this database. A row is its columns as SQL literals with `|`
between, text as the hexadecimal of its bytes, and a line feed behind. So each digest is also what

    sqlite3 scan.sqlite "QUERY" | sha256sum

prints; the manifest holds the queries.
"""

import hashlib
import sqlite3
from dataclasses import dataclass


def _row(numbers_and_bytes: str, texts: str = "") -> str:
    columns = [f"quote({name})" for name in numbers_and_bytes.split()]
    columns += [f"quote(CAST({name} AS BLOB))" for name in texts.split()]
    return "SELECT " + "||'|'||".join(columns)


_CONTENT = "c.sha256 c.size"
DIGESTS = {
    "about": _row("", "key value") + " FROM about ORDER BY key",
    "entry": _row(
        "e.path e.ordinal p.path p.ordinal e.size e.allocated e.device e.inode e.links e.born_ns e.modified_ns "
        f"e.accessed_ns e.changed_ns e.deleted e.errno e.error_offset {_CONTENT}",
        "e.kind e.place e.times_from e.state e.reason e.detail e.members",
    )
    + " FROM entry e LEFT JOIN entry p ON p.id = e.parent LEFT JOIN content c ON c.id = e.content"
    " ORDER BY e.path, e.ordinal",
    "content": _row(f"{_CONTENT} c.md5 c.sha1 c.blake3", "c.media c.media_reason c.media_detail c.deep")
    + " FROM content c ORDER BY c.sha256, c.size",
    "media": _row(f"{_CONTENT} m.width m.height m.duration_ms m.keyframes m.bad_packets", "m.format m.codec")
    + " FROM content c CROSS JOIN media m ON m.content = c.id ORDER BY c.sha256, c.size",
    "frame": _row(
        f"{_CONTENT} f.at_ms f.quality f.plain f.mirrored f.cropped f.cropped_mirrored",
        "f.stage",
    )
    + " FROM content c CROSS JOIN frame f ON f.content = c.id ORDER BY c.sha256, c.size, f.stage, f.at_ms",
    "hash_list": _row(
        "l.sha256 l.entries l.md5s l.sha1s l.sha256s l.pdqs",
        "l.name l.file_name l.format l.version l.made l.scheme l.kind l.unmatchable",
    )
    + " FROM hash_list l ORDER BY l.sha256",
    "hit": _row(
        f"{_CONTENT} l.sha256 h.row h.frames h.of_frames h.distance h.quality",
        "h.method h.category h.variant",
    )
    + " FROM content c CROSS JOIN hit h ON h.content = c.id JOIN hash_list l ON l.id = h.list"
    " ORDER BY c.sha256, c.size, l.sha256, h.method, h.row",
    "cluster": _row(f"{_CONTENT} d.sha256 d.size")
    + " FROM content c CROSS JOIN cluster k ON k.content = c.id JOIN content d ON d.id = k.cluster"
    " ORDER BY c.sha256, c.size",
    "method_error": _row("tried wrong", "method trial detail") + " FROM method_error ORDER BY method, trial",
}
IDS = {
    "entry": _row("id parent content") + " FROM entry ORDER BY path, ordinal",
    "content": _row("id") + " FROM content ORDER BY sha256, size",
    "hash_list": _row("id") + " FROM hash_list ORDER BY sha256",
}
_SCHEMA = _row("", "type name tbl_name sql") + " FROM sqlite_schema ORDER BY type, name"

# What a log record of each kind may have changed. A kind that is not here may have changed everything.
CHANGES = {
    "begun": {"about"},
    "resumed": {"about"},
    "workers": set[str](),
    "walked": {"about", "entry"},
    "file": {"entry", "content"},
    "directory": {"entry"},
    "members": {"entry", "content"},
    "fingerprints": {"content", "media", "frame"},
    "finished": {"about"},
    "deep": {"content", "media", "frame"},
    "list": {"hash_list"},
    "matched": {"hash_list", "hit", "cluster", "method_error"},
    "clustered": {"cluster"},
    "error_measured": {"method_error"},
    "report": set[str](),
    "checkpoint": set[str](),
    "timestamp": set[str](),
}


@dataclass(frozen=True, slots=True)
class Digest:
    """Of the rows that a query gives: how many, and the SHA-256 (hex) of their lines."""

    rows: int
    sha256: str


def digest(db: sqlite3.Connection, query: str) -> Digest:
    """Run one query of this module."""
    hashed, rows = hashlib.sha256(), 0
    for (line,) in db.execute(query):
        hashed.update(line.encode() + b"\n")
        rows += 1
    return Digest(rows, hashed.hexdigest())


def table_digests(db: sqlite3.Connection) -> dict[str, Digest]:
    """By table."""
    return {table: digest(db, query) for table, query in DIGESTS.items()}


def id_digests(db: sqlite3.Connection) -> dict[str, Digest]:
    """Of the numbers that a database gives, by table."""
    return {table: digest(db, query) for table, query in IDS.items()}


def schema_digest(db: sqlite3.Connection) -> str:
    """SHA-256 over the definitions of all tables, indexes, views and triggers."""
    return digest(db, _SCHEMA).sha256


def changed_since(db: sqlite3.Connection, seq: int) -> set[str]:
    """Tables whose rows the log says may have changed after this record."""
    changed: set[str] = set()
    for (kind,) in db.execute("SELECT DISTINCT json_extract(event, '$.kind') FROM log WHERE seq > ?", (seq,)):
        changed |= CHANGES.get(kind, set(DIGESTS))
    return changed
