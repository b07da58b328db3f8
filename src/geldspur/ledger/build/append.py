"""Keeping a ledger current: blocks appended at its end, and rolled back over a reorg."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin.headers import parse_header
from geldspur.bitcoin.networks import NETWORKS
from geldspur.ledger.build import commit
from geldspur.ledger.build.commit import Head
from geldspur.ledger.build.decode import decoded
from geldspur.ledger.build.draft import Draft, dtypes_for
from geldspur.ledger.build.memory import Budget
from geldspur.ledger.build.partsums import PartSums, remove_unused
from geldspur.ledger.build.pieces import LinkError, add_piece
from geldspur.ledger.build.source_record import record_source
from geldspur.ledger.build.tables import Tables, TablesTooLarge
from geldspur.ledger.columnfile import Array
from geldspur.ledger.layout import COLUMNS, SEGMENT
from geldspur.ledger.lookup.open import ensure_parts, open_run, refuse_damaged_run
from geldspur.ledger.manifests import counts_of, read_manifest, types_of
from geldspur.ledger.sources import Chain, Source
from geldspur.progress import Progress

Entry = dict[str, Any]
_RANGE_BYTES = 1 << 30
"""Blocks that are appended and committed together, at most."""


class Store:
    """A finished ledger as the build sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = read_manifest(folder)
        self.counts = counts_of(self.manifest)
        self.types = types_of(self.manifest)
        self.network = NETWORKS[self.manifest["network"]]
        self.first_height, self.tip_height = self.manifest["heights"]
        self.block_hash: Array = self._column("block_hash")

    def _column(self, name: str) -> Array:
        return commit.open_primary(self.folder / "columns", self.types, self.counts, (name,))[name]

    def has_less_work_than(self, chain: Chain) -> bool:
        """Do the ledger's blocks from the chain's first height on carry less work than the chain?"""
        ours = self._column("block_header")[chain.first_height - self.first_height :]
        return _work(ours) < _work(chain.header)

    def rows_before(self, height: int) -> dict[str, int]:
        """Rows of each axis that the blocks below a height take."""
        block = height - self.first_height
        tx = int(self._column("block_tx")[block])
        script = int(self._column("block_script")[block])
        return {
            "block": block, "tx": tx, "in": int(self._column("tx_in")[tx]), "out": int(self._column("tx_out")[tx]),
            "script": script, "payload": int(self._column("script_at")[script]), "edge": self.counts["edge"],
        }  # fmt: skip

    def roll_back(self, height: int) -> None:
        """Forget the blocks from `height` on."""
        commit.refuse_damaged(self.folder, self.manifest, height)
        keep = self.rows_before(height)
        columns = self.folder / "columns"
        twins = from_row(self.manifest["overwritten"], keep)
        parts = PartSums(self.folder, self.manifest)
        parts.refuse_damaged_ends(keep)
        parts.roll_back(keep, commit.older_links(columns, self.types, self.counts, keep), twins)
        commit.begin_change(self.folder, {"back_to": keep})
        commit.mark_gone(columns, self.types, self.counts, twins, back=True)
        commit.unspend_older(columns, self.types, self.counts, keep)
        tip = self.block_hash[keep["block"] - 1].tobytes()
        head = Head(self.network, self.first_height, height - 1, tip)
        old = {name: entry.get("xxh3_128", []) for name, entry in self.manifest["columns"].items()}
        kept = height // SEGMENT - self.first_height // SEGMENT
        sums = commit.checksums(columns, self.types, keep, self.first_height, old, kept)
        overwritten = [pair for pair in self.manifest["overwritten"] if pair[0] < keep["tx"]]
        runs = [_cut(run, keep) for run in self.manifest["runs"] if run["txs"][0] < keep["tx"]]
        manifest = commit.manifest_of(head, keep, self.types, sums, runs, overwritten)
        parts.write(manifest)
        commit.end_change(self.folder, manifest)
        commit.remove_unused_runs(self.folder, manifest)
        remove_unused(self.folder, manifest)
        self.manifest, self.counts, self.tip_height = manifest, keep, height - 1


def _work(headers: Array) -> int:
    return sum(parse_header(header.tobytes()).work for header in headers)


def from_row(overwritten: list[list[int]], keep: dict[str, int]) -> list[list[int]]:
    """The pairs whose later transaction is none of the rows to keep."""
    return [pair for pair in overwritten if pair[0] >= keep["tx"]]


def _cut(run: dict[str, Any], keep: dict[str, int]) -> dict[str, Any]:
    """A run whose later rows were rolled back: they stay in its files but don't count."""
    cut = {f"{axis}s": [run[f"{axis}s"][0], min(run[f"{axis}s"][1], keep[axis])] for axis in ("tx", "script", "out")}
    return run | cut | ({} if cut["txs"] == run["txs"] else {"cut": True})


def append(
    source: Source, chain: Chain, ledger: Path, budget: Budget, watch: Callable[[], None], progress: Progress
) -> None:
    """Append the chain's blocks, which follow the ledger's tip, in ranges that are committed one by one."""
    manifest = read_manifest(ledger)
    commit.refuse_damaged(ledger, manifest, chain.first_height)
    for run in manifest["runs"]:
        ensure_parts(ledger, run)
    with progress.task("Appending blocks", int(chain.size.sum()), "B") as task:
        first = chain.first_height
        ends, most = np.cumsum(chain.size), _RANGE_BYTES
        while first <= chain.tip_height:
            before = int(ends[first - chain.first_height - 1]) if first > chain.first_height else 0
            rows = int(np.searchsorted(ends, before + most, side="right"))
            last = max(first, chain.first_height + rows - 1)
            part = chain.between(first, last)
            try:
                _append_range(source, part, ledger, budget)
            except TablesTooLarge:
                most = int(part.size.sum()) // 2
                continue
            watch()
            task.advance(int(part.size.sum()))
            first = last + 1


