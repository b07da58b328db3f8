"""Making a look-up run from the primary columns, in as many passes as the memory budget asks for."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from geldspur.errors import GeldspurError
from geldspur.ledger.columnfile import Array, write_at
from geldspur.ledger.keyedhash import Key
from geldspur.ledger.layout import row_dtype
from geldspur.ledger.lookup import kernels
from geldspur.ledger.lookup.runs import Range

_CHUNK = 1 << 18
_PER_BUCKET = 8
_PART_BITS = 12
"""So many buckets, to the power of two, are sorted together: what that takes fits a core's own cache."""
_BYTES_TO_INDEX = 16
"""What sorting one row by its hash takes."""
_BYTES_TO_SORT = 48
"""What sorting one output by its script takes."""


@dataclass(frozen=True, slots=True)
class Primary:
    """The primary columns that runs are made from, memory-mapped; only rows below the counts are read."""

    tx_id: Array
    script_type: Array
    script_at: Array
    script_payload: Array
    out_script: Array


@dataclass(slots=True)
class SpentTwice(Exception):
    """An input spends what another one spent before it."""

    input_row: int


class _Output:
    """A column written front to back; its entry for the manifest comes with `done`."""

    def __init__(self, folder: Path, name: str, dtype: np.dtype[Any]) -> None:
        self.path = folder / f"{name}.bin"
        self.dtype = dtype
        self._handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        self._rows = 0
        self._sum = xxhash.xxh3_128()

    def write(self, array: Array) -> None:
        typed = np.ascontiguousarray(array, self.dtype)
        write_at(self._handle, self.path, typed, self._rows * self.dtype.itemsize)
        self._sum.update(typed.data)
        self._rows += len(typed)

    def done(self) -> dict[str, Any]:
        os.fsync(self._handle)
        os.close(self._handle)
        return {"dtype": self.dtype.str, "shape": [self._rows], "xxh3_128": self._sum.hexdigest()}


def make_run(
    folder: Path, primary: Primary, key: Key, txs: Range, scripts: Range, outs: Range, budget: int
) -> dict[str, Any]:
    """Write a run's columns into `folder` (an empty one) and return its entry for the manifest.

    `budget` bounds the memory for what is being sorted, in bytes; the bytes written don't depend on it.
    """
    hash_key = np.array(key, np.uint64)

    def hash_txs(first: int, end: int, hashes: Array) -> None:
        kernels.hash_txids(hash_key, primary.tx_id, first, end, hashes)

    def hash_scripts(first: int, end: int, hashes: Array) -> None:
        at = primary.script_at[first : end + 1]
        if end > first and (at[-1] > len(primary.script_payload) or (at[1:] < at[:-1]).any()):
            raise GeldspurError(
                "the column script_at is damaged: a payload begins behind its end",
                where=f"script_at.bin, rows {first:,} to {end:,}",
                todo="geldspur doctor tells more; remove the ledger's folder and index again",
            )
        kernels.hash_payloads(
            hash_key, primary.script_type, primary.script_at, primary.script_payload, first, end, hashes
        )

    columns = _index(folder, "tx", txs, hash_txs, budget) | _index(folder, "script", scripts, hash_scripts, budget)
    if outs[0] == 0:
        columns |= _outputs_by_script(folder, primary.out_script, scripts[1], outs, budget)
    else:
        columns |= _outputs_of_few(folder, primary.out_script, scripts[1], outs, budget)
    return {
        "key": [int(word) for word in key], "txs": list(txs), "scripts": list(scripts), "outs": list(outs),
        "columns": columns,
    }  # fmt: skip


