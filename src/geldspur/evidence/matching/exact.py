"""Digests of the scan's contents against a list: identical files."""

import sqlite3
from collections.abc import Iterator

import numpy as np

from geldspur.evidence.lists import HashList
from geldspur.evidence.lists.entry import DIGESTS, DigestKind
from geldspur.progress import SILENT, Progress

METHODS = DIGESTS
_CONTENTS = 1 << 16  # a batch


def exact_hits(
    db: sqlite3.Connection, hashes: HashList, progress: Progress = SILENT
) -> Iterator[tuple[int, DigestKind, int]]:
    """(content, method, row) for each entry with a content's digest, contents in the order of their digests.

    Each digest is a method of its own: an entry with two of them gives two hits. Empty contents are never compared.
    """
    contents = db.execute("SELECT count(*) FROM content WHERE size > 0").fetchone()[0]
    cursor = db.execute("SELECT id, md5, sha1, sha256 FROM content WHERE size > 0 ORDER BY sha256, size")
    with progress.task("digests", contents, "contents") as task:
        while batch := cursor.fetchmany(_CONTENTS):
            for place, method in enumerate(METHODS, start=1):
                if not hashes.counts.get(method, 0):
                    continue
                joined = bytearray().join(row[place] for row in batch)  # bytes would be read-only: kernels again
                digests = np.frombuffer(joined, np.uint8).reshape(len(batch), -1)
                query, row = hashes.find(method, digests)
                for at, entry in zip(query.tolist(), row.tolist(), strict=True):
                    yield batch[at][0], method, entry
            task.advance(len(batch))
