"""Time-stamps of a scan: over the hash of a record of its log, kept as they came in `DIR/timestamps/`."""

import hashlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geldspur.errors import UsageError
from geldspur.evidence.custody.checks import Check, events, judged, not_checked
from geldspur.evidence.custody.seal import replacing
from geldspur.evidence.store import ScanStore
from geldspur.proof import timestamps
from geldspur.times import utc_at

FOLDER = "timestamps"


def keep(store: ScanStore, response: bytes) -> tuple[int, timestamps.Stamp]:
    """Keep a response beside the scan, and say so in the log; the record that it stamps, and what it states.

    Raises:
        UsageError: it is no time-stamp of a record of this log.
    """
    try:
        stamp = timestamps.read(response)
    except timestamps.BadTimestamp as error:
        raise UsageError(
            f"this response can't be kept: {error}", todo="give the .tsr file as the authority's server answered it"
        ) from error
    row = store.db.execute("SELECT seq FROM log WHERE hash = ?", (stamp.digest,)).fetchone()
    if row is None:
        raise UsageError(
            f"it stamps {stamp.digest.hex()}, which is the hash of no record of this scan's log",
            where=str(store.folder),
            todo="make the request with: geldspur evidence seal DIR --timestamp-request OUT.tsq",
        )
    seq, sha256 = row[0], hashlib.sha256(response).hexdigest()
    name = f"{seq:08}-{sha256[:16]}.tsr"
    if any(record.get("file") == name for _, record in _stamped(store.db)):
        return seq, stamp
    (store.folder / FOLDER).mkdir(mode=0o700, exist_ok=True)
    with replacing(store.folder / FOLDER / name) as file:
        file.write(response)
    with store.change():
        store.log("timestamp", of=seq, file=name, sha256=sha256, states=utc(stamp))
    return seq, stamp


def check_timestamps(db: sqlite3.Connection, folder: Path, authorities: bytes | None) -> Check:
    """Every time-stamp that the log tells of is there, stamps the record that it should, and verifies."""
    records = [record for _, record in _stamped(db)]
    if not records:
        return not_checked("timestamps", "there are none: when the scan was sealed is its own word alone")
    verified: list[str] = []

    def problems() -> Iterator[str]:
        named = {record["file"] for record in records}
        there = {path.name for path in (folder / FOLDER).glob("*")}
        yield from (f"the log tells of no time-stamp {name!a}" for name in sorted(there - named))
        for record in records:
            row = db.execute("SELECT hash FROM log WHERE seq = ?", (record["of"],)).fetchone()
            try:
                verified.append(_one(folder, record, row[0], authorities))
            except (OSError, timestamps.BadTimestamp) as error:
                yield f"time-stamp {record['file']}: {getattr(error, 'strerror', None) or error}"

    check = judged("timestamps", problems(), "")
    if check.state == "failed":
        return check
    words = "; ".join(verified)
    if authorities is None:
        return not_checked("timestamps", f"{words}; name the authority's certificates: --timestamp-ca FILE.pem")
    return Check("timestamps", "ok", words)


def _one(folder: Path, record: dict[str, Any], digest: bytes, authorities: bytes | None) -> str:
    if "/" in record["file"]:
        raise timestamps.BadTimestamp("its name leads elsewhere")
    response = (folder / FOLDER / record["file"]).read_bytes()
    if hashlib.sha256(response).hexdigest() != record["sha256"]:
        raise timestamps.BadTimestamp("it was changed")
    if authorities is None:
        stamp = timestamps.read(response)
        if stamp.digest != digest:
            raise timestamps.BadTimestamp("it stamps another record")
        return f"record {record['of']} is said to have been there at {utc(stamp)}"
    stamp, by = timestamps.verify(response, digest, authorities)
    return f"record {record['of']} was there at {utc(stamp)} (verified by {by})"


def _stamped(db: sqlite3.Connection) -> Iterator[tuple[int, dict[str, Any]]]:
    return ((seq, record) for seq, record in events(db, newest_first=False) if record.get("kind") == "timestamp")


def utc(stamp: timestamps.Stamp) -> str:
    """The time that it states."""
    return utc_at(stamp.time)
