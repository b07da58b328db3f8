"""Turning a draft into a ledger: what is derived, checksums, and the manifest that makes it count.

A ledger is what its manifest says: rows behind the manifest's counts don't exist, and are overwritten by the
next build. What a build changes in place is `out_spender` of older outputs, and the width of columns. While that is
under way the manifest stands aside, so that nobody reads what is half done, and `pending.json` tells how to take a
killed build's marks back.
"""

import filecmp
import os
import shutil
from collections.abc import Container, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash

from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError, disk_todo
from geldspur.ledger import manifests
from geldspur.ledger.columnfile import Array, ColumnFile
from geldspur.ledger.columns import AGAIN, open_column
from geldspur.ledger.keyedhash import key_of
from geldspur.ledger.layout import COLUMNS, FORMAT, PRIMARY, SCHEMA, SEGMENT, Column, gone, row_dtype, unspent
from geldspur.ledger.lookup.make import Primary, SpentTwice, make_run, spenders
from geldspur.ledger.lookup.open import write_parts
from geldspur.ledger.manifests import replace_json

_BOUNDS = ("block_tx", "block_script", "tx_in", "tx_out", "script_at")
"""The columns that `segment_bounds` looks at."""

Manifest = dict[str, Any]
Counts = Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Head:
    """Which chain a ledger holds."""

    network: Network
    first_height: int
    tip_height: int
    tip_hash: bytes


@contextmanager
def clear_errors(ledger: Path) -> Iterator[None]:
    """Whatever the disk refuses (to grow, to hold, to rename) becomes a `GeldspurError`."""
    try:
        yield
    except OSError as error:
        raise GeldspurError(
            f"writing the ledger failed: {error.strerror or error}",
            where=str(error.filename or ledger),
            todo=disk_todo(error, then=AGAIN),
        ) from error


def begin_change(ledger: Path, change: dict[str, Any]) -> None:
    """From here on the ledger is not finished, until `end_change`; `change` tells `recover` what was begun."""
    replace_json(ledger / "pending.json", change)
    (ledger / "manifest.json").rename(ledger / manifests.BEFORE)
    sync(ledger)


def end_change(ledger: Path, manifest: Manifest | None = None) -> None:
    """What the manifest says is there: make it count (None: it does already)."""
    if manifest is not None:
        replace_json(ledger / "manifest.json", manifest)
        sync(ledger)
    (ledger / "pending.json").unlink(missing_ok=True)
    (ledger / manifests.BEFORE).unlink(missing_ok=True)


def open_primary(folder: Path, dtypes: Mapping[str, str], counts: Counts, names: tuple[str, ...]) -> dict[str, Array]:
    """Map primary columns (and `out_spender`) read-only, as many rows as `counts` says."""
    return {
        name: open_column(folder, name, {"dtype": dtypes[name], "shape": shape_of(COLUMNS[name], counts)})
        for name in names
    }


def shape_of(column: Column, counts: Counts) -> list[int]:
    """A column's shape in a ledger of these counts."""
    rows = counts[column.axis] + (1 if column.offsets else 0)
    return [rows, column.width] if column.width > 1 else [rows]


def bytes_of(dtype: str, shape: list[int]) -> int:
    """Bytes of a column of this type and shape."""
    return int(np.prod(shape)) * np.dtype(dtype).itemsize


def settle_types(folder: Path, counts: Counts, which: tuple[Column, ...] = PRIMARY) -> dict[str, str]:
    """Give each column of row numbers the narrowest type that its counts allow; returns all types.

    The columns must be closed: their sizes tell which type each has, also after a kill in the middle of this.
    """
    types = {}
    for column in which:
        wanted = column.dtype_for(counts[column.points_at] if column.points_at else 0)
        types[column.name] = wanted.str
        if column.points_at is not None:
            path = folder / f"{column.name}.bin"
            rows = shape_of(column, counts)[0]
            if rows and path.stat().st_size != rows * wanted.itemsize:
                retype(path, np.dtype("<u4" if wanted.itemsize == 8 else "<u8"), wanted, rows)
    return types


