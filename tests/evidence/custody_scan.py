"""A small scan with every kind of row, as the program leaves it, and the source that it was made of."""

import hashlib
import os
import random
from pathlib import Path

from blake3 import blake3

from geldspur.evidence.media.record import frames_sha256
from geldspur.evidence.model import FrameHash
from geldspur.evidence.store import ScanStore, new_or_unfinished

FRAME = "INSERT INTO frame VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ENTRY = """INSERT INTO entry (path, kind, size, device, inode, links, born_ns, modified_ns, accessed_ns, changed_ns,
           times_from, state, reason, detail, errno, error_offset, content)
           VALUES (?, ?, ?, 1, ?, 1, ?, ?, ?, ?, 'statx', ?, ?, ?, ?, ?, ?)"""
NAMES = [b"a/one.bin", b"a/same.bin", b"b/two \xff.bin", b"b/\xe2\x80\xaethree.bin", b"four.bin"]


def make_source(folder: Path) -> Path:
    """Five files of random bytes, two of them the same."""
    made = random.Random(5)
    for number, name in enumerate(NAMES):
        path = folder / os.fsdecode(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"twice the same" * 9 if b"same" in name or b"one" in name else made.randbytes(300 + number)
        path.write_bytes(content)
    return folder


def make_scan(folder: Path, source: Path) -> Path:
    """The scan of such a source, by the store alone: rows and records as the parts of the program write them."""
    with new_or_unfinished(folder) as store:
        _files(store, source)
        _fingerprints(store)
        _matches(store)
    return folder


def _digests(content: bytes) -> dict[str, bytes]:
    named = {name: hashlib.new(name, content, usedforsecurity=False).digest() for name in ("md5", "sha1", "sha256")}
    return named | {"blake3": blake3(content).digest()}


def _files(store: ScanStore, source: Path) -> None:
    with store.change() as db:
        about = {
            "tool": "geldspur 0",
            "source": str(source),
            "source_kind": "folder",
            "options": "{}",
            "describe": "{}",
        }
        db.executemany("INSERT INTO about VALUES (?, ?)", about.items())
        store.log("begun", source=str(source), source_kind="folder", describe={}, tool="geldspur 0", options={})
        for number, name in enumerate([b"a", b"b"]):
            db.execute(ENTRY, (name, "directory", 0, number, 1, 2, 3, 4, "skipped", None, None, None, None, None))
        store.log("walked", files=len(NAMES) + 2, directories=2, bytes=1500)
    for number, name in enumerate(NAMES):
        content = (source / os.fsdecode(name)).read_bytes()
        digests = _digests(content)
        with store.change() as db:
            db.execute(
                "INSERT OR IGNORE INTO content (size, md5, sha1, sha256, blake3) VALUES (?, ?, ?, ?, ?)",
                (len(content), *digests.values()),
            )
            ((identity,),) = db.execute("SELECT id FROM content WHERE sha256 = ?", (digests["sha256"],))
            times = (10**18 + number, 10**18 + 5, 10**18 + 6, 10**18 + 7)
            row = (name, "file", len(content), 10 + number, *times, "hashed", None, None, None, None, identity)
            db.execute(ENTRY, row)
            store.log("file", path=name, ordinal=0, state="hashed", size=len(content), **digests)
    with store.change() as db:
        row = (b"broken.bin", "file", 70, 20, 1, 2, 3, 4, "unreadable", "error", "Input/output error", 5, 64, None)
        db.execute(ENTRY, row)
        store.log(
            "file", path=b"broken.bin", ordinal=0, state="unreadable", size=70, reason="error", errno=5, offset=64
        )
        row = (b"link", "symlink", 8, 21, 1, 2, 3, 4, "skipped", "symlink", None, None, None, None)
        db.execute(ENTRY, row)
        store.log("file", path=b"link", ordinal=0, state="skipped", size=8, reason="symlink")
        store.log("finished", counts={})


def _fingerprints(store: ScanStore) -> None:
    made = random.Random(7)
    contents = store.db.execute("SELECT id, sha256 FROM content ORDER BY id").fetchall()
    for number, (identity, sha256) in enumerate(contents):
        kind = ["video", "image", "failed", "other"][number]
        reason = "damaged" if kind == "failed" else None
        frames = {"video": 3, "image": 1}.get(kind, 0)
        rows = [("keyframe", at * 1000, 90, *(made.randbytes(32) for _ in "ab"), None, None) for at in range(frames)]
        if kind == "video":
            rows[0] = (*rows[0][:5], made.randbytes(32), made.randbytes(32))
        with store.change() as db:
            db.execute("UPDATE content SET media = ?, media_reason = ? WHERE id = ?", (kind, reason, identity))
            if frames:
                db.execute("INSERT INTO media VALUES (?, 'mov', 'h264', 64, 48, 3000, ?, 0)", (identity, frames))
                db.executemany(FRAME, [(identity, *row) for row in rows])
            told = {"reason": reason} if reason else {}
            if frames:
                told["frames_sha256"] = frames_sha256((row[0], FrameHash(*row[1:])) for row in rows)
            store.log("fingerprints", sha256=sha256, media=kind, frames=frames, **told)


def _matches(store: ScanStore) -> None:
    list_sha256 = bytes(range(32))
    with store.change() as db:
        db.execute(
            "INSERT INTO hash_list VALUES (1, 'L', 'l.json', ?, 'vics-2.0', '1', NULL, 'US', 'material', 9, 9, 9, 0, 9,"
            " '{}')",
            (list_sha256,),
        )
        store.log("list", name="L", file="l.json", sha256=list_sha256, format="vics-2.0", of="material", entries=9)
        db.execute("INSERT INTO hit VALUES (1, 1, 'md5', 3, '1', NULL, NULL, NULL, NULL, NULL)")
        db.execute("INSERT INTO hit VALUES (1, 1, 'pdq', 4, '1', 2, 3, 9, 90, 'mirrored')")
        db.executemany("INSERT INTO cluster VALUES (?, 1)", [(1,), (2,)])
        db.execute("INSERT INTO method_error VALUES ('pdq', 'decoy', 100, 0, '{}')")
        store.log("error_measured", method="pdq", trial="decoy", tried=100, wrong=0)
        for method in ("md5", "pdq"):
            store.log("matched", list="L", sha256=list_sha256, method=method, hits=1, not_recorded=0)
