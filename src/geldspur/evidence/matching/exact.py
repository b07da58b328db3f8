"""Digests of the scan's contents against a list: identical files."""

import sqlite3
from collections.abc import Iterator
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

from geldspur.progress import SILENT, Progress

DigestKind = Literal["md5", "sha1", "sha256"]
METHODS: tuple[DigestKind, ...] = get_args(DigestKind)
_CONTENTS = 1 << 16  # a batch


class Digests(Protocol):
    """What of a hash list this asks for."""

    counts: dict[str, int]

    def find(
        self, kind: DigestKind, digests: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Every match: (number of the query, row of the entry)."""


def exact_hits(
    db: sqlite3.Connection, hashes: Digests, progress: Progress = SILENT
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
                digests = np.frombuffer(b"".join(row[place] for row in batch), np.uint8).reshape(len(batch), -1)
                query, row = hashes.find(method, digests)
                for at, entry in zip(query.tolist(), row.tolist(), strict=True):
                    yield batch[at][0], method, entry
            task.advance(len(batch))
