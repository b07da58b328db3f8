"""Checks of what binds a scan: its database, log, manifest, signature, and the digest of each table."""

import json
import sqlite3
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from geldspur.evidence.custody.checks import Check, judged, not_checked
from geldspur.evidence.custody.seal import (
    FORMAT,
    LOG,
    MANIFEST,
    SIGNATURE,
    differing,
    last_checkpoint,
    log_lines,
    state,
)
from geldspur.evidence.custody.tables import changed_since, schema_digest
from geldspur.proof import manifest
from geldspur.proof.chainlog import breaks, canonical
from geldspur.wording import counted

if TYPE_CHECKING:
    from geldspur.proof.keys import PublicKey

_RESEAL = "seal it again: geldspur evidence seal DIR"


def check_database(db: sqlite3.Connection) -> Check:
    """SQLite's own checks, and whether tables, indexes and triggers are those of a scan and no others."""

    def problems() -> Iterator[str]:
        for (line,) in db.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield f"SQLite says: {line}"
        for table, row, other, _ in db.execute("PRAGMA foreign_key_check"):
            yield f"row {row} of {table} names a row of {other} that is not there"
        if schema_digest(db) != _own_schema():
            yield "the database's tables, indexes or triggers are not those of a scan"

    return judged("database", problems(), "sound; its definitions are those of a scan")


@cache
def _own_schema() -> str:
    db = sqlite3.connect(":memory:")
    try:
        db.executescript(files("geldspur.evidence").joinpath("schema.sql").read_text())
        return schema_digest(db)
    finally:
        db.close()


def check_log(db: sqlite3.Connection) -> Check:
    """Every record follows from the one before, and is written in the one form that a record has."""
    count = db.execute("SELECT count(*) FROM log").fetchone()[0]
    if not count:
        return Check("log", "failed", "the log has no record")

    def problems() -> Iterator[str]:
        for seq in breaks(db.execute("SELECT seq, event, hash FROM log ORDER BY seq")):
            yield f"record {seq} does not follow from the one before"
        for seq, event in db.execute("SELECT seq, event FROM log ORDER BY seq"):
            if not _in_form(seq, event):
                yield f"record {seq} is not a record as the program writes it"

    return judged("log", problems(), f"{counted(count, 'record')}, each follows from the one before")


def _in_form(seq: int, event: str) -> bool:
    try:
        fields = json.loads(event)
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and fields.get("seq") == seq and "kind" in fields and canonical(fields) == event