def _index(
    folder: Path, name: str, rows: Range, hash_rows: Callable[[int, int, Array], None], budget: int
) -> dict[str, Any]:
    first, end = rows
    bits = max(1, ((end - first) // _PER_BUCKET).bit_length())
    hashes = np.empty(_CHUNK, np.uint64)

    def pieces() -> Iterator[tuple[int, int]]:
        for start in range(first, end, _CHUNK):
            count = min(_CHUNK, end - start)
            hash_rows(start, start + count, hashes)
            yield start, count

    part_bits = max(1, bits - _PART_BITS)
    part = np.zeros((1 << part_bits) + 1, np.int64)
    for _, count in pieces():
        kernels.count_buckets(hashes, count, part_bits, part)
    np.cumsum(part, out=part)
    bucket = np.zeros((1 << bits) + 1, np.uint32)
    order, tag = _Output(folder, f"{name}_order", np.dtype("<u4")), _Output(folder, f"{name}_tag", np.dtype("<u2"))
    for low, high in _ranges(part, budget // _BYTES_TO_INDEX):
        fill, n = part[low:high] - part[low], int(part[high] - part[low])
        keys, order_part, tag_part = np.empty(n, np.uint64), np.empty(n, np.uint32), np.empty(n, np.uint16)
        for start, count in pieces():
            kernels.deal_rows(hashes, count, start, part_bits, low, high, fill, keys, order_part)
        kernels.sort_parts(keys, order_part, part, part_bits, low, high, bits, bucket, tag_part)
        order.write(order_part)
        tag.write(tag_part)
    bucket_out = _Output(folder, f"{name}_bucket", np.dtype("<u4"))
    bucket_out.write(bucket)
    return {f"{name}_bucket": bucket_out.done(), f"{name}_order": order.done(), f"{name}_tag": tag.done()}


def _ranges(offsets: Array, rows: int) -> Iterator[Range]:
    """Cut 0..len-1 into ranges that hold at most `rows` rows each (more where a single place holds more)."""
    low, last = 0, len(offsets) - 1
    while low < last:
        high = int(np.searchsorted(offsets, int(offsets[low]) + max(rows, 1), side="right")) - 1
        high = min(max(high, low + 1), last)
        yield low, high
        low = high


def _outputs_by_script(folder: Path, out_script: Array, n_scripts: int, outs: Range, budget: int) -> dict[str, Any]:
    n_out = outs[1]
    dtype = row_dtype(n_out)
    start_out, outputs_out = _Output(folder, "out_start", dtype), _Output(folder, "outputs", dtype)
    start_out.write(np.zeros(1, dtype))
    base = 0
    for low, high in _script_ranges(n_scripts, n_out, budget):
        fill = np.zeros(high - low + 1, dtype)
        for piece in _slices(n_out):
            kernels.count_scripts(out_script[piece], low, high, fill)
        np.cumsum(fill, out=fill)
        start_out.write(fill[1:] + dtype.type(base))
        count = int(fill[-1])
        outputs = np.empty(count, dtype)
        for piece in _slices(n_out):
            kernels.scatter_outputs(out_script[piece], piece.start, low, high, fill, 0, outputs)
        outputs_out.write(outputs)
        base += count
    return {"out_start": start_out.done(), "outputs": outputs_out.done()}


def _script_ranges(n_scripts: int, n_out: int, budget: int) -> Iterator[Range]:
    """Ranges of scripts whose counts and outputs fit the budget, if outputs were spread evenly."""
    each = 8 * (1 + n_out / max(n_scripts, 1))
    step = max(1024, int(budget / each))
    for low in range(0, n_scripts, step):
        yield low, min(low + step, n_scripts)


def _slices(end: int, start: int = 0) -> Iterator[slice]:
    for first in range(start, end, 1 << 22):
        yield slice(first, min(first + (1 << 22), end))


def _outputs_of_few(folder: Path, out_script: Array, n_scripts: int, outs: Range, budget: int) -> dict[str, Any]:
    """The outputs of an appended range by script: of all scripts at once where that fits the budget."""
    step = max(1, n_scripts // (1 + _BYTES_TO_SORT * (outs[1] - outs[0]) // max(budget, 1)) + 1)
    files = {
        "out_scripts": _Output(folder, "out_scripts", np.dtype("<u4")),
        "out_start": _Output(folder, "out_start", np.dtype("<u4")),
        "outputs": _Output(folder, "outputs", row_dtype(outs[1])),
    }
    done = 0
    for low in range(0, n_scripts, step):
        high = min(low + step, n_scripts)
        pieces = ((piece.start, out_script[piece]) for piece in _slices(outs[1], outs[0]))
        rows = np.concatenate([first + np.flatnonzero((paid >= low) & (paid < high)) for first, paid in pieces])
        order = np.argsort(out_script[rows], kind="stable")
        scripts, start = np.unique(out_script[rows][order], return_index=True)
        files["out_scripts"].write(scripts)
        files["out_start"].write(start + done)
        files["outputs"].write(rows[order])
        done += len(rows)
    files["out_start"].write(np.array([done]))
    return {name: file.done() for name, file in files.items()}


def spenders(
    in_prevout: Array, first_input: int, outs: Range, dtype: np.dtype[Any], budget: int, write: Callable[[Array], None]
) -> None:
    """Write `out_spender` of outputs `outs`, front to back: the input that spends each, or `unspent(dtype)`.

    `in_prevout` are the rows from `first_input` on.

    Raises `SpentTwice` where one is spent twice.
    """
    free = np.iinfo(dtype).max
    step = max(1024, budget // dtype.itemsize)
    for low in range(outs[0], outs[1], step):
        high = min(low + step, outs[1])
        part = np.full(high - low, free, dtype)
        for piece in _slices(len(in_prevout)):
            twice = kernels.scatter_spenders(in_prevout[piece], first_input + piece.start, low, high, part, free)
            if twice >= 0:
                raise SpentTwice(twice)
        write(part)
