"""Dealing a chain's keys out to partition files, as its blocks are decoded."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geldspur.ledger.build.decode import Piece
from geldspur.ledger.build.partitions import kernels
from geldspur.ledger.columnfile import Array, ColumnFile, write_at

STREAMS = ("tx", "in", "out")


def path_of(folder: Path, stream: str, partition: int) -> Path:
    """The file of one partition's transactions, inputs or outputs."""
    return folder / f"{stream}.{partition:03}.part"


class _Stream:
    """The partition files of one kind of record, each behind a buffer of its own."""

    def __init__(self, folder: Path, name: str, sizes: list[int], room: int) -> None:
        self._paths = [path_of(folder, name, p) for p in range(len(sizes))]
        self.sizes = np.array(sizes, np.int64)
        self._room = room
        self.pool: Array = np.empty(room * len(sizes), np.uint8)
        self._starts = np.arange(len(sizes), dtype=np.int64) * room
        self.fill: Array = self._starts.copy()
        for path, size in zip(self._paths, sizes, strict=True):
            with path.open("ab") as file:
                file.truncate(size)

    def make_room(self, needed: Array) -> None:
        """Write buffers out where `needed` more bytes a partition would not fit."""
        if bool((self.fill - self._starts + needed > self._room).any()):
            self.flush()
        if int(needed.max()) > self._room:
            self._room = 2 * int(needed.max())
            self.pool = np.empty(self._room * len(self._paths), np.uint8)
            self._starts = np.arange(len(self._paths), dtype=np.int64) * self._room
            self.fill = self._starts.copy()

    def flush(self) -> None:
        """Write everything out."""
        for p in np.flatnonzero(self.fill > self._starts).tolist():
            part = self.pool[self._starts[p] : self.fill[p]]
            handle = os.open(self._paths[p], os.O_WRONLY)
            try:
                write_at(handle, self._paths[p], part, int(self.sizes[p]))
            finally:
                os.close(handle)
            self.sizes[p] += len(part)
        self.fill[:] = self._starts


class Dealer:
    """Deals batches out. `key` uint64[2] is the build's secret: what is dealt must be matched with the same."""

    def __init__(
        self, folder: Path, partitions: int, key: Array, streams: Mapping[str, list[int]], counts: Mapping[str, int],
        budget: int,
    ) -> None:  # fmt: skip
        self._bits = partitions.bit_length() - 1
        self._key = key
        room = max(1 << 14, min(1 << 18, budget // (3 * partitions)))
        empty = [0] * partitions
        self._streams = {name: _Stream(folder, name, streams.get(name, empty), room) for name in STREAMS}
        self.out_rows = np.array(streams.get("out_rows", empty), np.int64)
        self._in_part = ColumnFile(folder / "in_part.bin", np.dtype("u1"), 1, counts.get("in", 0))
        self._out_part = ColumnFile(folder / "out_part.bin", np.dtype("u1"), 1, counts.get("out", 0))

    def add(self, piece: Piece, first_tx: int) -> None:
        """Deal out a batch whose first transaction has row `first_tx`."""
        batch, key, bits = piece.batch, self._key, self._bits
        part = np.empty(max(batch.n_tx, batch.n_in, batch.n_out), np.uint8)
        outputs = (batch.out_type, batch.out_at, batch.out_length, batch.out_payload)

        needed = np.zeros(1 << bits, np.int64)
        kernels.choose_txs(key, bits, batch.txid, batch.n_tx, part, needed)
        stream = self._streams["tx"]
        stream.make_room(needed)
        kernels.deal_txs(batch.txid, first_tx, batch.n_tx, part, stream.pool, stream.fill)

        needed[:] = 0
        kernels.choose_inputs(key, bits, batch.in_outpoint, batch.n_in, part, needed)
        self._in_part.append(part[: batch.n_in])
        stream = self._streams["in"]
        stream.make_room(needed)
        kernels.deal_inputs(batch.in_outpoint, batch.n_in, part, stream.pool, stream.fill)

        needed[:] = 0
        kernels.choose_outputs(key, bits, *outputs, batch.n_out, part, needed)
        self._out_part.append(part[: batch.n_out])
        stream = self._streams["out"]
        stream.make_room(needed)
        kernels.deal_outputs(*outputs, batch.n_out, part, stream.pool, stream.fill, self.out_rows)

    def flush(self) -> dict[str, list[int]]:
        """Write everything out; returns what to give as `streams` to go on from here."""
        for stream in self._streams.values():
            stream.flush()
        sizes = {name: stream.sizes.tolist() for name, stream in self._streams.items()}
        return sizes | {"out_rows": self.out_rows.tolist()}

    def close(self) -> None:
        """Close the files."""
        self._in_part.close()
        self._out_part.close()
