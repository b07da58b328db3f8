"""Small files of one task, kept in memory until their MD5 are computed side by side."""

import mmap
import sys
from array import array
from collections.abc import Sequence
from functools import cache

from geldspur.machinecode import Function, MachineCode, address

CODE = MachineCode("md5", "geldspur.evidence.scan.kernels", {"md5_many": "pqppqpppp"})
CAPACITY = (128 << 20) + (4 << 20)  # of address space; memory is taken as far as files need it
FEWEST = 8  # files from which on it is quicker
_EVEN = 4  # times the largest file, that all of them hold: sixteen lanes take as long as the longest of them
_LANES, _TAIL = 16, 128


class Lanes:
    """The files at hand, in one buffer."""

    def __init__(self) -> None:
        self._data = mmap.mmap(-1, CAPACITY, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        if hasattr(mmap, "MADV_HUGEPAGE"):
            self._data.madvise(mmap.MADV_HUGEPAGE)  # a hundredth of the page faults
        self._view = memoryview(self._data)
        self._end = 0
        self._md5_many = _kernel()

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
        if any(start < 0 or size < 0 or start + size > CAPACITY for start, size in parts):
            raise IndexError("a part lies outside the buffer")
        if not parts:
            return []
        starts, sizes = array("q", [start for start, _ in parts]), array("q", [size for _, size in parts])
        out = bytearray(16 * len(parts))
        room = [bytearray(_TAIL * len(parts)), bytearray(4 * 4 * _LANES), bytearray(8 * 4 * _LANES)]
        self._md5_many(
            address(self._data), CAPACITY, address(starts), address(sizes), len(parts), *map(address, room),
            address(out),
        )  # fmt: skip
        return [bytes(out[at : at + 16]) for at in range(0, len(out), 16)]


@cache
def _kernel() -> Function:
    return CODE.load()["md5_many"]


def can() -> bool:
    """Does this processor order bytes as the kernel needs it?"""
    return sys.byteorder == "little"