def retype(path: Path, old: np.dtype[Any], new: np.dtype[Any], rows: int) -> None:
    """Rewrite a column of row numbers with another width."""
    retype_copy(path, old, new, rows).rename(path)


def retype_copy(path: Path, old: np.dtype[Any], new: np.dtype[Any], rows: int) -> Path:
    """Write a column with another width beside it; sentinels stay the highest values of their type."""
    source = np.memmap(path, old, "r", shape=(rows,))
    partial = path.with_suffix(".partial")
    target = ColumnFile(partial, new, 1, 0)
    for first in range(0, rows, 1 << 22):
        part = source[first : first + (1 << 22)]
        values = part.astype(new)
        for sentinel in (unspent, gone):
            values[part == sentinel(old)] = sentinel(new)
        target.append(values)
    target.close(sync=True)
    return partial


def write_spenders(folder: Path, types: dict[str, str], counts: Counts, start: Counts, budget: int) -> None:
    """Write `out_spender` of the range's own outputs: all of them spent, if at all, by the range's inputs."""
    # An append goes on with the type that the column has, which may have been widened for more than came.
    dtype = np.dtype(types.setdefault("out_spender", row_dtype(counts["in"]).str))
    prevout = open_primary(folder, types, counts, ("in_prevout",))["in_prevout"]
    column = ColumnFile(folder / "out_spender.bin", dtype, 1, start["out"])
    try:
        first = start["in"]
        spenders(prevout[first:], first, (start["out"], counts["out"]), dtype, budget, column.append)
    except SpentTwice as twice:
        raise _double_spend(folder, types, counts, twice.input_row) from None
    finally:
        column.close()


def refuse_spent(folder: Path, types: Mapping[str, str], counts: Counts, start: Counts) -> None:
    """`GeldspurError` where the range's inputs spend an output from before it that was spent, or do so twice.

    It changes nothing: marks that were made before the fault was met would be taken back from their owners.
    """
    for inputs, outputs in older_links(folder, types, counts, start):
        spender = _spender_column(folder, types, counts)
        taken = np.flatnonzero(spender[outputs] != unspent(spender.dtype))
        twice = int(inputs[taken[0]]) if len(taken) else _first_repeated(inputs, outputs)
        if twice is not None:
            raise _double_spend(folder, types, counts, twice)


def _double_spend(folder: Path, types: Mapping[str, str], counts: Counts, row: int) -> GeldspurError:
    columns = open_primary(folder, types, counts, ("tx_in", "tx_id"))
    tx_in = columns["tx_in"]
    tx = int(np.searchsorted(tx_in, tx_in.dtype.type(row), side="right")) - 1
    return GeldspurError(
        "an input spends an output that was spent before",
        where=f"input {row - int(tx_in[tx])} of transaction {columns['tx_id'][tx].tobytes()[::-1].hex()}",
        todo="the block files don't hold one valid chain: copy them again from the node",
    )


def spend_older(folder: Path, types: Mapping[str, str], counts: Counts, start: Counts) -> None:
    """Mark the range's inputs as spenders of outputs from before it; may be done twice.

    It is the caller who has the disk hold it.
    """
    for inputs, outputs in older_links(folder, types, counts, start):
        _spender_column(folder, types, counts)[outputs] = inputs


def unspend_older(folder: Path, types: Mapping[str, str], counts: Counts, start: Counts) -> None:
    """Take back what `spend_older` marked."""
    for _, outputs in older_links(folder, types, counts, start):
        spender = _spender_column(folder, types, counts)
        spender[outputs] = unspent(spender.dtype)
        spender.flush()


def _first_repeated(inputs: Array, outputs: Array) -> int | None:
    order = np.argsort(outputs, kind="stable")
    repeated = np.flatnonzero(np.diff(outputs[order].astype(np.int64)) == 0)
    return int(inputs[order[repeated + 1]].min()) if len(repeated) else None


