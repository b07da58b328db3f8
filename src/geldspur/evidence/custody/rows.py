"""Checks of rows against the log: each file, each content's fingerprints, each list and its hits, and the sums.

The newest record about a thing counts, so the log is read backwards. What is read: `file` (path, ordinal, state, the
digests or the reason), `fingerprints` and `deep` (the content's media, its frames and the digest over them), `list`,
`matched`, `walked`, and of `members` where the listing of an archive ended early.
"""

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

from geldspur.evidence.custody.checks import Check, events, judged, not_checked
from geldspur.evidence.names import shown
from geldspur.evidence.store import SCHEMA
from geldspur.wording import counted

_DIGESTS = ("md5", "sha1", "sha256", "blake3")
_ENTRY = """
    SELECT e.id, e.state, e.reason, e.errno, e.error_offset, e.size, c.size,
           lower(hex(c.md5)), lower(hex(c.sha1)), lower(hex(c.sha256)), lower(hex(c.blake3))
    FROM entry e LEFT JOIN content c ON c.id = e.content WHERE e.path = ? AND e.ordinal = ?
"""
_FRAMES = """
    SELECT stage, at_ms, quality, plain, mirrored, cropped, cropped_mirrored
    FROM frame WHERE content = (SELECT id FROM content WHERE sha256 = ?)
    ORDER BY stage, at_ms
"""


def frames_sha256(rows: Iterator[tuple[Any, ...]]) -> tuple[int, str]:
    """How many frames, and the SHA-256 over them as the log's records state it (rows ordered by stage and time)."""
    hashed, count = hashlib.sha256(), 0
    for stage, at_ms, quality, *hashes in rows:
        hashed.update(stage.encode() + at_ms.to_bytes(8, "little", signed=True) + bytes([quality & 0xFF]))
        for value in hashes:
            hashed.update(value or b"")
        count += 1
    return count, hashed.hexdigest()


def check_about(db: sqlite3.Connection) -> Check:
    """What was scanned with what is as the scan's first record says."""
    begun = next((record for _, record in events(db, newest_first=False) if record.get("kind") == "begun"), None)
    if begun is None:
        return Check("about", "failed", "no record of the log says what was scanned")
    about = dict(db.execute("SELECT key, value FROM about"))

    def problems() -> Iterator[str]:
        if about.get("schema") != SCHEMA:
            yield "the schema's number is not this program's"
        for key in ("source", "source_kind", "tool", "options", "describe"):
            stated = begun.get(key)
            if about.get(key) != (json.dumps(stated, sort_keys=True) if isinstance(stated, dict) else stated):
                yield f"{key} is not as the log says"

    return judged("about", problems(), f"{about.get('source')!a}, scanned by {about.get('tool')}, as the log says")


def check_files(db: sqlite3.Connection) -> Check:
    """Each row of a file is as its record says; none is without a record, no record without a row."""
    settled = db.execute("SELECT count(*) FROM entry WHERE kind <> 'directory' AND state <> 'found'").fetchone()[0]

    def problems() -> Iterator[str]:
        seen = bytearray((db.execute("SELECT max(id) FROM entry").fetchone()[0] or 0) + 1)
        missing = set[tuple[bytes, int]]()
        stopped = dict[tuple[bytes, int], int | None]()  # archives: where their listing ended early
        for seq, record in events(db, newest_first=True):
            if record.get("kind") == "members" and record["state"] == "refused":
                stopped.setdefault((bytes.fromhex(record["path"]), record["ordinal"]), record.get("offset"))
            if record.get("kind") not in ("file", "directory"):
                continue
            path, ordinal = bytes.fromhex(record["path"]), record["ordinal"]
            row = db.execute(_ENTRY, (path, ordinal)).fetchone()
            if row is None:
                if (path, ordinal) not in missing:
                    missing.add((path, ordinal))
                    yield f"the row of {shown(path)} was deleted (record {seq})"
            elif not seen[row[0]]:
                seen[row[0]] = 1
                offset = stopped.get((path, ordinal), record.get("offset"))
                for what in _differences(record | {"offset": offset}, row):
                    yield f"{shown(path)}: {what} is not as record {seq} says"
        for number, path in db.execute("SELECT id, path FROM entry WHERE kind <> 'directory' AND state <> 'found'"):
            if number < 0 or not seen[number]:
                yield f"{shown(path)}: no record of the log tells of this row"

    return judged("files", problems(), f"{counted(settled, 'row')} of files as the log says")


