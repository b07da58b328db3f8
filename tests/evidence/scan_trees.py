"""Trees to scan, what a scan's rows say, and the program as its own process."""

import json
import os
import random
import socket
import sqlite3
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from geldspur.proof.chainlog import breaks, canonical

PROGRAM = [sys.executable, "-c", "from geldspur.cli import main; main()"]


def run(*words: object, **more: Any) -> subprocess.CompletedProcess[str]:
    """The program with these words, its output as text."""
    return subprocess.run([*PROGRAM, *map(str, words)], capture_output=True, text=True, check=False, **more)


def scanned(*words: object) -> dict[str, Any]:
    """What a scan that must succeed prints as JSON."""
    result = run("evidence", "scan", *words, "--json")
    assert result.returncode == 0, result.stdout + result.stderr
    return json.loads(result.stdout)


def odd_tree(root: Path) -> Path:
    """Names of all kinds, links of all kinds, and what is no file."""
    (root / "sub" / "deep").mkdir(parents=True)
    base = os.fsencode(root)
    for name in (b"a\xff.bin", b"line\nbreak", "gpj\u202e.exe".encode(), b"back\\slash", b"sub/deep/x"):
        Path(os.fsdecode(base + b"/" + name)).write_bytes(b"content of " + name)
    os.link(root / "sub" / "deep" / "x", root / "a_link")
    os.link(root / "sub" / "deep" / "x", root / "z_link")
    (root / "empty").touch()
    with (root / "sparse").open("wb") as file:
        file.truncate(1 << 20)
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket"))
    (root / "loop").symlink_to(".")
    (root / "out").symlink_to("/etc/passwd")
    (root / "dangling").symlink_to("nowhere")
    return root


def many_files(root: Path, count: int, seed: int = 1) -> Path:
    """Small files of random bytes in some folders, with copies, hard links, and an archive of some of them."""
    chance = random.Random(seed)
    for number in range(count):
        folder = root / f"d{number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number:04}").write_bytes(chance.randbytes(chance.choice([0, 10, 3000, 40_000])))
    (root / "copy").write_bytes((root / "d0" / "f0000").read_bytes())
    os.link(root / "d1" / "f0001", root / "again")
    with zipfile.ZipFile(root / "some.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(0, count, 3):
            archive.write(root / f"d{number % 7}" / f"f{number:04}", f"in/f{number:04}")
    return root


def rows(out: Path, query: str) -> list[tuple[Any, ...]]:
    """The answer of a scan's database."""
    db = sqlite3.connect(out / "scan.sqlite")
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


FILES = """SELECT path, ordinal, kind, entry.size, allocated, inode, links, modified_ns, state, reason, errno,
                  error_offset, hex(md5), hex(sha1), hex(sha256), hex(blake3), media, media_reason, members
           FROM entry LEFT JOIN content ON content.id = entry.content ORDER BY path, ordinal"""


def everything(out: Path) -> list[tuple[Any, ...]]:
    """All that a scan says of its files, without ids and times of the run."""
    return rows(out, FILES)


def log_of(out: Path) -> list[dict[str, Any]]:
    """The log's records, after a check of their chain."""
    records = rows(out, "SELECT seq, event, hash FROM log ORDER BY seq")
    assert not list(breaks(records))
    return [json.loads(event) for _, event, _ in records]


def log_agrees_with_rows(out: Path) -> None:
    """Each file has one record, which says what its row says, canonically; each content's media are as last logged."""
    assert all(canonical(json.loads(event)) == event for (event,) in rows(out, "SELECT event FROM log"))
    logged: dict[tuple[str, int], tuple[Any, ...]] = {}
    media: dict[str, str] = {}
    for record in log_of(out):
        if record["kind"] == "file":
            key = record["path"], record["ordinal"]
            assert key not in logged, f"two records of {key}"
            names = ("state", "size", "reason", "errno", "offset", "md5", "sha1", "sha256", "blake3")
            logged[key] = tuple(record.get(name) for name in names)
        elif record["kind"] == "fingerprints":
            media[record["sha256"]] = record["media"]
    query = """SELECT lower(hex(path)), ordinal, state, entry.size, reason, errno, error_offset, lower(hex(md5)),
                      lower(hex(sha1)), lower(hex(sha256)), lower(hex(blake3)), members
               FROM entry LEFT JOIN content ON content.id = entry.content
               WHERE kind != 'directory' AND state != 'found'"""
    told = {}
    for path, ordinal, *rest, members in rows(out, query):
        *values, md5, sha1, sha256, blake3 = (value or None if isinstance(value, str) else value for value in rest)
        if members == "refused":
            values[-1] = None  # where the listing ended, which has a record of its own
        told[path, ordinal] = (*values, md5, sha1, sha256, blake3)
    assert told == logged
    query = "SELECT lower(hex(sha256)), media FROM content WHERE media NOT IN ('pending', 'skipped')"
    assert dict(rows(out, query)) == media
