"""Matching partitions, several at once: inputs with transactions, outputs with scripts."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import numpy as np

from geldspur.errors import GeldspurError
from geldspur.ledger.build import kernels as build
from geldspur.ledger.build.partitions import kernels
from geldspur.ledger.build.partitions.deal import path_of
from geldspur.ledger.build.tables import TX_WORDS, empty_table
from geldspur.ledger.columnfile import Array, write_at
from geldspur.progress import Task

_PIECE = 4 << 20
_LOAD = 0.6

Streams = Mapping[str, list[int]]


def make_sparse(path: Path, size: int) -> None:
    """An empty file of a size, for several threads to write into."""
    with path.open("wb") as file:
        file.truncate(size)


def _in_parallel(work: Callable[[int], int], partitions: int, threads: int, task: Task) -> None:
    with ThreadPoolExecutor(threads) as pool:
        for size in pool.map(work, range(partitions)):
            task.advance(size)


def match_inputs(folder: Path, key: Array, streams: Streams, threads: int, task: Task) -> list[list[int]]:
    """Answer every partition's inputs; returns (later row, earlier row) of transactions of one id.

    The answers of partition p are uint64 in `answers.bin`, behind those of the partitions before it.
    """
    counts = [size // kernels.RECORD for size in streams["in"]]
    starts = np.cumsum([0, *counts])
    path = folder / "answers.bin"
    make_sparse(path, 8 * int(starts[-1]))
    twins: list[list[list[int]]] = [[] for _ in counts]

    # The highest bits of the hash under `key` told the partition, and are the same for all of its transactions.
    table_key = key[::-1].copy()

    def work(p: int) -> int:
        records = np.fromfile(path_of(folder, "tx", p), np.uint8).reshape(-1, kernels.RECORD)
        n = len(records)
        table = empty_table(int(n / _LOAD) + 1, TX_WORDS)
        new, old = np.empty(n, np.int64), np.empty(n, np.int64)
        count = build.insert_txids(table, table_key, records, 0, 0, n, new, old)
        rows = records[:, 32:].copy().view("<u4").ravel() if count else np.empty(0, np.uint32)
        twins[p] = [[int(rows[a]), int(rows[b])] for a, b in zip(new[:count], old[:count], strict=True)]
        most = _PIECE // kernels.RECORD
        outpoints = np.empty((most, kernels.RECORD), np.uint8)
        found, answer = np.empty(most, np.int64), np.empty(most, np.uint64)
        at = 8 * int(starts[p])
        with path_of(folder, "in", p).open("rb") as source, path.open("r+b") as target:
            while count := source.readinto(outpoints.data) // kernels.RECORD:
                build.find_prevout_txs(table, table_key, 0, records, outpoints, count, found)
                kernels.answer_inputs(found, records, outpoints, count, answer)
                write_at(target.fileno(), path, answer[:count], at)
                at += 8 * count
        return records.size + streams["in"][p]

    _in_parallel(work, len(counts), threads, task)
    return sorted(pair for pairs in twins for pair in pairs)


def match_scripts(folder: Path, key: Array, streams: Streams, threads: int, task: Task) -> list[int]:
    """Number every partition's scripts by themselves; returns how many each has.

    Local ids of partition p are uint32 in `local.bin`; its scripts are records in `blob.bin`, from where the
    bytes of the partitions before it would end.
    """
    row_starts, byte_starts = np.cumsum([0, *streams["out_rows"]]), np.cumsum([0, *streams["out"]])
    local_path, blob_path = folder / "local.bin", folder / "blob.bin"
    make_sparse(local_path, 4 * int(row_starts[-1]))
    make_sparse(blob_path, int(byte_starts[-1]))

    def work(p: int) -> int:
        numbers = _Numbers(key, 4 * int(row_starts[p]))
        with path_of(folder, "out", p).open("rb") as source, local_path.open("r+b") as target:
            rest = b""
            while piece := source.read(_PIECE):
                rest = numbers.add(rest + piece, local_path, target)
        if rest:
            raise GeldspurError("a partition of the build is damaged", where=str(path_of(folder, "out", p)),
                                todo="remove the ledger's folder and index again")  # fmt: skip
        with blob_path.open("r+b") as target:
            write_at(target.fileno(), blob_path, numbers.blob[: numbers.end], int(byte_starts[p]))
        known[p] = numbers.known
        return streams["out"][p]

    known = [0] * len(streams["out"])
    _in_parallel(work, len(known), threads, task)
    return known


class _Numbers:
    """One partition's scripts so far."""

    def __init__(self, key: Array, local_at: int) -> None:
        self._key = key
        self._local_at = local_at
        self._table: Array = np.zeros(1 << 12, np.uint64)
        self.blob: Array = np.empty(1 << 18, np.uint8)
        self._at: Array = np.zeros(1 << 12, np.int64)
        self.known = self.end = 0
        self._local: Array = np.empty(_PIECE // 8, np.uint32)

    def add(self, piece: bytes, path: Path, target: BinaryIO) -> bytes:
        """Number a piece's scripts and write their local ids; returns the start of a record that isn't whole."""
        records = np.frombuffer(piece, np.uint8)
        at = 0
        while at < len(records):
            self._make_room(len(records) - at)
            done, used, self.known, self.end = kernels.number_scripts(
                self._table, self._key, records[at:], len(records) - at, self.blob, self.end, self.known, self._at,
                self._local,
            )  # fmt: skip
            write_at(target.fileno(), path, self._local[:done], self._local_at)
            self._local_at += 4 * done
            at += used
            if not done:
                break
        return piece[at:]

    def _make_room(self, more: int) -> None:
        """Room for the scripts of so many bytes, and for at least one more in the table.

        Arrays grow where they lie, by little: copies of them side by side would take twice the memory.
        """
        if self.end + more > len(self.blob):
            self.blob.resize(self.end + self.end // 4 + more, refcheck=False)
        slots = len(self._table)
        if 3 * self.known > 2 * (slots - 1):
            self._table = np.empty(0, np.uint64)  # let go of the old one before the new one is made
            self._table = np.zeros(2 * slots, np.uint64)
            kernels.renumber(self._table, self._key, self.blob, self.known, self._at)
        if len(self._at) < 2 * len(self._table) // 3 + 3:
            self._at.resize(2 * len(self._table) // 3 + 3, refcheck=False)