def _differences(record: dict[str, Any], row: tuple[Any, ...]) -> Iterator[str]:
    _, state, reason, errno, offset, size, content_size, *digests = row
    if state != record["state"]:
        yield "the state"
    if (reason, errno, offset) != (record.get("reason"), record.get("errno"), record.get("offset")):
        yield "the reason"
    if size != record.get("size") or (None not in (size, content_size) and content_size != size):
        yield "the size"
    for name, found in zip(_DIGESTS, digests, strict=True):
        if (found or None) != record.get(name):  # SQLite gives the hex of NULL as an empty text
            yield f"the {name.upper()}"


def check_contents(db: sqlite3.Connection) -> Check:
    """Each content belongs to a file."""
    count = db.execute("SELECT count(*) FROM content").fetchone()[0]
    orphans = db.execute(
        "SELECT lower(hex(sha256)) FROM content c WHERE NOT EXISTS (SELECT 1 FROM entry WHERE content = c.id)"
        " ORDER BY sha256"
    )
    problems = (f"no file has the content {sha256}" for (sha256,) in orphans)
    return judged("contents", problems, f"{counted(count, 'content')}, each of a file")


def check_fingerprints(db: sqlite3.Connection) -> Check:
    """Each content's kind and frames are as the newest record about them says."""
    done = db.execute("SELECT count(*) FROM content WHERE media <> 'pending'").fetchone()[0]

    def problems() -> Iterator[str]:
        told, framed = set[str](), set[str]()
        for seq, record in events(db, newest_first=True):
            kind, sha256 = record.get("kind"), str(record.get("sha256"))
            if kind == "fingerprints" and sha256 not in told:
                told.add(sha256)
                yield from _media_problems(db, seq, record)
            if kind in ("fingerprints", "deep") and "frames_sha256" in record and sha256 not in framed:
                framed.add(sha256)
                yield from _frame_problems(db, seq, record)
        without = ("skipped", "off") if _digests_only(db) else ("pending", None)
        for sha256, *state in db.execute("SELECT lower(hex(sha256)), media, media_reason FROM content ORDER BY sha256"):
            if tuple(state) != without and sha256 not in told:
                yield f"no record of the log tells of the fingerprints of {sha256}"
        for sha256, frames in db.execute(
            "SELECT lower(hex(sha256)), count(*) FROM frame JOIN content ON content.id = frame.content"
            " GROUP BY content ORDER BY sha256"
        ):
            if sha256 not in framed:
                yield f"no record of the log tells of the {counted(frames, 'frame')} of {sha256}"

    return judged("fingerprints", problems(), f"of {counted(done, 'content')} are as the log says")


def _digests_only(db: sqlite3.Connection) -> bool:
    """Was the scan begun without fingerprints, as its log says? Contents then have no record about them."""
    begun = next((record for _, record in events(db, newest_first=False) if record.get("kind") == "begun"), {})
    options = begun.get("options")
    return isinstance(options, dict) and options.get("fingerprints") is False


def _media_problems(db: sqlite3.Connection, seq: int, record: dict[str, Any]) -> Iterator[str]:
    sha256 = record["sha256"]
    row = db.execute("SELECT media, media_reason FROM content WHERE sha256 = ?", (bytes.fromhex(sha256),)).fetchone()
    if row is None:
        yield f"the row of the content {sha256} was deleted (record {seq})"
        return
    media, reason = row
    if "media" in record and record["media"] != media:
        yield f"content {sha256}: its kind of media is not as record {seq} says"
    if record.get("reason") != reason:
        yield f"content {sha256}: the reason is not as record {seq} says"


def _frame_problems(db: sqlite3.Connection, seq: int, record: dict[str, Any]) -> Iterator[str]:
    """The frames of a content, those of the deep mode among them."""
    sha256 = record["sha256"]
    count, digest = frames_sha256(db.execute(_FRAMES, (bytes.fromhex(sha256),)))
    if (record.get("frames", count), record["frames_sha256"]) != (count, digest):
        yield f"content {sha256}: its {counted(count, 'frame')} are not as record {seq} says"