def _spender_column(folder: Path, types: Mapping[str, str], counts: Counts) -> Any:
    return np.memmap(folder / "out_spender.bin", np.dtype(types["out_spender"]), "r+", shape=(counts["out"],))


def older_links(folder: Path, types: Mapping[str, str], counts: Counts, start: Counts) -> list[tuple[Array, Array]]:
    """(input rows, older output rows that they spend) of the range; nothing where there are none."""
    prevout = open_primary(folder, types, counts, ("in_prevout",))["in_prevout"][start["in"] :]
    which = np.flatnonzero(prevout < start["out"])
    return [(which + start["in"], prevout[which])] if len(which) else []


def mark_gone(
    folder: Path, types: Mapping[str, str], counts: Counts, overwritten: list[list[int]], back: bool = False
) -> None:
    """Outputs of transactions that a later one of the same id overwrote can never be spent (BIP30)."""
    if not overwritten:
        return
    tx_out = open_primary(folder, types, counts, ("tx_out",))["tx_out"]
    spender = _spender_column(folder, types, counts)
    free, lost = unspent(spender.dtype), gone(spender.dtype)
    for _, earlier in overwritten:
        part = spender[int(tx_out[earlier]) : int(tx_out[earlier + 1])]
        part[part == (lost if back else free)] = free if back else lost
    spender.flush()


def run_of_range(
    ledger: Path,
    types: Mapping[str, str],
    counts: Counts,
    start: Counts,
    heights: tuple[int, int],
    tip: bytes,
    budget: int,
) -> dict[str, Any]:
    """Make the look-up run of the rows from `start` on, named by the blocks that it covers."""
    name = f"{heights[0]}-{heights[1]}-{tip[::-1].hex()[-16:]}"
    names = ("tx_id", "script_type", "script_at", "script_payload", "out_script")
    primary = Primary(**open_primary(ledger / "columns", types, counts, names))
    folder = ledger / "lookup" / f".{name}.partial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ranges = [(start[axis], counts[axis]) for axis in ("tx", "script", "out")]
    entry = make_run(folder, primary, key_of(tip), ranges[0], ranges[1], ranges[2], budget)
    write_parts(folder, entry)
    place = ledger / "lookup" / name
    if place.is_dir() and _same_files(folder, place):  # the same rows under the same key, perhaps in use
        shutil.rmtree(folder)
    else:  # what is there was damaged
        shutil.rmtree(place, ignore_errors=True)
        folder.rename(place)
    sync(place)
    sync(ledger / "lookup")
    return {"name": name, "heights": list(heights), **entry}


def _same_files(a: Path, b: Path) -> bool:
    names = sorted(path.name for path in a.iterdir())
    if names != sorted(path.name for path in b.iterdir()):
        return False
    return all(filecmp.cmp(a / name, b / name, shallow=False) for name in names)


def checksums(
    folder: Path, types: Mapping[str, str], counts: Counts, first_height: int, old: Mapping[str, list[str]], keep: int,
    names: Container[str] = COLUMNS,
) -> dict[str, list[str]]:  # fmt: skip
    """Checksums of every primary column, one a segment of a thousand heights; the first `keep` are taken from `old`.

    Of those in `names` alone, where given.
    """
    bounds = segment_bounds(open_primary(folder, types, counts, _BOUNDS), counts, first_height)
    result: dict[str, list[str]] = {}
    for column in (column for column in PRIMARY if column.name in names):
        # Mapped one at a time: together they would count as memory of this process, all of them.
        data = open_primary(folder, types, counts, (column.name,))[column.name]
        rows = bounds[column.axis]
        digests = list(old.get(column.name, [])[:keep])
        for first, end in zip(rows[len(digests) : -1], rows[len(digests) + 1 :], strict=True):
            digests.append(digest(data[first : end + (1 if column.offsets else 0)]))
        result[column.name] = digests
    return result


