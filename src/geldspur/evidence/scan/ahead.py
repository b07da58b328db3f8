"""Files that come next, opened and fetched by the system while the ones before them are hashed.

A worker that reads a small file and then hashes it leaves the disk idle in between, and so does every other worker. On
storage that is slower than the digests that adds up to a third of the time.
"""

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import BinaryIO

from geldspur.evidence.scan.messages import Job

_BYTES = 16 << 20  # that may be on their way; two workers' together last as long as one of them computes MD5
_FILES = 64  # that may be open
_MOST = 4 << 20  # of one file; the system itself reads ahead of whoever reads on

Opened = BinaryIO | OSError


class Ahead:
    """Opens files in their order. Use it in a `with` statement: what was opened and not asked for is closed."""

    def __init__(self, jobs: Sequence[Job], open_job: Callable[[Job], BinaryIO]) -> None:
        self._coming = deque(jobs)
        self._open_job = open_job
        self._opened: deque[tuple[Opened, int]] = deque()
        self._fetched = 0

    def __enter__(self) -> "Ahead":
        """Nothing is opened yet."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the rest."""
        for opened, _ in self._opened:
            if not isinstance(opened, OSError):
                opened.close()

    def next(self) -> BinaryIO:
        """The stream of the next job; its OSError where it can't be opened."""
        while self._coming and (not self._opened or (self._fetched < _BYTES and len(self._opened) < _FILES)):
            self._fetch(self._coming.popleft())
        opened, much = self._opened.popleft()
        self._fetched -= much
        if isinstance(opened, OSError):
            raise opened
        return opened

    def _fetch(self, job: Job) -> None:
        opened: Opened
        much = min(job.size or 0, _MOST)
        try:
            opened = self._open_job(job)
        except OSError as error:
            opened = error
        else:
            with suppress(OSError):
                os.posix_fadvise(opened.fileno(), 0, much, os.POSIX_FADV_WILLNEED)
        self._opened.append((opened, much))
        self._fetched += much
