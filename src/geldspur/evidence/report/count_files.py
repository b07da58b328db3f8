"""Figures about names: what was found, what could be read, and what kinds of files there are."""

import re
import sqlite3
from collections.abc import Iterator, Mapping

from geldspur.evidence.reasons import SKIPPED, UNREADABLE
from geldspur.evidence.report.figures import Counter, Sum

_FILES = "FROM entry WHERE kind <> 'directory'"
_KINDS = (  # name, label, condition
    (
        "files.empty",
        "Files of no bytes (never compared)",
        "state = 'hashed' AND content IN (SELECT id FROM content WHERE size = 0)",
    ),
    ("files.deleted", "Deleted files, from unallocated entries of a file system (may be overwritten)", "deleted = 1"),
    ("files.members", "Files inside archives", "parent IS NOT NULL"),
    ("files.repeated", "Files whose very path occurs before (archives and deleted files repeat names)", "ordinal > 0"),
    (
        "files.sparse",
        "Files with fewer bytes on disk than their size (sparse, or packed by the file system)",
        "kind = 'file' AND parent IS NULL AND allocated < size",
    ),
    ("archives.found", "Archives met", "members IS NOT NULL"),
    ("archives.refused", "Archives whose members were refused or could not all be listed", "members = 'refused'"),
)


def literal(value: str | None) -> str:
    """A text as SQL writes it; other than plain characters as hexadecimal."""
    if value is None:
        return "NULL"
    if value.isascii() and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    return f"CAST(x'{value.encode('utf-8', 'surrogatepass').hex()}' AS TEXT)"


def part_of_name(value: str | None) -> str:
    """A text from outside as part of a figure's name: itself where it is plain, else in hexadecimal."""
    if value is None:
        return "none"
    plain = re.fullmatch(r"[A-Za-z0-9_-]{1,40}", value) and value != "none"
    return value if plain else "hex-" + value.encode("utf-8", "surrogatepass").hex()


def count_files(counter: Counter, db: sqlite3.Connection) -> Iterator[Sum]:
    """Count names; yields the sums that must close."""
    found = "files.found"
    counter.count(found, "Files found (names; folders not counted)", f"SELECT count(*) {_FILES}", noun="files found")
    counter.count("files.hashed", "Read to the end and hashed", _in_state("hashed"), of=found, noun="files read")
    counter.count("files.unreadable", "Could not be read", _in_state("unreadable"), of=found, noun="unreadable files")
    unreadable = tuple(_reasons(counter, db, "unreadable", UNREADABLE))
    counter.count(
        "files.skipped", "Not read, for a stated reason", _in_state("skipped"), of=found, noun="skipped files"
    )
    skipped = tuple(_reasons(counter, db, "skipped", SKIPPED))
    counter.count("files.waiting", "Still waiting to be read", _in_state("found"), of=found)
    counter.count("archives.waiting", "Archives not listed yet", "SELECT count(*) FROM entry WHERE members = 'pending'")
    for name, label, where in _KINDS:
        counter.count(name, label, f"SELECT count(*) {_FILES} AND {where}", of=found)
    counter.count(
        "files.hard_links",
        "Further names of a file already counted (hard links)",
        "SELECT count(*) - count(DISTINCT coalesce(device, 0) || ':' || inode) "
        f"{_FILES} AND kind = 'file' AND parent IS NULL AND deleted = 0 AND links > 1 AND inode IS NOT NULL",
        of=found,
    )
    counter.count("folders.found", "Folders found", "SELECT count(*) FROM entry WHERE kind = 'directory'")
    counter.count(
        "folders.unreadable",
        "Folders that could not be listed (what lies in them is not counted)",
        "SELECT count(*) FROM entry WHERE kind = 'directory' AND state = 'unreadable'",
    )
    counter.count(
        "folders.waiting",
        "Folders not listed yet",
        "SELECT count(*) FROM entry WHERE kind = 'directory' AND state = 'found'",
    )
    counter.count(
        "bytes.hashed",
        "Bytes of the files read",
        "SELECT coalesce(sum(content.size), 0) FROM entry JOIN content ON content.id = entry.content",
    )
    yield Sum(found, ("files.hashed", "files.unreadable", "files.skipped"))
    yield Sum("files.waiting", ())
    yield Sum("archives.waiting", ())
    yield Sum("folders.waiting", ())
    yield Sum("files.unreadable", unreadable)
    yield Sum("files.skipped", skipped)


def _in_state(state: str) -> str:
    return f"SELECT count(*) {_FILES} AND state = '{state}'"


def _reasons(counter: Counter, db: sqlite3.Connection, state: str, words: Mapping[str, str]) -> Iterator[str]:
    lead = {"unreadable": "Unreadable", "skipped": "Skipped"}[state]
    for (reason,) in db.execute(f"SELECT DISTINCT reason {_FILES} AND state = ? ORDER BY reason", (state,)).fetchall():
        name = f"files.{state}.{part_of_name(reason)}"
        told = words.get(reason or "", f"reason “{reason}”" if reason else "no reason recorded")
        counter.count(
            name, f"{lead}: {told}", f"{_in_state(state)} AND reason IS {literal(reason)}", of=f"files.{state}"
        )
        yield name
