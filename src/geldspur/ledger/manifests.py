"""The files that say what a ledger is: its manifest, and what stands while a build is under way."""

import fcntl
import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin.networks import NETWORKS
from geldspur.errors import GeldspurError, disk_todo
from geldspur.ledger.columns import AGAIN, read_json, write_json
from geldspur.ledger.layout import COLUMNS, FORMAT, RUN_TYPES, SCHEMA, SPENDER, Axis, Column

COUNT_NAMES: dict[Axis, str] = {
    "block": "blocks", "tx": "transactions", "in": "inputs", "out": "outputs", "script": "scripts",
    "payload": "payload_bytes", "edge": "edges",
}  # fmt: skip


_KEYED = ("tx", "script")
_MARK = "unfinished.json"
BEFORE = "manifest.before.json"
"""The manifest of a ledger that is being changed in place."""


def is_ledger(folder: Path) -> bool:
    """Does the folder hold a ledger of ours, finished or not? Nothing else in the world may be written to."""
    return any(_is_ours(folder / name) for name in ("manifest.json", BEFORE, _MARK))


def _is_ours(path: Path) -> bool:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and content.get("format") == FORMAT


def is_vacant(folder: Path) -> bool:
    """Is there nothing yet, or no more than the beginning of a mark?"""
    return not folder.exists() or (
        folder.is_dir() and all(path.name == f".{_MARK}.partial" for path in folder.iterdir())
    )


def mark_unfinished(folder: Path) -> None:
    """Mark a folder as ours before anything else is put into it."""
    replace_json(folder / _MARK, {"format": FORMAT, "schema": SCHEMA})


def unmark(folder: Path) -> None:
    """The first build has ended."""
    (folder / _MARK).unlink(missing_ok=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """A finished ledger's manifest; GeldspurError where there is none, or one of another version."""
    path = folder / "manifest.json"
    if not path.is_file():
        begun = is_ledger(folder)
        raise GeldspurError(
            f"{folder} holds no finished ledger{' (a build of it was begun)' if begun else ''}",
            todo=AGAIN if begun else "make one with: geldspur index BLOCKS --ledger DIR",
        )
    manifest = read_json(path, "the ledger's manifest")
    if manifest.get("format") != FORMAT:
        raise GeldspurError(
            f"{folder} holds no ledger: its manifest.json is something else's",
            where=str(path),
            todo="give the folder that `geldspur index --ledger` made",
        )
    if manifest.get("schema") != SCHEMA:
        raise GeldspurError(
            f"this ledger was written by another version (schema {manifest.get('schema')}; "
            f"this program reads {SCHEMA})",
            where=str(path),
            todo="remove its folder and build it again with: geldspur index BLOCKS --ledger DIR",
        )
    if (fault := _fault(manifest)) is not None:
        raise GeldspurError(
            f"the ledger's manifest is damaged: {fault}",
            where=str(path),
            todo="geldspur doctor tells more; remove the ledger's folder and index again",
        )
    return manifest


def _fault(manifest: dict[str, Any]) -> str | None:
    """What of a manifest's form would mislead whoever opens its columns; None where nothing does."""
    heights: Any = manifest.get("heights")
    counts, columns, runs = (manifest.get(name) for name in ("counts", "columns", "runs"))
    if not isinstance(manifest.get("network"), str) or manifest["network"] not in NETWORKS:
        return "its network is unknown"
    if not is_span(heights, 1 << 32):
        return "its heights"
    names = set(COUNT_NAMES.values())
    if not isinstance(counts, dict) or set(counts) != names or not all(map(is_count, counts.values())):
        return "its counts"
    if heights[1] - heights[0] + 1 != counts["blocks"]:
        return "its heights are not so many blocks as it counts"
    if not isinstance(manifest.get("tip_hash"), str) or not re.fullmatch("[0-9a-f]{64}", manifest["tip_hash"]):
        return "its tip_hash"
    pairs = manifest.get("overwritten")
    if not isinstance(pairs, list) or not all(is_pair(pair, counts["transactions"]) for pair in pairs):
        return "its list of overwritten transactions"
    if not isinstance(columns, dict) or set(columns) != set(COLUMNS):
        return "its list of columns"
    rows = {axis: counts[name] for axis, name in COUNT_NAMES.items()}
    wrong = sorted(name for name, column in COLUMNS.items() if not _is_entry(columns[name], column, rows))
    if wrong:
        return f"the entry of the column {wrong[0]}"
    if not isinstance(runs, list) or not runs or not all(map(_is_run, runs)):
        return "its list of look-up runs"
    for axis, count in (("txs", "transactions"), ("scripts", "scripts"), ("outs", "outputs")):
        if [0, *(run[axis][1] for run in runs)] != [*(run[axis][0] for run in runs), counts[count]]:
            return f"its look-up runs don't follow one another to the last of the {count}"
    return None


def is_count(value: Any, limit: int = 1 << 62) -> bool:
    """Is it a whole number from 0 to below `limit`?"""
    return type(value) is int and 0 <= value < limit


def is_span(value: Any, limit: int = 1 << 62) -> bool:
    """Is it a pair of such numbers that does not descend?"""
    return isinstance(value, list) and len(value) == 2 and all(is_count(v, limit) for v in value) and (
        value[0] <= value[1]
    )  # fmt: skip


def is_pair(value: Any, n_tx: int) -> bool:
    """Is it the rows of a transaction and of an earlier one that it overwrote?"""
    return isinstance(value, list) and len(value) == 2 and all(map(is_count, value)) and value[1] < value[0] < n_tx


def _is_entry(entry: Any, column: Column, rows: dict[Axis, int]) -> bool:
    """Has a column's entry the type and shape that the counts ask for?"""
    if not isinstance(entry, dict):
        return False
    types = ("<u4", "<u8") if column.points_at is not None else (np.dtype(column.dtype).str,)
    length = rows[column.axis] + column.offsets
    shape = [length, column.width] if column.width > 1 else [length]
    sums = entry.get("xxh3_128", None if column is not SPENDER else [])
    dtype = entry.get("dtype")
    return (
        isinstance(dtype, str) and dtype in types and entry.get("shape") == shape
        and isinstance(sums, list) and all(isinstance(s, str) for s in sums)
    )  # fmt: skip


def is_run_column(name: str, entry: Any) -> bool:
    """Has a look-up column's entry the right form?"""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "xxh3_128"}:
        return False
    if entry["dtype"] not in RUN_TYPES[name] or not isinstance(entry["xxh3_128"], str):
        return False
    return isinstance(entry["shape"], list) and len(entry["shape"]) == 1 and is_count(entry["shape"][0])


