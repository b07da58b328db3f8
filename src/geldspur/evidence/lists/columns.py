"""Columns of a compiled list, written with bounded memory: sorted runs, then one merge.

What is written depends on the digests and their rows alone, not on where one run ended and the next began.
"""

import os
from array import array
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from geldspur.errors import GeldspurError
from geldspur.evidence.lists.entry import EMPTY, WIDTH, DigestKind

Array = npt.NDArray[Any]
RUN = 1 << 21
"""Digests sorted at once: about 150 MB for the widest."""
MOST_ENTRIES = (1 << 32) - 1


def create(path: Path) -> BinaryIO:
    """A new file that only its owner reads: lists are as sensitive as evidence."""
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600))


def table_bits(count: int) -> int:
    """How many leading bits the table of a column of `count` digests resolves: about four digests a bucket."""
    return min(max(count.bit_length() - 2, 1), 26)


def mapped(path: Path, dtype: str) -> Array:
    """A column's file, memory-mapped read-only; an empty one as an empty array."""
    if path.stat().st_size == 0:
        return np.zeros(0, dtype)
    return np.memmap(path, dtype, "r").view(np.ndarray)


class DigestColumn:
    """Digests of one kind, collected with their rows and sorted when all are in."""

    def __init__(self, folder: Path, kind: DigestKind, run: int = RUN) -> None:
        self.kind, self.width = kind, WIDTH[kind]
        self.count = self.empty = self.zero = 0
        self._folder, self._run = folder, run
        self._digests, self._rows = bytearray(), array("I")
        self._ends: list[int] = []
        self._runs: list[BinaryIO] = []

    def add(self, digest: bytes, row: int) -> bool:
        """One digest; those of the empty file and the placeholder of zeros are counted and left out (False)."""
        if digest == EMPTY[self.kind]:
            self.empty += 1
            return False
        if not any(digest):
            self.zero += 1
            return False
        self._digests += digest
        self._rows.append(row)
        if len(self._rows) >= self._run:
            self._flush()
        return True

    def add_block(self, digests: npt.NDArray[np.uint8], first_row: int) -> int:
        """Digests uint8[n, width] of rows `first_row ..`; returns how many were left out."""
        empty = (digests == np.frombuffer(EMPTY[self.kind], np.uint8)).all(axis=1)
        zero = ~digests.any(axis=1)
        self.empty += int(empty.sum())
        self.zero += int(zero.sum())
        rows = np.flatnonzero(~(empty | zero))
        for start in range(0, rows.size, self._run):
            part = rows[start : start + self._run]
            self._digests += digests[part].tobytes()
            self._rows.frombytes((part + first_row).astype(np.uint32).tobytes())
            if len(self._rows) >= self._run:
                self._flush()
        return len(digests) - rows.size

    def _flush(self) -> None:
        """Sort what was collected, and add it to the runs on disk."""
        digests = np.frombuffer(bytes(self._digests), np.uint8).reshape(-1, self.width)
        rows = np.frombuffer(self._rows.tobytes(), np.uint32)
        prefix = digests[:, :8].copy().view(">u8").ravel().astype(np.uint64)
        order = _order(prefix, digests, rows)
        if not self._runs:
            self._runs = [create(self._folder / f"{self.kind}.{part}.run") for part in ("prefix", "tail", "rows")]
        for file, column in zip(self._runs, (prefix[order], digests[order, 8:], rows[order]), strict=True):
            file.write(np.ascontiguousarray(column).data)
        self.count += rows.size
        self._ends.append(self.count)
        self._digests, self._rows = bytearray(), array("I")

    def finish(self) -> list[str]:
        """Merge the runs into the column's files and return their names; none where there are no digests."""
        if self._rows:
            self._flush()
        for file in self._runs:
            file.close()
        if not self.count:
            return []
        names = [f"{self.kind}.{part}" for part in ("prefix", "tail", "rows")]
        if len(self._ends) == 1:
            for name in names:
                (self._folder / f"{name}.run").rename(self._folder / name)
        else:
            self._merge(names)
        self._write_table()
        return [*names, f"{self.kind}.table"]

    def _merge(self, names: list[str]) -> None:
        from geldspur.evidence.lists.kernels import merge

        runs = [self._folder / f"{name}.run" for name in names]
        prefix, tail, rows = mapped(runs[0], "<u8"), mapped(runs[1], "u1"), mapped(runs[2], "<u4")
        at, ends = np.array([0, *self._ends[:-1]], np.int64), np.array(self._ends, np.int64)
        room = min(self._run, self.count)
        tail_width = self.width - 8
        out: list[Array] = [np.empty(room, np.uint64), np.empty(room * tail_width, np.uint8), np.empty(room, np.uint32)]
        files = [create(self._folder / name) for name in names]
        while written := merge(prefix, tail, tail_width, rows, at, ends, *out):
            for file, column, width in zip(files, out, (1, tail_width, 1), strict=True):
                file.write(column[: written * width].data)
        for file, path in zip(files, runs, strict=True):
            file.close()
            path.unlink()

    def _write_table(self) -> None:
        """How many prefixes lie below each value of the highest bits, and their number at the end."""
        bits = table_bits(self.count)
        prefix = mapped(self._folder / f"{self.kind}.prefix", "<u8")
        below = np.zeros((1 << bits) + 1, np.int64)
        for start in range(0, self.count, self._run):
            part = prefix[start : start + self._run] >> np.uint64(64 - bits)
            values, counts = np.unique(part, return_counts=True)
            below[values.astype(np.int64) + 1] += counts
        with create(self._folder / f"{self.kind}.table") as file:
            file.write(np.cumsum(below).astype("<u4").tobytes())


