"""Do the columns' bytes still have the checksums that the manifest gives?

All is read with plain reads, so that a disk that fails is a finding and not the end of the program.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import xxhash

from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor.linksums import LinkSums
from geldspur.ledger.doctor.report import COMPACT, INDEX_AGAIN, Findings, Place
from geldspur.ledger.doctor.structure import RunFound, Store, segments
from geldspur.ledger.layout import PRIMARY, SEGMENT, Axis, Column
from geldspur.progress import Progress, Task

_PIECE = 1 << 24
Bounds = list[int | None]
See = Callable[[bytes, int], None]
"""Takes a piece of a column, and at which byte it begins."""
_BOUNDED_BY: dict[Axis, tuple[str, Axis]] = {
    "tx": ("block_tx", "block"),
    "in": ("tx_in", "tx"),
    "out": ("tx_out", "tx"),
    "script": ("block_script", "block"),
    "payload": ("script_at", "script"),
}
"""Whose elements, at which axis' bounds, say where an axis' segments begin."""


def check(store: Store, findings: Findings, progress: Progress, links: LinkSums | None = None) -> None:
    """Compare every segment of every primary column, and every look-up. Columns that can't be read are dropped.

    With `links`, `out_spender`, which has no checksum, is compared with the inputs: both are read here anyway.
    """
    bounds: dict[Axis, Bounds] = {"block": _block_bounds(store), "edge": [0, *[store.counts["edge"]] * segments(store)]}
    good: dict[str, list[bool]] = {}
    with progress.task("Comparing checksums", _bytes(store), "B") as task:
        # In this order each column comes after those that say where its segments begin.
        names = ["block_tx", "block_script", "tx_in", "tx_out", "script_at"]
        for column in sorted(PRIMARY, key=lambda c: names.index(c.name) if c.name in names else len(names)):
            if column.axis not in bounds:
                bounds[column.axis] = _bounds(store, column.axis, bounds, good)
            see = links.see_inputs if links is not None and column.name == "in_prevout" else None
            good[column.name] = _check_column(store, column, bounds[column.axis], findings, task, see)
        _read_spenders(store, findings, task, links.see_spenders if links is not None else None)
        if links is not None:
            links.compare(findings, all(good["in_prevout"]))
        for run in store.runs:
            for name in sorted(run.columns):
                _check_look_up(store, run, name, findings, task)


def _bytes(store: Store) -> int:
    arrays = [*store.columns.values(), *(array for run in store.runs for array in run.columns.values())]
    return sum(array.nbytes for array in arrays)


def _block_bounds(store: Store) -> Bounds:
    first, n = store.first_height, store.counts["block"]
    return [0, *range((first // SEGMENT + 1) * SEGMENT - first, n, SEGMENT), n]


def _bounds(store: Store, axis: Axis, bounds: dict[Axis, Bounds], good: dict[str, list[bool]]) -> Bounds:
    """Where an axis' segments begin and the last ends; None where a damaged column would have told.

    An element at a bound is covered by the checksums of the segments on both of its sides: one good one is enough.
    """
    name, by = _BOUNDED_BY[axis]
    if by not in bounds:
        bounds[by] = _bounds(store, by, bounds, good)
    inner: Bounds = []
    for k, row in enumerate(bounds[by][1:-1], start=1):
        known = row is not None and name in store.columns and (good[name][k - 1] or good[name][k])
        inner.append(int(store.columns[name][row]) if known else None)
    return [0, *inner, store.counts[axis]]


def _check_column(
    store: Store, column: Column, bounds: Bounds, findings: Findings, task: Task, see: See | None = None
) -> list[bool]:
    """Which segments are as they were written."""
    count = segments(store)
    sums = store.sums[column.name]
    if not store.has(column.name) or len(sums) != count:
        findings.skip(f"{column.name}: the column or its checksums are missing")
        return [False] * count
    good = []
    for k in range(count):
        first, end = bounds[k], bounds[k + 1]
        heights = (max(store.first_height, (store.first_height // SEGMENT + k) * SEGMENT),
                   min(store.tip_height, (store.first_height // SEGMENT + k + 1) * SEGMENT - 1))  # fmt: skip
        if first is None or end is None or not 0 <= first <= end <= store.counts[column.axis]:
            findings.skip(f"{column.name}, heights {heights[0]:,} to {heights[1]:,}: a damaged column says which rows")
            good.append(False)
            continue
        place = store.place(column.name, first, end + (1 if column.offsets else 0), heights)
        span = place.bytes or (0, 0)
        try:
            right = _digest(store.path(column.name), *span, task, see) == sums[k]
        except OSError as error:
            _drop(store.columns, column.name, error, store.path(column.name), INDEX_AGAIN, findings)
            return [False] * count
        if not right:
            store.damaged.add(column.name)
            where = Place(place.file, place.bytes, place.rows, heights, k)
            findings.damage(f"the column {column.name} is damaged: its checksum doesn't fit its bytes", where)
        good.append(right)
        findings.looked_at("segments", 1)
        findings.looked_at("bytes", span[1] - span[0])
    return good


def _digest(path: Path, first: int, end: int, task: Task, see: See | None = None) -> str:
    digest = xxhash.xxh3_128()
    for piece in _pieces(path, first, end):
        digest.update(piece)
        if see is not None:
            see(piece, first)
        first += len(piece)
        task.advance(len(piece))
    return digest.hexdigest()


def _pieces(path: Path, first: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(first)
        while first < end:
            piece = file.read(min(_PIECE, end - first))
            if not piece:
                raise OSError(5, "the file ends early")
            yield piece
            first += len(piece)


def _read_spenders(store: Store, findings: Findings, task: Task, see: See | None) -> None:
    """Read what has no checksum, because later checks map it: a failing disk would end the program there."""
    if store.has("out_spender"):
        try:
            _digest(store.path("out_spender"), 0, store.columns["out_spender"].nbytes, task, see)
        except OSError as error:
            _drop(store.columns, "out_spender", error, store.path("out_spender"), INDEX_AGAIN, findings)


def _check_look_up(store: Store, run: RunFound, name: str, findings: Findings, task: Task) -> None:
    path = run_path(store, run, name)
    try:
        right = _digest(path, 0, run.columns[name].nbytes, task) == run.entries[name]["xxh3_128"]
    except OSError as error:
        _drop(run.columns, name, error, path, COMPACT, findings)
        return
    findings.looked_at("look-ups", 1)
    if not right:
        findings.damage(f"the look-up {name} is damaged: its checksum doesn't fit its bytes", Place(str(path)), COMPACT)


def run_path(store: Store, run: RunFound, column: str) -> Path:
    """A look-up column's file."""
    return store.folder / "lookup" / run.name / f"{column}.bin"


def _drop(columns: dict[str, Array], name: str, error: OSError, path: Path, todo: str, findings: Findings) -> None:
    del columns[name]
    findings.damage(f"the column {name} can't be read: {error.strerror}", Place(str(path)), todo)
