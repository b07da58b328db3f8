"""Checksums of parts: what a look-up or an append reads of a large file is compared as it is read, and nothing else.

The manifest's checksums are of a thousand heights, or of a whole look-up: to compare them, all of that has to be read.
Beside them lies one of eight bytes (XXH3) for each part of a file. They follow from the files and can be made again:
where they are missing nothing is compared by parts.

- `lookup/RUN/checksums.bin`: of a run's columns in order of their names, by parts of four kilobytes, a page. What an
  append looks at are single pages all over a run.
- `checksums/ID.bin`: of all columns in the order of `layout.COLUMNS`, by parts of 64 kilobytes, `out_spender` of 16.
  ID is of the manifest that counts these rows, so that a reader never meets those of another state.

`out_spender` changes all over when blocks are appended. The checksum of a part of it is therefore the sum of the hashes
of its links, modulo 2^64: what is entered is added without reading the rest.
"""

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from xxhash import xxh3_64_intdigest

from geldspur.errors import GeldspurError
from geldspur.ledger.columns import Array, advice
from geldspur.ledger.layout import COLUMNS, SPENDER, gone
from geldspur.ledger.manifests import identity

PART, SPENDER_PART, LOOK_UP_PART = 1 << 16, 1 << 14, 1 << 12
FOLDER, IN_RUN = "checksums", "checksums.bin"
MAKE_AGAIN = "remove this file; geldspur compact --ledger DIR makes it again"
MARKED, COMPARED = 1, 2
"""What becomes of a part: it was looked at, then it was compared."""
A, B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xFF51AFD7ED558CCD)


def bytes_of(array: Array) -> Array:
    """A column's bytes, uint8[n], without a copy."""
    return array.reshape(-1).view(np.uint8) if array.size else np.empty(0, np.uint8)


def sums_of(array: Array, part: int, first: int = 0) -> Array:
    """Checksums of a column's parts, from part `first` on: uint64."""
    data = bytes_of(array).data
    starts = range(first * part, len(data), part)
    return np.fromiter((xxh3_64_intdigest(data[at : at + part]) for at in starts), np.uint64, len(starts))


