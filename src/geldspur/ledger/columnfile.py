"""Columns that grow: written at their end, read through a map that grows with them, cut back on a reorg."""

import mmap
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from geldspur.errors import GeldspurError, disk_todo
from geldspur.ledger.columns import AGAIN

Array = npt.NDArray[Any]
_LEAST_MAP = 1 << 20
_PIECE = 256 << 10
"""What one write asks for. For more, Linux takes memory in pieces of a size that a virtual machine has given back."""
_MADV_POPULATE_READ = 22
"""Linux's; Python has no name for it."""


class ColumnFile:
    """One column's file, open for appending. `rows` is what counts; the file may be longer while it is open."""

    def __init__(self, path: Path, dtype: np.dtype[np.generic], width: int, rows: int) -> None:
        self.path = path
        self.dtype = dtype
        self.width = width
        self.rows = rows
        self._handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        self._map: Array | None = None
        self._mapped_rows = 0
        have = os.fstat(self._handle).st_size
        if have < rows * self.row_bytes:
            os.close(self._handle)
            raise GeldspurError(
                f"the column {path.stem} is damaged: {rows * self.row_bytes:,} bytes expected, {have:,} found",
                where=str(path),
                todo="remove the ledger's folder and index again",
            )

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return self.dtype.itemsize * self.width

    def append(self, rows: Array) -> None:
        """Write rows at the end; a full disk is a GeldspurError and leaves `rows` as it was."""
        typed = np.ascontiguousarray(rows, self.dtype)
        write_at(self._handle, self.path, typed, self.rows * self.row_bytes)
        self.rows += typed.size // self.width

    def mapped(self, room: int = 0) -> Array:
        """All rows, memory-mapped read-only with room for `room` more that are still to be written."""
        need = self.rows + room
        if self._map is None or need > self._mapped_rows:
            # Much room: a hole in a file costs nothing, but to fill a new map's page table does.
            size = max(_LEAST_MAP, 4 * need * self.row_bytes)
            if os.fstat(self._handle).st_size < size:
                os.ftruncate(self._handle, size)
            mapping = mmap.mmap(self._handle, size, prot=mmap.PROT_READ)
            _populate(mapping, self.rows * self.row_bytes)
            flat = np.frombuffer(mapping, self.dtype, size // self.row_bytes * self.width)
            self._map = flat.reshape(-1, self.width) if self.width > 1 else flat
            self._mapped_rows = size // self.row_bytes
        return self._map

    def cut(self, rows: int) -> None:
        """Forget the rows from `rows` on."""
        self.rows = min(rows, self.rows)

    def close(self, sync: bool = False) -> None:
        """Trim the file to its rows and close it, after the disk has it where `sync` asks for that."""
        self._map = None
        os.ftruncate(self._handle, self.rows * self.row_bytes)
        if sync:
            os.fsync(self._handle)
        os.close(self._handle)


def _populate(mapping: mmap.mmap, size: int) -> None:
    """Have the system enter a map's first `size` bytes into the page table at once: page faults cost ten times that."""
    if sys.platform != "linux":
        return
    with suppress(OSError):  # before Linux 5.14: then page by page, as they are met
        mapping.madvise(_MADV_POPULATE_READ, 0, size)


def write_at(handle: int, path: Path, array: Array, offset: int) -> None:
    """Write a contiguous array's bytes at `offset`; GeldspurError where the disk is full or fails."""
    data = array.reshape(-1).view(np.uint8).data
    done = 0
    try:
        while done < len(data):
            end = done + _PIECE - (offset + done) % _PIECE
            done += os.pwrite(handle, data[done:end], offset + done)
    except OSError as error:
        raise GeldspurError(
            f"writing {path} failed: {error.strerror}",
            where=f"{path}, offset {offset + done:,}",
            todo=disk_todo(error, then=AGAIN),
        ) from error
