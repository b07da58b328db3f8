"""Is the store's form right: its manifest, its files and their sizes?"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin.networks import NETWORKS, Network
from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor.report import COMPACT, INDEX_AGAIN, Findings, Place, Span
from geldspur.ledger.layout import COLUMNS, FORMAT, NARROW_LIMIT, SCHEMA, SEGMENT, SPENDER, Column
from geldspur.ledger.lookup import runs as lookup_runs
from geldspur.ledger.manifests import BEFORE, COUNT_NAMES, is_count, is_pair, is_run_column, is_span
from geldspur.ledger.parts import FOLDER, IN_RUN, file_of

Json = dict[str, Any]
FOLDERS = {"columns", "lookup", "source", "tags", "wallets", "export", FOLDER}
_HIGHEST = 1 << 32
_STRAYS = 20
_KEYS = {"format", "schema", "network", "heights", "tip_hash", "counts", "columns", "overwritten", "runs"}
_RUN_KEYS = {"name", "heights", "key", "txs", "scripts", "outs", "columns"}
RUN_AGAIN = "run the same geldspur index again: it puts this right"


@dataclass(slots=True)
class RunFound:
    """A look-up run whose entry has the right form, with those of its columns that can be read."""

    name: str
    heights: Span
    key: tuple[int, int]
    txs: Span
    scripts: Span
    outs: Span
    cut: bool
    entries: dict[str, Json]
    columns: dict[str, Array] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Can all of its columns be read?"""
        return set(self.columns) == set(self.entries)


@dataclass(slots=True)
class Store:
    """A ledger as far as it can be read. `columns` lacks those that are gone, short or unreadable."""

    folder: Path
    network: Network
    first_height: int
    tip_height: int
    tip_hash: str
    counts: dict[str, int]
    types: dict[str, str]
    sums: dict[str, list[str]]
    overwritten: list[list[int]]
    columns: dict[str, Array] = field(default_factory=dict)
    runs: list[RunFound] = field(default_factory=list)
    sound_offsets: set[str] = field(default_factory=set)
    damaged: set[str] = field(default_factory=set)
    """Columns whose bytes don't have their checksums."""

    def path(self, column: str) -> Path:
        """A column's file."""
        return self.folder / "columns" / f"{column}.bin"

    def has(self, *names: str) -> bool:
        """Can all of these columns be read?"""
        return all(name in self.columns for name in names)

    def missing(self, *names: str) -> list[str]:
        """Those of the columns that can't be used: unreadable, or offsets that don't ascend."""
        offsets = [n for n in names if COLUMNS[n].offsets and n not in self.sound_offsets]
        return sorted({n for n in names if n not in self.columns} | set(offsets))

    def unsure(self, *names: str) -> list[str]:
        """Those of the columns from which nothing can be derived: what would be compared with it isn't to blame."""
        return sorted({*self.missing(*names), *(name for name in names if name in self.damaged)})

    def place(self, column: str, first: int, end: int | None = None, heights: Span | None = None) -> Place:
        """The place of rows `first` to `end` (just the one without `end`) of a column."""
        end = first + 1 if end is None else end
        row_bytes = np.dtype(self.types[column]).itemsize * COLUMNS[column].width
        if heights is None:
            heights = self.heights_of(column, first, end)
        return Place(str(self.path(column)), (first * row_bytes, end * row_bytes), (first, end), heights)

    def heights_of(self, column: str, first: int, end: int) -> Span | None:
        """The heights whose blocks hold these rows, where the offsets can be trusted."""
        steps = {"block": (), "tx": ("block_tx",), "in": ("tx_in", "block_tx"), "out": ("tx_out", "block_tx"),
                 "script": ("block_script",)}.get(COLUMNS[column].axis)  # fmt: skip
        if steps is None or self.missing(*steps):
            return None
        rows = [first, max(first, end - 1)]
        for name in steps:
            offsets = self.columns[name]
            rows = [int(np.searchsorted(offsets, offsets.dtype.type(row), side="right")) - 1 for row in rows]
        low, high = (min(max(row, 0), max(self.counts["block"] - 1, 0)) + self.first_height for row in rows)
        return low, high