def check_matches(db: sqlite3.Connection) -> Check:
    """Each list is as its record says, and has as many hits by each method as the last comparison found."""
    lists = {sha256: number for number, sha256 in db.execute("SELECT id, lower(hex(sha256)) FROM hash_list")}
    if not lists and not any(record.get("kind") == "matched" for _, record in events(db, newest_first=True)):
        return not_checked("matches", "the scan was compared with no list")

    def problems() -> Iterator[str]:
        listed, matched = dict[str, int](), dict[tuple[str, str], int]()
        for seq, record in events(db, newest_first=True):
            if record.get("kind") == "list" and record["sha256"] not in listed:
                listed[record["sha256"]] = seq
                yield from _list_problems(db, seq, record)
            elif record.get("kind") == "matched":
                recorded = record["hits"] - record.get("not_recorded", 0)
                matched.setdefault((record["sha256"], record["method"]), recorded)
        yield from (
            f"no record of the log tells of the list {sha256}" for sha256 in sorted(lists.keys() - listed.keys())
        )
        counts = "SELECT method, count(*) FROM hit WHERE list = ? GROUP BY method"
        for sha256, number in sorted(lists.items()):
            found = dict(db.execute(counts, (number,)))
            stated = {method: hits for (name, method), hits in matched.items() if name == sha256}
            for method in sorted(found.keys() | stated.keys()):
                if found.get(method, 0) != stated.get(method, 0):
                    yield (
                        f"list {sha256}: {found.get(method, 0):,} hits by {method}, "
                        f"the log says {stated.get(method, 0):,}"
                    )

    return judged("matches", problems(), f"the hits of {counted(len(lists), 'list')} are as many as the log says")


def _list_problems(db: sqlite3.Connection, seq: int, record: dict[str, Any]) -> Iterator[str]:
    row = db.execute(
        "SELECT name, file_name, format, kind, entries FROM hash_list WHERE sha256 = ?",
        (bytes.fromhex(record["sha256"]),),
    ).fetchone()
    if row is None:
        yield f"the row of the list {record['sha256']} was deleted (record {seq})"
    elif row != tuple(record[name] for name in ("name", "file", "format", "of", "entries")):
        yield f"the row of the list {record['sha256']} is not as record {seq} says"


def check_errors(db: sqlite3.Connection) -> Check:
    """Each measured error is as its record says."""
    rows = {
        (method, trial): (tried, wrong)
        for method, trial, tried, wrong in db.execute("SELECT method, trial, tried, wrong FROM method_error")
    }
    stated = dict[tuple[str, str], tuple[int, int]]()
    for _, record in events(db, newest_first=False):
        if record.get("kind") == "error_measured":
            stated[record["method"], record["trial"]] = record["tried"], record["wrong"]
    if not rows and not stated:
        return not_checked("error rates", "none was measured")
    wrong = (
        f"{method}, {trial}: the row is not as the log says"
        for method, trial in sorted(rows.keys() | stated.keys())
        if rows.get((method, trial)) != stated.get((method, trial))
    )
    return judged("error rates", wrong, f"{len(rows):,} measured error rates are as the log says")


def check_sums(db: sqlite3.Connection) -> Check:
    """found = hashed + unreadable + skipped, and as many were found as the walk says."""
    counts = dict(db.execute("SELECT state, count(*) FROM entry WHERE kind <> 'directory' GROUP BY state"))
    if counts.get("found"):
        return not_checked("sums", f"the scan is not finished: {counted(counts['found'], 'file')} not read yet")
    hashed, unreadable, skipped = (counts.get(state, 0) for state in ("hashed", "unreadable", "skipped"))
    walked = next((r for _, r in events(db, newest_first=True) if r.get("kind") == "walked"), None)
    if walked is None:
        return Check("sums", "failed", "no record of the log says what the walk found")
    of_walk = "SELECT count(*) FROM entry WHERE parent IS NULL AND kind {} 'directory'"
    found: Callable[[str], int] = lambda sign: db.execute(of_walk.format(sign)).fetchone()[0]  # noqa: E731

    def problems() -> Iterator[str]:
        for what, number in (("files", found("<>")), ("directories", found("="))):
            if walked.get(what, number) != number:
                yield f"the walk found {walked[what]:,} {what}, there are rows of {number:,}"
        if db.execute("SELECT 1 FROM entry WHERE state = 'hashed' AND content IS NULL").fetchone():
            yield "a file is called hashed and has no digest"

    total = hashed + unreadable + skipped
    return judged(
        "sums", problems(), f"{total:,} found = {hashed:,} hashed + {unreadable:,} unreadable + {skipped:,} skipped"
    )