def pages_of(*columns: Array) -> list[Array]:
    """Room for a mark on each part of a look-up's columns, uint8."""
    return [np.zeros(-(-column.nbytes // LOOK_UP_PART), np.uint8) for column in columns]


def link_hashes(outputs: Array, spenders: Array) -> Array:
    """Hashes of links, uint64: of rows of outputs and of what `out_spender` says there."""
    h = outputs.astype(np.uint64)
    h *= A
    h ^= spenders.astype(np.uint64, copy=False)
    h *= B
    h ^= h >> np.uint64(33)
    return h


def sum_of_links(spender: Array, first: int, n_inputs: int) -> int:
    """The checksum of a part of `out_spender` that begins with row `first`, in a ledger of so many inputs.

    Higher values don't count, but for outputs that are gone: they are of nobody, or of an append that is under way.
    """
    linked = (spender < n_inputs) | (spender == gone(spender.dtype))
    rows = np.flatnonzero(linked)
    return int(link_hashes(rows + first, spender[rows]).sum(dtype=np.uint64))


def sums_of_spenders(spender: Array, n_inputs: int, first: int = 0) -> Array:
    """As `sums_of`, of `out_spender`."""
    step = SPENDER_PART // spender.dtype.itemsize
    starts = range(first * step, len(spender), step)
    return np.fromiter((sum_of_links(spender[at : at + step], at, n_inputs) for at in starts), np.uint64, len(starts))


class Parts:
    """A mapped column, and which of its parts have been compared with their checksums."""

    def __init__(self, array: Array, path: Path, sums: Array, part: int, todo: str) -> None:
        self.seen: Array = np.zeros(len(sums), np.uint8)
        """For each part 0, `MARKED` or `COMPARED`."""
        self._array, self._path, self._sums, self._todo = array, path, sums, todo
        self._data, self._part = bytes_of(array).data, part
        self._advice = advice(array)

    def look(self, first: int, end: int) -> None:
        """Compare the parts that hold the bytes `first` to `end`."""
        for part in range(first // self._part, -(-end // self._part)):
            if not self.seen[part] & COMPARED:
                self._compare(part)

    def look_at(self, rows: Array) -> None:
        """Compare the parts that hold these rows."""
        width = self._array.strides[0]
        first = rows.astype(np.int64) * width
        self.seen[first // self._part] |= MARKED
        self.seen[(first + width - 1) // self._part] |= MARKED
        self.compare_marked()

    def compare_marked(self) -> None:
        """Compare what was marked in `seen` and has not been compared."""
        for part in np.flatnonzero(self.seen & (MARKED | COMPARED) == MARKED).tolist():
            self._compare(part)

    def _compare(self, part: int) -> None:
        first, end = part * self._part, min((part + 1) * self._part, len(self._data))
        if self._advice is not None and self._part > mmap.PAGESIZE:
            self._advice[0](mmap.MADV_WILLNEED, first // mmap.PAGESIZE * mmap.PAGESIZE, end - first)
        if self._sum(first, end) != int(self._sums[part]):
            raise GeldspurError(
                f"the ledger's {self._path.stem} is damaged: its checksum doesn't fit its bytes",
                where=f"{self._path}, bytes {first:,} to {end:,}",
                todo=self._todo,
            )
        self.seen[part] = COMPARED

    def _sum(self, first: int, end: int) -> int:
        return int(xxh3_64_intdigest(self._data[first:end]))


class SpenderParts(Parts):
    """The same of `out_spender`, in a ledger of `n_inputs` inputs."""

    def __init__(self, array: Array, path: Path, sums: Array, n_inputs: int, todo: str) -> None:
        super().__init__(array, path, sums, SPENDER_PART, todo)
        self._n_inputs = n_inputs

    def _sum(self, first: int, end: int) -> int:
        width = self._array.itemsize
        return sum_of_links(self._array[first // width : end // width], first // width, self._n_inputs)


def file_of(ledger: Path, manifest: Mapping[str, Any]) -> Path:
    """Where the checksums of the columns' parts lie."""
    return ledger / FOLDER / f"{identity(dict(manifest))[:16]}.bin"


def read_column_sums(ledger: Path, manifest: Mapping[str, Any]) -> dict[str, Array] | None:
    """Checksums of the parts of a ledger's columns, by name; None where there are none."""
    columns = manifest["columns"]
    counts = {n: -(-_size(columns[n]) // (SPENDER_PART if n == SPENDER.name else PART)) for n in COLUMNS}
    return _read_sums(file_of(ledger, manifest), counts)


def read_run_sums(folder: Path, run: Mapping[str, Any]) -> dict[str, Array] | None:
    """The same of a run that lies in `folder`."""
    return _read_sums(folder / IN_RUN, {n: -(-_size(entry) // LOOK_UP_PART) for n, entry in run_entries(run)})


def _read_sums(path: Path, counts: Mapping[str, int]) -> dict[str, Array] | None:
    ends = np.cumsum([0, *counts.values()]).tolist()
    if not path.is_file():
        return None
    if path.stat().st_size != 8 * ends[-1]:
        raise GeldspurError(
            f"the checksums of parts are damaged: {8 * ends[-1]:,} bytes expected, {path.stat().st_size:,} found",
            where=str(path),
            todo=MAKE_AGAIN,
        )
    sums = np.asarray(np.memmap(path, np.dtype("<u8"), "r")) if ends[-1] else np.empty(0, np.uint64)
    return {name: sums[ends[k] : ends[k + 1]] for k, name in enumerate(counts)}


def _size(entry: Mapping[str, Any]) -> int:
    return int(np.prod(entry["shape"], dtype=np.int64)) * int(np.dtype(entry["dtype"]).itemsize)


def run_entries(run: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """A run's columns in the order of its checksums."""
    yield from sorted(run["columns"].items())