def look(folder: Path, findings: Findings) -> Store | None:
    """Check the form and open what can be opened; None where too little of the manifest is left to go on."""
    manifest_path = folder / "manifest.json"
    _look_for_unfinished(folder, manifest_path.is_file(), findings)
    if not manifest_path.is_file():
        findings.damage(
            "there is no manifest, so that this is no finished ledger",
            Place(str(manifest_path)),
            "make one, or go on with one that was begun: geldspur index BLOCKS --ledger DIR",
        )
        return None
    manifest = _read_manifest(manifest_path, findings)
    if manifest is None:
        return None
    store = _open_manifest(folder, manifest, findings)
    if store is None:
        return None
    _open_columns(store, manifest, findings)
    _open_runs(store, manifest, findings)
    _look_for_strays(store, manifest, findings)
    return store


def _look_for_unfinished(folder: Path, finished: bool, findings: Findings) -> None:
    if not finished and (folder / BEFORE).exists():
        findings.damage("a change of the ledger was stopped in the middle", Place(str(folder / BEFORE)), RUN_AGAIN)
    elif not finished and (folder / "build").exists():
        findings.damage("the ledger's first build has not ended", Place(str(folder / "build")), RUN_AGAIN)
    for name in (BEFORE, "pending.json", "unfinished.json", "build", ".source.old", ".source.partial"):
        if finished and (folder / name).exists():
            findings.note("a leftover of a build or a change that was stopped", Place(str(folder / name)), RUN_AGAIN)


def _read_manifest(path: Path, findings: Findings) -> Json | None:
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        findings.damage(f"the manifest can't be read: {error}", Place(str(path)))
        return None
    if not isinstance(content, dict):
        findings.damage("the manifest is no JSON object", Place(str(path)))
        return None
    if content.get("format") != FORMAT or content.get("schema") != SCHEMA:
        findings.damage(
            f"the manifest is of another version (schema {content.get('schema')!a}; this program reads {SCHEMA})",
            Place(str(path)),
        )
        return None
    if text != json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False) + "\n":
        findings.damage("the manifest is not written as this program writes one: it was changed", Place(str(path)))
    return content


def _open_manifest(folder: Path, manifest: Json, findings: Findings) -> Store | None:
    where = Place(str(folder / "manifest.json"))

    def wrong(what: str) -> None:
        findings.damage(f"the manifest's {what}", where)

    if set(manifest) != _KEYS:
        wrong(f"entries are not the right ones: {', '.join(sorted(set(manifest) ^ _KEYS))!a}")
    heights: Any = manifest.get("heights")
    counts, network = manifest.get("counts"), manifest.get("network")
    right = (
        isinstance(counts, dict) and set(counts) == set(COUNT_NAMES.values()) and all(map(is_count, counts.values()))
    )
    if not right:
        wrong("counts are damaged")
    if not is_span(heights) or heights[1] >= _HIGHEST:
        wrong("heights are damaged")
        return None
    if not isinstance(network, str) or network not in NETWORKS:
        wrong(f"network is none that is known: {network!a}")
        return None
    if not right or not isinstance(counts, dict):
        return None
    if heights[1] - heights[0] + 1 != counts["blocks"]:
        wrong(f"heights {heights[0]:,} to {heights[1]:,} are not its {counts['blocks']:,} blocks")
        return None
    tip_hash = manifest.get("tip_hash")
    if not isinstance(tip_hash, str) or not re.fullmatch("[0-9a-f]{64}", tip_hash):
        wrong("tip_hash is damaged")
        tip_hash = ""
    rows: dict[str, int] = {axis: counts[name] for axis, name in COUNT_NAMES.items()}
    overwritten = manifest.get("overwritten")
    if not isinstance(overwritten, list) or not all(is_pair(pair, rows["tx"]) for pair in overwritten):
        wrong("list of overwritten transactions is damaged")
        overwritten = []
    return Store(folder, NETWORKS[network], heights[0], heights[1], tip_hash, rows, {}, {}, overwritten)


def shape_of(column: Column, counts: dict[str, int]) -> list[int]:
    """A column's shape in a ledger of these counts."""
    rows = counts[column.axis] + (1 if column.offsets else 0)
    return [rows, column.width] if column.width > 1 else [rows]