def _order(prefix: Array, digests: Array, rows: Array) -> Array:
    """The order of (digest, row): by prefix, and exactly among those whose prefix is not alone."""
    order = np.argsort(prefix)
    ordered = prefix[order]
    same = ordered[1:] == ordered[:-1]
    tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
    if tied.size:
        among = order[tied]
        words = digests[among, 8:].copy().view(">u4")
        order[tied] = among[np.lexsort((rows[among], *words.T[::-1], prefix[among]))]
    return order


class PdqColumn:
    """PDQ hashes in the order of the list: 32 bytes, the entry's row, the quality."""

    def __init__(self, folder: Path) -> None:
        self.count = 0
        self._files = [create(folder / name) for name in self.NAMES]
        self._hashes, self._rows, self._qualities = bytearray(), array("I"), bytearray()

    NAMES = ("pdq.hash", "pdq.rows", "pdq.quality")

    def add(self, pdq: bytes, row: int, quality: int) -> None:
        """One hash."""
        self._hashes += pdq
        self._rows.append(row)
        self._qualities.append(quality)
        if len(self._rows) >= 1 << 16:
            self._flush()

    def _flush(self) -> None:
        for file, part in zip(self._files, (self._hashes, self._rows, self._qualities), strict=True):
            file.write(bytes(part))
        self.count += len(self._rows)
        self._hashes, self._rows, self._qualities = bytearray(), array("I"), bytearray()

    def finish(self) -> list[str]:
        """Write the rest and return the files' names; none where there are no hashes."""
        self._flush()
        for file in self._files:
            file.close()
        if self.count:
            return list(self.NAMES)
        for file in self._files:
            Path(file.name).unlink()
        return []


class CategoryColumn:
    """A category's code a row; 0 is none. The codes are in the order in which categories appear."""

    MOST = 1 << 16

    def __init__(self, folder: Path) -> None:
        self._file = create(folder / "category")
        self.codes: dict[str, int] = {}
        self.counts: dict[str, int] = {}
        self._rows = array("H")
        self._length = 0

    def add(self, category: str | None) -> None:
        """The next row's."""
        code = 0
        if category is not None:
            code = self.codes.setdefault(category, len(self.codes) + 1)
            if code >= self.MOST:
                raise GeldspurError(
                    f"the list has more than {self.MOST - 1:,} different categories",
                    where=f"row {self._length:,}",
                    todo="name the list's format with --format: this is not a column of categories",
                )
            self.counts[category] = self.counts.get(category, 0) + 1
        self._rows.append(code)
        self._length += 1
        if len(self._rows) >= 1 << 16:
            self._flush()

    def add_none(self, count: int) -> None:
        """The next `count` rows have none."""
        self._flush()
        self._file.write(bytes(2 * count))
        self._length += count

    def _flush(self) -> None:
        self._file.write(self._rows.tobytes())
        self._rows = array("H")

    def finish(self) -> list[str]:
        """Write the rest and return the file's name; none where no entry has a category."""
        self._flush()
        self._file.close()
        if self.codes:
            return ["category"]
        Path(self._file.name).unlink()
        return []