def _is_run(run: Any) -> bool:
    if not isinstance(run, dict) or not isinstance(run.get("name"), str) or not isinstance(run.get("columns"), dict):
        return False
    key: Any = run.get("key")
    spans: list[Any] = [run.get(name) for name in ("heights", "txs", "scripts", "outs")]
    if not isinstance(key, list) or len(key) != 2 or not all(is_count(word, 1 << 64) for word in key):
        return False
    if not all(is_span(span) for span in spans) or run["name"] != f"{spans[0][0]}-{spans[0][1]}-{key[0]:016x}":
        return False
    columns = run["columns"]
    well_formed = set(columns) | {"out_scripts"} == set(RUN_TYPES) and all(
        is_run_column(name, entry) for name, entry in columns.items()
    )
    return well_formed and all(columns[f"{axis}_order"]["shape"] == columns[f"{axis}_tag"]["shape"] for axis in _KEYED)


def identity(manifest: dict[str, Any]) -> str:
    """SHA-256 over what the ledger holds. How its look-ups are cut into runs is left out."""
    content = {name: value for name, value in manifest.items() if name != "runs"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def counts_of(manifest: dict[str, Any]) -> dict[str, int]:
    """Rows by axis."""
    return {axis: int(manifest["counts"][name]) for axis, name in COUNT_NAMES.items()}


def types_of(manifest: dict[str, Any]) -> dict[str, str]:
    """Element types by column."""
    return {name: entry["dtype"] for name, entry in manifest["columns"].items()}


def replace_json(path: Path, content: Any) -> None:
    """Write JSON whole or not at all, and have the disk hold it."""
    partial = path.parent / f".{path.name}.partial"
    try:
        write_json(partial, content)
        handle = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise GeldspurError(
            f"writing {path} failed: {error.strerror}",
            todo=disk_todo(error, then=AGAIN),
        ) from error


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Only one process at a time changes a ledger; GeldspurError where another one does."""
    folder.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise GeldspurError(
                "another command is changing this ledger", where=str(folder), todo="wait until it has ended"
            ) from error
        yield
    finally:
        os.close(handle)