def segments(store: Store) -> int:
    """How many checksums each primary column has."""
    return store.tip_height // SEGMENT - store.first_height // SEGMENT + 1


def _open_columns(store: Store, manifest: Json, findings: Findings) -> None:
    where = Place(str(store.folder / "manifest.json"))
    entries = manifest.get("columns")
    if not isinstance(entries, dict):
        findings.damage("the manifest's list of columns is damaged", where)
        entries = {}
    for name in sorted(set(entries) - set(COLUMNS)):
        findings.damage(f"the manifest names a column that this version doesn't know: {name!a}", where)
    for name, column in COLUMNS.items():
        entry = entries.get(name)
        dtypes = _dtypes(column, store.counts)
        sums = entry.get("xxh3_128", []) if isinstance(entry, dict) else []
        right = (
            isinstance(entry, dict)
            and entry.get("dtype") in dtypes
            and entry.get("shape") == shape_of(column, store.counts)
        )
        if isinstance(entry, dict):
            right = right and set(entry) == {"dtype", "shape"} | (set() if column is SPENDER else {"xxh3_128"})
        store.types[name] = entry["dtype"] if isinstance(entry, dict) and entry.get("dtype") in dtypes else dtypes[0]
        if not right:
            findings.damage(f"the manifest's entry of the column {name} is damaged or doesn't fit its counts", where)
        if column is not SPENDER:
            well_formed = isinstance(sums, list) and all(isinstance(s, str) for s in sums)
            store.sums[name] = sums if well_formed else []
            if len(store.sums[name]) != segments(store):
                findings.damage(f"the manifest doesn't have one checksum a segment for the column {name}", where)
        opened = open_file(store.path(name), store.types[name], shape_of(column, store.counts), INDEX_AGAIN, findings)
        if opened is not None:
            store.columns[name] = opened
            findings.looked_at("columns", 1)


def _dtypes(column: Column, counts: dict[str, int]) -> tuple[str, ...]:
    if column.points_at is None:
        return (np.dtype(column.dtype).str,)
    return ("<u4", "<u8") if counts[column.points_at] < NARROW_LIMIT else ("<u8",)


def open_file(path: Path, dtype: str, shape: list[int], todo: str, findings: Findings) -> Array | None:
    """Map a column's file, or tell why that can't be."""
    size = np.dtype(dtype).itemsize
    for length in shape:
        size *= length
    try:
        have = path.stat().st_size if path.is_file() else None
        if have is None:
            findings.damage(f"the column {path.stem} is missing", Place(str(path)), todo)
            return None
        if have < size:
            short = Place(str(path), (have, size))
            findings.damage(f"the column {path.stem} is cut off: {size:,} bytes expected, {have:,} found", short, todo)
            return None
        if have > size:
            what = f"the column {path.stem} has {have - size:,} bytes more than count: left by an append or a rollback"
            findings.note(what, Place(str(path), (size, have)), "geldspur compact --ledger DIR trims it")
        if size == 0:
            return np.empty(shape, dtype)
        return np.asarray(np.memmap(path, np.dtype(dtype), "r", shape=tuple(shape)))
    except (OSError, ValueError) as error:
        findings.damage(f"the column {path.stem} can't be opened: {error}", Place(str(path)), todo)
        return None


def _open_runs(store: Store, manifest: Json, findings: Findings) -> None:
    where = Place(str(store.folder / "manifest.json"))
    entries = manifest.get("runs")
    if not isinstance(entries, list) or not entries:
        findings.damage("the manifest's list of look-up runs is damaged", where, COMPACT)
        return
    ends = {"txs": 0, "scripts": 0, "outs": 0}
    for entry in entries:
        run = _run_of(entry)
        if run is None:
            findings.damage("the manifest's entry of a look-up run is damaged", where, COMPACT)
            continue
        for axis, end in ends.items():
            first, ends[axis] = getattr(run, axis)
            if first != end:
                what = f"the look-up run {run.name} begins at {axis} row {first:,}, not at {end:,}"
                findings.damage(what, where, COMPACT)
        folder = store.folder / "lookup" / run.name
        for name, column in run.entries.items():
            opened = open_file(folder / f"{name}.bin", column["dtype"], column["shape"], COMPACT, findings)
            if opened is not None:
                run.columns[name] = opened
                findings.looked_at("look-up columns", 1)
        store.runs.append(run)
    for axis, counted in (("txs", "tx"), ("scripts", "script"), ("outs", "out")):
        if ends[axis] != store.counts[counted]:
            what = f"the look-up runs end at {axis} row {ends[axis]:,} of {store.counts[counted]:,}"
            findings.damage(what, where, COMPACT)


