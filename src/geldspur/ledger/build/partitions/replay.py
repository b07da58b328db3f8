"""Replaying what the partitions found, in ledger order, into columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.ledger.build import kernels as linking
from geldspur.ledger.build.partitions import kernels
from geldspur.ledger.columnfile import Array, ColumnFile
from geldspur.ledger.columns import open_column
from geldspur.progress import Task

_ROWS = 1 << 20
_PAYLOAD = 32 << 20
Counts = Mapping[str, int]
Streams = Mapping[str, list[int]]


@dataclass(slots=True)
class ReplayFault(Exception):
    """An input that spends nothing known: why, and its row."""

    reason: int
    input_row: int


def _mapped(path: Path, dtype: str, rows: int) -> Array:
    return open_column(path.parent, path.stem, {"dtype": dtype, "shape": [rows]})


def replay_inputs(
    work: Path, columns: Path, dtypes: Mapping[str, str], counts: Counts, streams: Streams,
    twins: list[list[int]], task: Task,
) -> None:  # fmt: skip
    """Write `in_prevout`. Raises `ReplayFault`."""
    sizes = [size // kernels.RECORD for size in streams["in"]]
    cursor = np.cumsum([0, *sizes])[:-1].astype(np.int64)
    answers = _mapped(work / "answers.bin", "<u8", sum(sizes))
    part = _mapped(work / "in_part.bin", "u1", counts["in"])
    tx_in = _mapped(columns / "tx_in.bin", dtypes["tx_in"], counts["tx"] + 1)
    tx_out = _mapped(columns / "tx_out.bin", dtypes["tx_out"], counts["tx"] + 1)
    pairs = np.array(twins, np.int64).reshape(-1, 2)
    new, old = pairs[:, 0].copy(), pairs[:, 1].copy()
    target = ColumnFile(columns / "in_prevout.bin", np.dtype(dtypes["in_prevout"]), 1, 0)
    try:
        first = 0
        while first < counts["tx"]:
            wanted = int(tx_in[first]) + _ROWS
            end = int(np.searchsorted(tx_in, tx_in.dtype.type(wanted), side="right")) - 1
            end = min(max(end, first + 1), counts["tx"])
            low, high = int(tx_in[first]), int(tx_in[end])
            prevout, found = np.empty(high - low, np.uint64), np.empty(high - low, np.uint64)
            fault, at = kernels.replay_inputs(
                part[low:high], answers, cursor, tx_in, first, end, tx_out, new, old, found, prevout
            )
            if fault != linking.OK:
                raise ReplayFault(fault, low + int(at))
            target.append(prevout.astype(target.dtype))
            task.advance(high - low)
            first = end
    finally:
        target.close()


def replay_scripts(
    work: Path, columns: Path, dtypes: Mapping[str, str], counts: Counts, streams: Streams, known: list[int],
    budget: int, task: Task,
) -> dict[str, int]:  # fmt: skip
    """Write `out_script`, the scripts' columns and `block_script`; returns how many scripts and payload bytes.

    Ids beyond `budget` bytes of memory lie in a file. Each partition's are used front to back but for repeats.
    """
    cursor = np.cumsum([0, *streams["out_rows"]])[:-1].astype(np.int64)
    blob_cursor = np.cumsum([0, *streams["out"]])[:-1].astype(np.int64)
    base = np.cumsum([0, *known])[:-1].astype(np.int64)
    local = _mapped(work / "local.bin", "<u4", sum(streams["out_rows"]))
    blob = _mapped(work / "blob.bin", "u1", sum(streams["out"]))
    part = _mapped(work / "out_part.bin", "u1", counts["out"])
    ids = _ids(work, sum(known), budget)
    files = {n: _column(columns, n, dtypes) for n in ("out_script", "script_type", "script_at", "script_payload")}
    files["script_at"].append(np.zeros(1, np.int64))
    out_script, new_type = np.empty(_ROWS, np.uint32), np.empty(_ROWS, np.uint8)
    new_at, new_payload = np.empty(_ROWS + 1, np.int64), np.empty(_PAYLOAD, np.uint8)
    first = 0
    try:
        while first < counts["out"]:
            count = min(_ROWS, counts["out"] - first)
            done, new = kernels.replay_outputs(
                part[first : first + count], count, local, cursor, blob, blob_cursor, ids, base,
                files["script_type"].rows, out_script, new_type, new_at, new_payload,
            )  # fmt: skip
            files["out_script"].append(out_script[:done])
            files["script_at"].append(new_at[1 : new + 1] + files["script_payload"].rows)
            files["script_type"].append(new_type[:new])
            files["script_payload"].append(new_payload[: new_at[new]])
            first += done
            task.advance(done)
        found = {"script": files["script_type"].rows, "payload": files["script_payload"].rows}
    finally:
        for file in files.values():
            file.close()
    _write_block_scripts(columns, dtypes, counts)
    return found


def _ids(work: Path, rows: int, budget: int) -> Array:
    if 4 * rows <= budget:
        return np.empty(rows, np.uint32)
    return np.asarray(np.memmap(work / "ids.bin", np.uint32, "w+", shape=(rows,)))


def _column(columns: Path, name: str, dtypes: Mapping[str, str]) -> ColumnFile:
    return ColumnFile(columns / f"{name}.bin", np.dtype(dtypes[name]), 1, 0)


def _write_block_scripts(columns: Path, dtypes: Mapping[str, str], counts: Counts) -> None:
    def mapped(name: str, rows: int) -> Any:
        return _mapped(columns / f"{name}.bin", dtypes[name], rows)

    bounds = mapped("tx_out", counts["tx"] + 1)[mapped("block_tx", counts["block"] + 1)[1:]].astype(np.int64)
    seen = np.empty(counts["block"], np.int64)
    kernels.scripts_after_blocks(mapped("out_script", counts["out"]), 0, bounds, 0, seen)
    target = _column(columns, "block_script", dtypes)
    target.append(np.zeros(1, np.int64))
    target.append(seen)
    target.close()