def read_manifest(folder: Path) -> tuple[dict[str, Any], list[manifest.Entry]] | None:
    """The seal's manifest; None where there is none. ValueError where it is none as the program writes it."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    fields, entries = manifest.read(path.read_bytes())
    if fields.get("format") != FORMAT or not isinstance(fields.get("log"), dict):
        raise ValueError(f"its format is {fields.get('format')!a}")
    return fields, entries


def check_manifest(db: sqlite3.Connection, folder: Path) -> Check:
    """The manifest is whole, its files are as listed, and the log still holds the record that it was made at."""
    try:
        read = read_manifest(folder)
    except ValueError as error:
        return Check("manifest", "failed", f"{MANIFEST}: {error}")
    if read is None:
        return not_checked(
            "manifest", f"there is no {MANIFEST}: a log cut off at its end would not be noticed; {_RESEAL}"
        )
    fields, entries = read
    seq, head = fields["log"].get("records"), fields["log"].get("head")
    last = db.execute("SELECT max(seq) FROM log").fetchone()[0] or 0

    def problems() -> Iterator[str]:
        row = db.execute("SELECT hash, event FROM log WHERE seq = ?", (seq,)).fetchone()
        if row is None:
            yield f"the log was cut off: the manifest was made at record {seq}, the log ends at {last}"
        elif row[0].hex() != head:
            yield f"record {seq} of the log is another than the one that the manifest was made at"
        elif not _same_statement(fields, json.loads(row[1])):
            yield f"the manifest says something else of the tables than checkpoint {seq} of the log"
        if LOG not in {entry.path for entry in entries}:
            yield f"the manifest does not list {LOG}"
        for entry in entries:
            yield from _file_problem(folder, entry)
        if row is not None and not _log_file_fits(db, folder, seq):
            yield f"{LOG} does not hold the log's first {counted(seq, 'record')}"

    after = f"; {last - seq:,} later records are not under it" if isinstance(seq, int) and last > seq else ""
    return judged("manifest", problems(), f"covers the log up to record {seq}, hash {head}{after}")


def _same_statement(fields: dict[str, Any], checkpoint: dict[str, Any]) -> bool:
    tables = {name: {"rows": t["rows"], "sha256": t["sha256"]} for name, t in fields["tables"].items()}
    ids = {name: t["sha256"] for name, t in fields["ids"].items()}
    return (
        checkpoint.get("kind") == "checkpoint"
        and (tables, ids) == (checkpoint["tables"], checkpoint["ids"])
        and fields["schema_sha256"] == checkpoint["schema_sha256"]
        and fields["log"].get("time") == checkpoint["time"]
    )


def _file_problem(folder: Path, entry: manifest.Entry) -> Iterator[str]:
    if entry.path.startswith("/") or ".." in entry.path.split("/"):
        yield f"the manifest lists a path outside the scan: {entry.path!a}"
        return
    try:
        if manifest.digest_file(folder, entry.path) != entry:
            yield f"{entry.path} was changed"
    except OSError as error:
        yield f"{entry.path} can't be read: {error.strerror}"


def _log_file_fits(db: sqlite3.Connection, folder: Path, seq: int) -> bool:
    try:
        with (folder / LOG).open("rb") as file:
            return all(file.readline(len(line)) == line for line in log_lines(db, seq)) and not file.read(1)
    except OSError:
        return False


def check_signature(folder: Path, key: "PublicKey | None") -> list[Check]:
    """Whether the signature fits the manifest's bytes, and whether it is that of the key that the user names."""
    from geldspur.proof import signing

    path = folder / SIGNATURE
    if not path.is_file():
        if key is not None:
            return [Check("signature", "failed", f"there is no {SIGNATURE}, and a key was named")]
        why = "the scan is not signed: who rewrites rows, log and manifest together is not noticed by them alone"
        return [not_checked("signature", why)]
    try:
        signer = signing.check((folder / MANIFEST).read_bytes(), path.read_bytes(), signing.EVIDENCE)
    except (OSError, signing.NotASignature) as error:
        return [Check("signature", "failed", f"{SIGNATURE}: {error}")]
    if signer is None:
        return [Check("signature", "failed", f"{SIGNATURE} is no signature of this {MANIFEST}")]
    fine = Check("signature", "ok", f"the manifest is signed by the key {signer.fingerprint}")
    if key is None:
        return [fine, not_checked("signer", "whose key that is; name the key that you trust: --key PUBLIC")]
    if signer.raw != key.raw:
        return [fine, Check("signer", "failed", f"not the key that was named, {key.fingerprint}")]
    return [fine, Check("signer", "ok", "it is the key that was named")]


def check_tables(db: sqlite3.Connection) -> Check:
    """Each table is as the last checkpoint of the log says, unless a later record tells of a change to it."""
    last = last_checkpoint(db)
    if last is None:
        return not_checked("tables", f"the log has no checkpoint; {_RESEAL}")
    seq, _, stated = last
    now = state(db)
    wrong = differing(db, seq, stated, now)
    changed = sorted(changed_since(db, seq))
    if wrong:
        return Check("tables", "failed", f"not as checkpoint {seq} says: {', '.join(wrong)}")
    if changed:
        return not_checked(
            "tables", f"since checkpoint {seq} work went on that changes {', '.join(changed)}; {_RESEAL}"
        )
    rows = sum(table["rows"] for table in now["tables"].values())
    return Check("tables", "ok", f"{rows:,} rows of {len(now['tables'])} tables are as checkpoint {seq} says")