def _run_of(entry: Any) -> RunFound | None:
    """A run's entry if its form is right: what it can't say, no other check needs to guard against."""
    if not isinstance(entry, dict) or set(entry) - {"cut"} != _RUN_KEYS or entry.get("cut", True) is not True:
        return None
    spans = [entry[name] for name in ("heights", "txs", "scripts", "outs")]
    key, columns = entry["key"], entry["columns"]
    if not all(map(is_span, spans)) or not isinstance(columns, dict) or not isinstance(key, list) or len(key) != 2:
        return None
    if not all(isinstance(word, int) and 0 <= word < 1 << 64 for word in key):
        return None
    if entry["name"] != f"{spans[0][0]}-{spans[0][1]}-{key[0]:016x}":
        return None
    wanted = set(lookup_runs.COLUMNS) - (set() if spans[3][0] else {"out_scripts"})
    if set(columns) != wanted or not all(is_run_column(name, columns[name]) for name in wanted):
        return None
    heights, txs, scripts, outs = ((span[0], span[1]) for span in spans)
    run = RunFound(entry["name"], heights, (key[0], key[1]), txs, scripts, outs, "cut" in entry, columns)
    return run if _lengths_fit(run) else None


def _lengths_fit(run: RunFound) -> bool:
    rows = {name: int(entry["shape"][0]) for name, entry in run.entries.items()}

    def covers(length: int, span: Span) -> bool:
        return length >= span[1] - span[0] if run.cut else length == span[1] - span[0]

    for axis, span in (("tx", run.txs), ("script", run.scripts)):
        buckets = rows[f"{axis}_bucket"] - 1
        if rows[f"{axis}_order"] != rows[f"{axis}_tag"] or not covers(rows[f"{axis}_order"], span):
            return False
        if buckets < 2 or buckets & (buckets - 1) or buckets != 1 << max(1, (rows[f"{axis}_order"] // 8).bit_length()):
            return False
    if run.outs[0]:
        return rows["out_start"] == rows["out_scripts"] + 1
    return covers(rows["out_start"] - 1, run.scripts)


def _look_for_strays(store: Store, manifest: Json, findings: Findings) -> None:
    expected = {
        store.folder: FOLDERS
        | {"manifest.json", BEFORE, "pending.json", "unfinished.json", "build", ".source.old", ".source.partial"},
        store.folder / "columns": {f"{name}.bin" for name in COLUMNS},
        store.folder / FOLDER: {file_of(store.folder, manifest).name},
        store.folder / "lookup": {run.name for run in store.runs},
    }
    for run in store.runs:
        expected[store.folder / "lookup" / run.name] = {IN_RUN, *(f"{name}.bin" for name in run.entries)}
    for folder, names in expected.items():
        try:
            strays = sorted(path for path in folder.iterdir() if path.name not in names)
        except OSError:
            continue  # that it is missing was told for each of its files
        for path in strays[:_STRAYS]:
            leftover = path.name.endswith(".partial")
            what = "a leftover of a stopped build" if leftover else "a file that the ledger doesn't know"
            todo = RUN_AGAIN if leftover else "look what it is; the ledger doesn't need it"
            findings.note(what, Place(_shown(path)), todo)
        if len(strays) > _STRAYS:
            findings.note(f"{len(strays) - _STRAYS:,} more files that the ledger doesn't know", Place(_shown(folder)))


def _shown(path: Path) -> str:
    """A path that others have named: its bytes may be no text."""
    return str(path).encode("utf-8", "backslashreplace").decode("utf-8")
