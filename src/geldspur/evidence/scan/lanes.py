"""Small files of one task, kept in memory until their MD5 are computed side by side."""

import sys
from collections.abc import Sequence

import numpy as np

from geldspur.evidence.scan.kernels import md5_many

CAPACITY = (128 << 20) + (4 << 20)  # of address space; memory is taken as far as files need it
FEWEST = 8  # files from which on it is quicker
_EVEN = 4  # times the largest file, that all of them hold: sixteen lanes take as long as the longest of them


class Lanes:
    """The files at hand, in one buffer."""

    def __init__(self) -> None:
        self._data = np.zeros(CAPACITY, np.uint8)  # not touched yet
        self._view = memoryview(self._data.data)
        self._end = 0
        md5_many(self._data, np.zeros(1, np.int64), np.zeros(1, np.int64))  # loads or compiles the kernel now

    @staticmethod
    def pay(sizes: Sequence[int]) -> bool:
        """Is it quicker than one after the other?"""
        return len(sizes) >= FEWEST and sum(sizes) >= _EVEN * max(sizes)

    def clear(self) -> None:
        """Begin with the next task."""
        self._end = 0

    def room(self, size: int) -> tuple[int, memoryview] | None:
        """A place for a file of this size and one byte more, which shows growth; None where it does not fit."""
        start, end = self._end, self._end + size + 1
        if end > CAPACITY:
            return None
        self._end = end
        return start, self._view[start:end]

    def md5(self, parts: Sequence[tuple[int, int]]) -> list[bytes]:
        """MD5 of parts (start, size) of the buffer.

        Raises:
            IndexError: a part is none of it.
        """
        places = np.array(parts, np.int64).reshape(-1, 2)
        starts, sizes = places[:, 0].copy(), places[:, 1].copy()
        if len(parts) and (places.min() < 0 or (starts + sizes).max() > CAPACITY):
            raise IndexError("a part lies outside the buffer")
        return [row.tobytes() for row in md5_many(self._data, starts, sizes)]


def can() -> bool:
    """Does this processor order bytes as the kernel needs it?"""
    return sys.byteorder == "little"