def refuse_damaged(
    ledger: Path, manifest: Manifest, below: int | None = None, names: tuple[str, ...] | None = None
) -> None:
    """Raise `GeldspurError` where segments whose checksums are about to be made anew don't have those they had.

    Else damage that came since would be given checksums of its own, and `doctor` would call it sound. Looked at are
    the segments that hold height `below` (the first that goes, or comes) or later ones; all of them without it. `names`
    of columns leave out all others.
    """
    first, counts = manifest["heights"][0], manifests.counts_of(manifest)
    keep = 0 if below is None else below // SEGMENT - first // SEGMENT
    old = {
        name: entry["xxh3_128"]
        for name, entry in manifest["columns"].items()
        if "xxh3_128" in entry and (names is None or name in names)
    }
    try:
        found = checksums(ledger / "columns", manifests.types_of(manifest), counts, first, old, keep, old)
    except (IndexError, ValueError):  # columns of first rows that lead out of others
        found = {}
    damaged = [name for name in old if found.get(name) != old[name]]
    if damaged:
        raise GeldspurError(
            f"columns of the ledger are damaged, and nothing was changed: {', '.join(damaged)}",
            where=str(ledger / "columns"),
            todo="geldspur doctor tells where; remove the ledger's folder and index again",
        )


def digest(rows: Array) -> str:
    """The checksum of rows: XXH3, 128 bits, of their bytes."""
    return xxhash.xxh3_128(np.ascontiguousarray(rows).reshape(-1).view(np.uint8).data).hexdigest()


def segment_bounds(columns: Mapping[str, Array], counts: Counts, first_height: int) -> dict[str, list[int]]:
    """For each axis the rows at which segments begin, and where the last one ends."""
    n = counts["block"]
    inner = range(-(-(first_height + 1) // SEGMENT) * SEGMENT - first_height, n, SEGMENT)
    blocks = np.array([0, *inner, n] if n else [0, 0], np.int64)
    txs = np.asarray(columns["block_tx"])[blocks]
    scripts = np.asarray(columns["block_script"])[blocks]
    scripts[0] = 0
    bounds = {
        "block": blocks, "tx": txs, "in": np.asarray(columns["tx_in"])[txs], "out": np.asarray(columns["tx_out"])[txs],
        "script": scripts, "payload": np.asarray(columns["script_at"])[scripts],
        "edge": np.append(0, np.full(len(blocks) - 1, counts["edge"])),
    }  # fmt: skip
    bounds["out"][0] = 0
    return {axis: [int(row) for row in rows] for axis, rows in bounds.items()}


def manifest_of(
    head: Head,
    counts: Counts,
    types: Mapping[str, str],
    sums: Mapping[str, list[str]],
    runs: list[dict[str, Any]],
    overwritten: list[list[int]],
) -> Manifest:
    """The manifest of a ledger."""
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "network": head.network.name,
        "heights": [head.first_height, head.tip_height],
        "tip_hash": head.tip_hash[::-1].hex(),
        "counts": {manifests.COUNT_NAMES[axis]: int(counts[axis]) for axis in manifests.COUNT_NAMES},
        "columns": {
            name: {"dtype": types[name], "shape": shape_of(COLUMNS[name], counts)}
            | ({"xxh3_128": sums[name]} if name in sums else {})
            for name in sorted(COLUMNS)
        },
        "overwritten": overwritten,
        "runs": runs,
    }  # fmt: skip


def remove_unused_runs(ledger: Path, manifest: Manifest) -> None:
    """Delete the runs that the manifest no longer names."""
    used = {run["name"] for run in manifest["runs"]}
    for folder in (ledger / "lookup").glob("*"):
        if folder.name not in used:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def syncing_columns(folder: Path) -> Iterator[None]:
    """Have the disk hold what was written, before a manifest says that it is there.

    The disk writes while the body works, which changes no column; at its end all is there.
    """
    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(_sync_columns, folder)
        yield
        written.result()


def _sync_columns(folder: Path) -> None:
    for path in sorted(folder.glob("*.bin")):
        sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Have the disk hold a file's bytes, or which entries a folder has."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
