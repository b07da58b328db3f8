"""Seal a scan: a checkpoint in its log, the log as a file, a manifest over both, and a signature of the manifest.

    DIR/log.jsonl           each record a line: {"event": …, "hash": …, "seq": …}
    DIR/manifest.json       the head of the log, the digest of each table, the digests of files
    DIR/manifest.json.sig   who sealed it, where a key was given
    DIR/timestamps/         when, as an authority states it (RFC 3161)

The checkpoint is a record of the log and holds the tables' digests, so the log's head alone binds every row.
"""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from geldspur import __version__
from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.custody.tables import (
    DIGESTS,
    IDS,
    changed_since,
    id_digests,
    schema_digest,
    table_digests,
)
from geldspur.evidence.store import DATABASE, ScanStore
from geldspur.proof import manifest
from geldspur.proof.chainlog import breaks

if TYPE_CHECKING:
    from geldspur.proof.keys import PrivateKey

FORMAT = "geldspur evidence seal 1"
LOG, MANIFEST, SIGNATURE = "log.jsonl", "manifest.json", "manifest.json.sig"


@dataclass(frozen=True, slots=True)
class Sealed:
    """What a seal binds: the log up to `seq`, whose hash is `head` (hex); fingerprint of the key that signed now."""

    seq: int
    head: str
    manifest_sha256: str
    signed_by: str | None


def log_lines(db: sqlite3.Connection, last: int) -> Iterator[bytes]:
    """The log up to record `last` as the lines of `log.jsonl`."""
    for seq, event, hashed in db.execute("SELECT seq, event, hash FROM log WHERE seq <= ? ORDER BY seq", (last,)):
        yield f'{{"event":{event},"hash":"{hashed.hex()}","seq":{seq}}}\n'.encode()


def sealed_files(folder: Path) -> list[str]:
    """Paths of the files that a seal covers beside the log: the compiled lists' own manifests."""
    return [path.relative_to(folder).as_posix() for path in sorted(folder.glob("lists/*/manifest.json"))]


def seal(store: ScanStore, key: "PrivateKey | None" = None) -> Sealed:
    """Write checkpoint, log and manifest, and sign with `key`; sealing what did not change writes the same bytes.

    Raises:
        GeldspurError: the log's chain is broken, or rows changed that no record tells of.
        UsageError: the last seal is signed, the scan changed, and there is no key to sign the new one.
    """
    broken = next(breaks(store.db.execute("SELECT seq, event, hash FROM log ORDER BY seq")), None)
    if broken is not None:
        raise GeldspurError(
            f"the log's chain is broken at record {broken}: nothing was sealed",
            where=str(store.folder / DATABASE),
            todo="take the scan from a copy, or scan again",
        )
    signed = key is None and is_signed(store.folder)
    seq, head, stated = _checkpoint(store, new_one=not signed)
    with replacing(store.folder / LOG) as file:
        file.writelines(log_lines(store.db, seq))
    content = _manifest(store.folder, seq, head, stated)
    path = store.folder / MANIFEST
    if signed and path.read_bytes() != content:
        raise _signed(store.folder)
    with replacing(path) as file:
        file.write(content)
    if key is not None:
        from geldspur.proof import signing

        with replacing(store.folder / SIGNATURE) as file:
            file.write(signing.sign(content, signing.EVIDENCE, key))
    fingerprint = key.public.fingerprint if key else None
    return Sealed(seq, head.hex(), manifest.digest(MANIFEST, content).sha256, fingerprint)


def seal_after_work(store: ScanStore) -> None:
    """Seal anew what a command has added, unless the last seal is signed: that one only its signer replaces."""
    if not is_signed(store.folder):
        seal(store)


def is_signed(folder: Path) -> bool:
    """Whether somebody signed the last seal."""
    return (folder / MANIFEST).is_file() and (folder / SIGNATURE).is_file()


def _signed(folder: Path) -> UsageError:
    return UsageError(
        "the last seal is signed, and the scan changed since",
        where=str(folder / SIGNATURE),
        todo="sign the new seal with --key, or put manifest and signature aside",
    )


def last_checkpoint(db: sqlite3.Connection) -> tuple[int, bytes, dict[str, Any]] | None:
    """Number, hash and fields of the newest checkpoint."""
    row = db.execute(
        "SELECT seq, hash, event FROM log WHERE json_extract(event, '$.kind') = 'checkpoint' ORDER BY seq DESC LIMIT 1"
    ).fetchone()
    return (row[0], row[1], json.loads(row[2])) if row else None


def differing(db: sqlite3.Connection, seq: int, checkpoint: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Tables that are not as the checkpoint `seq` says, though no later record tells of a change."""
    changed = changed_since(db, seq)
    tables = [name for name in DIGESTS if name not in changed and checkpoint["tables"][name] != found["tables"][name]]
    ids = [name for name in IDS if name not in changed and checkpoint["ids"][name] != found["ids"][name]]
    return tables + [f"{name} (row numbers)" for name in ids if name not in tables]


def state(db: sqlite3.Connection) -> dict[str, Any]:
    """What a checkpoint says of the database."""
    return {
        "tables": {name: asdict(digest) for name, digest in table_digests(db).items()},
        "ids": {name: digest.sha256 for name, digest in id_digests(db).items()},
        "schema_sha256": schema_digest(db),
    }


def _checkpoint(store: ScanStore, *, new_one: bool) -> tuple[int, bytes, dict[str, Any]]:
    """The checkpoint that stands for the scan as it is: the last one, or a new one where work went on since."""
    with store.change() as db:
        now, last = state(db), last_checkpoint(db)
        if last is not None:
            seq, _, stated = last
            if wrong := differing(db, seq, stated, now):
                raise GeldspurError(
                    f"since checkpoint {seq} rows changed that no record of the log tells of: {', '.join(wrong)}",
                    where=str(store.folder / DATABASE),
                    todo="take the scan from a copy, or scan again",
                )
            later = db.execute("SELECT event FROM log WHERE seq > ?", (seq,))
            if all(json.loads(event)["kind"] == "timestamp" for (event,) in later):
                return last
        if not new_one:
            raise _signed(store.folder)
        store.log("checkpoint", **now)
        made = last_checkpoint(db)
    assert made is not None
    return made


def _manifest(folder: Path, seq: int, head: bytes, stated: Mapping[str, Any]) -> bytes:
    fields = {
        "format": FORMAT,
        "tool": f"geldspur {__version__}",
        "log": {"records": seq, "head": head.hex(), "time": stated["time"]},
        "tables": {name: stated["tables"][name] | {"query": query} for name, query in DIGESTS.items()},
        "ids": {name: {"sha256": stated["ids"][name], "query": query} for name, query in IDS.items()},
        "schema_sha256": stated["schema_sha256"],
    }
    paths = [LOG, *sealed_files(folder)]
    return manifest.build(fields, [manifest.digest_file(folder, path) for path in paths])


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file that is there whole or not at all, for its owner alone."""
    part = path.with_name(path.name + ".part")
    flags = os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "wb") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