def _append_range(source: Source, chain: Chain, ledger: Path, budget: Budget) -> None:
    more = int(chain.size.sum())
    store = _widened(Store(ledger), more)
    columns, start = ledger / "columns", store.counts
    parts = PartSums(ledger, store.manifest)
    parts.refuse_damaged_ends(start)
    runs = [open_run(ledger, entry, with_parts=True) for entry in store.manifest["runs"]]
    draft = Draft(columns, start, start, store.types)
    try:
        tables = Tables(draft, list(reversed(runs)), budget.tables)
        done = 0
        for piece in decoded(source, chain, budget.batch_bytes, budget.threads):
            done += piece.bytes
            try:
                add_piece(draft, tables, piece, done / more)
            except LinkError:
                _refuse_damaged_for_links(ledger, store.manifest)
                raise
        counts, twins = draft.counts, [list(pair) for pair in tables.twins]
    finally:
        draft.close()
    types = dict(store.types)
    commit.write_spenders(columns, types, counts, start, budget.tables)
    entries = _merge_plan(store.manifest["runs"], counts)
    tip = chain.hash[-1].tobytes()
    kept, rest = entries
    begin = {"tx": start["tx"], "script": start["script"], "out": start["out"]}
    heights = (chain.first_height, chain.tip_height)
    if rest:
        begin = {axis: rest[0][f"{axis}s"][0] for axis in ("tx", "script", "out")}
        heights = (rest[0]["heights"][0], chain.tip_height)
    with commit.syncing_columns(columns):  # what is marked below is taken back by these rows: they must be there first
        run = commit.run_of_range(ledger, types, counts, begin, heights, tip, budget.tables)
        record_source(ledger, source, chain, start["block"])
        sums = commit.checksums(
            columns, types, counts, store.first_height,
            {name: entry.get("xxh3_128", []) for name, entry in store.manifest["columns"].items()},
            (store.tip_height + 1) // SEGMENT - store.first_height // SEGMENT,
        )  # fmt: skip
        commit.refuse_spent(columns, types, counts, start)
    commit.begin_change(ledger, {"on_to": counts, "overwritten": twins})
    commit.spend_older(columns, types, counts, start)
    commit.mark_gone(columns, types, counts, twins)
    commit.sync(columns / "out_spender.bin")
    head = Head(store.network, store.first_height, chain.tip_height, tip)
    overwritten = store.manifest["overwritten"] + twins
    manifest = commit.manifest_of(head, counts, types, sums, [*kept, run], overwritten)
    parts.append(counts, commit.older_links(columns, types, counts, start), twins)
    parts.write(manifest)
    commit.end_change(ledger, manifest)
    commit.remove_unused_runs(ledger, manifest)
    remove_unused(ledger, manifest)


def _refuse_damaged_for_links(ledger: Path, manifest: Entry) -> None:
    """That an input spends nothing known needn't be the blocks' fault: it is not, where the ledger is damaged."""
    for run in manifest["runs"]:
        refuse_damaged_run(ledger, run)
    commit.refuse_damaged(ledger, manifest, names=("tx_id", "tx_out"))


def _merge_plan(runs: list[Entry], counts: dict[str, int]) -> tuple[list[Entry], list[Entry]]:
    """Which runs stay, and which smaller ones the new rows are merged with: each is then half of the one before."""
    stay = list(runs)
    while len(stay) > 1 and stay[-1]["txs"][1] - stay[-1]["txs"][0] <= 2 * (counts["tx"] - stay[-1]["txs"][1]):
        stay.pop()
    return stay, runs[len(stay) :]


def _widened(store: Store, more_bytes: int) -> Store:
    """Give row numbers eight bytes before they could outgrow four; returns the ledger as it then is."""
    needed = dtypes_for(store.counts, more_bytes)
    short = [n for n, dtype in needed.items() if np.dtype(dtype).itemsize > np.dtype(store.types[n]).itemsize]
    spender = dtypes_for(store.counts, more_bytes)["tx_in"]
    if np.dtype(spender).itemsize > np.dtype(store.types["out_spender"]).itemsize:
        short.append("out_spender")
    if not short:
        return store
    commit.refuse_damaged(store.folder, store.manifest)
    columns = store.folder / "columns"
    for name in short:
        old, rows = np.dtype(store.types[name]), commit.shape_of(COLUMNS[name], store.counts)[0]
        commit.retype_copy(columns / f"{name}.bin", old, np.dtype("<u8"), rows)
    commit.begin_change(store.folder, {"widen": short})
    finish_widening(store.folder, store.manifest, short)
    return Store(store.folder)


def finish_widening(ledger: Path, manifest: dict[str, Any], names: list[str]) -> None:
    """Put widened columns in place of the narrow ones; may be done twice."""
    for name in names:
        wide = ledger / "columns" / f"{name}.partial"
        if wide.is_file():
            wide.rename(ledger / "columns" / f"{name}.bin")
        manifest["columns"][name]["dtype"] = "<u8"
    counts, types = counts_of(manifest), types_of(manifest)
    sums = commit.checksums(ledger / "columns", types, counts, manifest["heights"][0], {}, 0)
    for name, digests in sums.items():
        manifest["columns"][name]["xxh3_128"] = digests
    commit.end_change(ledger, manifest)


def remove_leftovers(ledger: Path) -> None:
    """Delete what a killed append has left beside what counts."""
    for partial in (*(ledger / "columns").glob("*.partial"), *ledger.glob(".*.json.partial")):
        partial.unlink()
    for partial in (ledger / "lookup").glob(".*.partial"):
        shutil.rmtree(partial, ignore_errors=True)
