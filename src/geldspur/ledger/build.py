"""Building a ledger: blocks in order of height, decoded, linked, written as columns."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin import kernels as decode
from geldspur.bitcoin.headers import HEADER_SIZE
from geldspur.bitcoin.networks import Network
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger import kernels as link
from geldspur.ledger.blockfiles import Record, Scan, block_of, scan
from geldspur.ledger.chain import Chain, best_chain
from geldspur.ledger.columns import Array, staging, write_column, write_json
from geldspur.ledger.store import FORMAT, SCHEMA, is_ledger
from geldspur.progress import SILENT, Progress

_BATCH = 32 << 20
_LINK_FAULTS = {
    1: "an input spends a transaction that no earlier block holds",
    2: "an input spends an output that its transaction does not have",
    3: "an input spends an output that was spent before",
}


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What `index` did. Times and paths stay out of the ledger itself."""

    ledger: Path
    network: str
    files: int
    tip_height: int
    tip_hash: str
    blocks: int
    stale: int
    duplicate_records: int
    transactions: int
    inputs: int
    outputs: int
    scripts: int
    bytes_read: int
    notes: list[str]


def index(
    source: Path,
    ledger: Path,
    *,
    network: Network | None = None,
    to_height: int | None = None,
    progress: Progress = SILENT,
) -> IndexReport:
    """Read Bitcoin Core's block files at `source` and write the ledger directory `ledger`.

    The result depends on the blocks alone: not on the order or number of files, nor on their obfuscation.
    Raises `GeldspurError` for files that are damaged, cut off, foreign or incomplete.
    """
    _check_target(source, ledger)
    found = scan(source, network, progress)
    chain = best_chain(found, to_height)
    builder = _Builder()
    total = sum(record.size for record in chain.records)
    with progress.task("Indexing blocks", total, "B") as task:
        for batch in _batches(chain.records):
            builder.add(found, batch)
            task.advance(sum(record.size for record in batch))
    with progress.task("Writing the ledger", None, "columns"):
        _write(builder, found, chain, ledger)
    tip = chain.records[-1].header
    notes = list(found.notes)
    if chain.tied:
        notes.append("two tips carry equal work; the one with the smaller hash was taken")
    return IndexReport(
        ledger, found.network.name, len(found.files), len(chain.records) - 1, tip.hash[::-1].hex(),
        len(chain.records), len(chain.stale), chain.duplicates, builder.n_tx, builder.n_in, builder.n_out,
        builder.n_scripts, total, notes,
    )  # fmt: skip


def _check_target(source: Path, ledger: Path) -> None:
    folder = source.resolve() if source.is_dir() else source.resolve().parent
    if ledger.resolve() == folder or (folder in ledger.resolve().parents and source.is_dir()):
        raise UsageError(
            "the ledger would lie inside the folder of the block files, which are only read",
            where=str(ledger),
            todo="choose another place for --ledger",
        )
    if ledger.exists() and not is_ledger(ledger) and any(ledger.iterdir() if ledger.is_dir() else [ledger]):
        raise UsageError(f"{ledger} exists and is not a ledger", todo="choose an empty or new folder for --ledger")


def _batches(records: list[Record]) -> Iterator[list[Record]]:
    batch: list[Record] = []
    size = 0
    for record in records:
        if batch and size + record.size > _BATCH:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += record.size
    if batch:
        yield batch


class _Growing:
    """An array that doubles its room; `rows` counts what is in use."""

    def __init__(self, dtype: Any, width: int | None = None) -> None:
        self.data: Array = np.empty((1024, width) if width else 1024, dtype)
        self.rows = 0

    def room(self, more: int) -> None:
        need = self.rows + more
        if need > len(self.data):
            grown = np.empty((max(need, 2 * len(self.data)), *self.data.shape[1:]), self.data.dtype)
            grown[: self.rows] = self.data[: self.rows]
            self.data = grown

    def append(self, array: Array) -> None:
        self.room(len(array))
        self.data[self.rows : self.rows + len(array)] = array
        self.rows += len(array)

    @property
    def used(self) -> Array:
        return self.data[: self.rows]


class _Builder:
    """The columns so far, and the tables that link new blocks to them."""

    def __init__(self) -> None:
        grow = _Growing
        self.columns = {
            "block_header": grow(np.uint8, HEADER_SIZE), "block_hash": grow(np.uint8, 32),
            "block_size": grow(np.uint32), "block_tx": grow(np.int64),
            "tx_id": grow(np.uint8, 32), "tx_version": grow(np.int32), "tx_locktime": grow(np.uint32),
            "tx_size": grow(np.uint32), "tx_base_size": grow(np.uint32),
            "tx_in": grow(np.int64), "tx_out": grow(np.int64),
            "in_prevout": grow(np.uint64), "in_sequence": grow(np.uint32), "in_signs": grow(np.uint8),
            "out_value": grow(np.int64), "out_script": grow(np.uint32), "out_spender": grow(np.uint64),
            "script_type": grow(np.uint8), "script_at": grow(np.int64), "script_payload": grow(np.uint8),
        }  # fmt: skip
        for name in ("block_tx", "tx_in", "tx_out", "script_at"):
            self.columns[name].append(np.zeros(1, np.int64))
        self.tx_table: Array = np.zeros(1 << 16, np.int64)
        self.script_table: Array = np.zeros(1 << 16, np.int64)
        # A secret salt: nobody can make scripts that pile up in one place of the table. Ids don't depend on it.
        self.salt = np.uint64(secrets.randbits(64))

    n_tx = property(lambda self: self.columns["tx_id"].rows)
    n_in = property(lambda self: self.columns["in_prevout"].rows)
    n_out = property(lambda self: self.columns["out_value"].rows)
    n_scripts = property(lambda self: self.columns["script_type"].rows)

    def add(self, found: Scan, batch: list[Record]) -> None:
        """Decode and link a batch of blocks, the next in order of height."""
        buf = np.concatenate([block_of(found.files, r.file, r.offset, r.size) for r in batch])
        starts = np.cumsum([0] + [record.size for record in batch])
        counts = np.array(
            [_measure(found, record, buf, starts[k], starts[k + 1]) for k, record in enumerate(batch)],
            np.int64,
        )
        rows = np.vstack([np.zeros((1, 3), np.int64), np.cumsum(counts[:, :3], axis=0)])
        part = _empty_part(*rows[-1])
        scratch = np.empty(int(counts[:, 3].max()) + 128, np.uint8)
        level = np.empty((int(counts[:, 0].max()) + 1, 32), np.uint8)
        for k, record in enumerate(batch):
            columns: list[Any] = [buf, starts[k], starts[k + 1], *part.values(), *rows[k], scratch]
            decode.decode_block(*columns)
            _check_merkle_root(found, record, part["txid"], rows[k, 0], counts[k, 0], level)
        self._append(batch, part, rows, counts)
        self._link(found, batch, part, rows)
        self._assign_scripts(part, buf)

    def _append(self, batch: list[Record], part: dict[str, Array], rows: Array, counts: Array) -> None:
        base_tx, base_in, base_out = self.n_tx, self.n_in, self.n_out
        columns = self.columns
        columns["block_header"].append(np.frombuffer(b"".join(r.header.raw for r in batch), np.uint8).reshape(-1, 80))
        columns["block_hash"].append(np.frombuffer(b"".join(r.header.hash for r in batch), np.uint8).reshape(-1, 32))
        columns["block_size"].append(np.array([r.size for r in batch], np.uint32))
        columns["block_tx"].append(base_tx + rows[1:, 0])
        for name in ("version", "locktime", "size", "base_size"):
            columns[f"tx_{name}"].append(part[name])
        columns["tx_id"].append(part["txid"])
        columns["tx_in"].append(np.append(part["tx_in"][1:], rows[-1, 1]) + base_in)
        columns["tx_out"].append(np.append(part["tx_out"][1:], rows[-1, 2]) + base_out)
        columns["in_sequence"].append(part["in_sequence"])
        columns["in_signs"].append(part["in_signs"])
        columns["out_value"].append(part["out_value"])
        columns["out_spender"].append(np.full(int(counts[:, 2].sum()), link.NO_LINK, np.uint64))

    def _link(self, found: Scan, batch: list[Record], part: dict[str, Array], rows: Array) -> None:
        columns, n_tx = self.columns, self.n_tx
        first = n_tx - int(rows[-1, 0])
        if 2 * n_tx > len(self.tx_table):
            self.tx_table = np.zeros(1 << int(4 * n_tx).bit_length(), np.int64)
            link.insert_txids(self.tx_table, columns["tx_id"].data, 0, first)
        prevout = np.empty(len(part["in_vout"]), np.uint64)
        bad, reason = link.link_inputs(
            self.tx_table, columns["tx_id"].data, columns["tx_in"].used, columns["tx_out"].used, n_tx, first,
            int(rows[-1, 0]), part["in_txid"], part["in_vout"], self.n_in, prevout, columns["out_spender"].data,
        )  # fmt: skip
        if bad >= 0:
            local = bad - self.n_in
            record = batch[int(np.searchsorted(rows[:, 1], local, side="right")) - 1]
            spent = f"{bytes(part['in_txid'][local])[::-1].hex()}:{part['in_vout'][local]}"
            raise GeldspurError(f"{_LINK_FAULTS[reason]}: {spent}", where=_place(found, record), todo=_AGAIN)
        columns["in_prevout"].append(prevout)

    def _assign_scripts(self, part: dict[str, Array], buf: Array) -> None:
        columns, count = self.columns, len(part["out_type"])
        types, at, blob = columns["script_type"], columns["script_at"], columns["script_payload"]
        if 2 * (types.rows + count) > len(self.script_table):
            self.script_table = np.zeros(1 << int(4 * (types.rows + count)).bit_length(), np.int64)
            link.rehash_scripts(self.script_table, self.salt, types.data, at.data, blob.data, types.rows)
        types.room(count)
        at.room(count)
        blob.room(int((part["out_end"] - part["out_start"]).sum()))
        ids = np.empty(count, np.uint32)
        n, end = link.assign_scripts(
            self.script_table, self.salt, part["out_type"], part["out_start"], part["out_end"], buf, count,
            types.data, at.data, blob.data, types.rows, blob.rows, ids,
        )  # fmt: skip
        types.rows, at.rows, blob.rows = n, n + 1, end
        columns["out_script"].append(ids)


_AGAIN = "copy the file again from the node, and check the node's own block files"


def _empty_part(n_tx: int, n_in: int, n_out: int) -> dict[str, Array]:
    """Columns of one batch, in the order that `decode_block` takes them."""
    return {
        "txid": np.empty((n_tx, 32), np.uint8), "version": np.empty(n_tx, np.int32),
        "locktime": np.empty(n_tx, np.uint32), "size": np.empty(n_tx, np.uint32),
        "base_size": np.empty(n_tx, np.uint32), "tx_in": np.empty(n_tx, np.int64),
        "tx_out": np.empty(n_tx, np.int64), "in_txid": np.empty((n_in, 32), np.uint8),
        "in_vout": np.empty(n_in, np.uint32), "in_sequence": np.empty(n_in, np.uint32),
        "in_signs": np.empty(n_in, np.uint8), "out_value": np.empty(n_out, np.int64),
        "out_type": np.empty(n_out, np.uint8), "out_start": np.empty(n_out, np.int64),
        "out_end": np.empty(n_out, np.int64),
    }  # fmt: skip


def _measure(found: Scan, record: Record, buf: Array, start: int, end: int) -> tuple[int, int, int, int]:
    n_tx, n_in, n_out, largest, fault, at = decode.measure_block(buf, start, end)
    if fault != decode.OK:
        raise GeldspurError(
            f"block {record.header.hash[::-1].hex()} is damaged: {decode.FAULTS[fault]}",
            where=f"{found.files[record.file].path}, offset {record.offset + at - start:,}",
            todo=_AGAIN,
        )
    return n_tx, n_in, n_out, largest


def _check_merkle_root(found: Scan, record: Record, txid: Array, first: int, count: int, level: Array) -> None:
    root = np.empty(32, np.uint8)
    twin = decode.merkle_root(txid, first, count, root, level)
    if twin or root.tobytes() != record.header.merkle_root:
        raise GeldspurError(
            f"block {record.header.hash[::-1].hex()} is damaged: its transactions do not hash to its header",
            where=_place(found, record),
            todo=_AGAIN,
        )


def _place(found: Scan, record: Record) -> str:
    return f"{found.files[record.file].path}, offset {record.offset:,}"


def _write(builder: _Builder, found: Scan, chain: Chain, ledger: Path) -> None:
    columns = {name: column.used for name, column in builder.columns.items()}
    start = np.zeros(builder.n_scripts + 1, np.int64)
    outputs = np.empty(int((columns["out_script"] != link.NO_SCRIPT).sum()), np.uint64)
    link.outputs_by_script(columns["out_script"], builder.n_scripts, start, outputs)
    columns |= {"script_out": start, "script_outputs": outputs}
    columns |= _look_up_orders(columns)
    manifest = {
        "format": FORMAT,
        "schema": SCHEMA,
        "network": found.network.name,
        "heights": [0, len(chain.records) - 1],
        "tip_hash": chain.records[-1].header.hash[::-1].hex(),
        "counts": {
            "blocks": len(chain.records), "transactions": builder.n_tx, "inputs": builder.n_in,
            "outputs": builder.n_out, "scripts": builder.n_scripts,
        },
    }  # fmt: skip
    ledger.mkdir(parents=True, exist_ok=True)
    with staging(ledger / "columns") as work:
        manifest["columns"] = {name: write_column(work, name, columns[name]) for name in sorted(columns)}
        # Without its manifest a ledger is not one: it goes first and comes last.
        (ledger / "manifest.json").unlink(missing_ok=True)
    with staging(ledger / "source") as work:
        records = chain.records
        entries = {
            "block_file": write_column(work, "block_file", np.array([r.file for r in records], np.uint32)),
            "block_offset": write_column(work, "block_offset", np.array([r.offset for r in records], np.int64)),
        }
        paths = [{"path": str(file.path.resolve()), "key": file.key.hex()} for file in found.files]
        write_json(work / "source.json", {"files": paths, "columns": entries})
    partial = ledger / ".manifest.partial"
    write_json(partial, manifest)
    partial.rename(ledger / "manifest.json")


def _look_up_orders(columns: dict[str, Array]) -> dict[str, Array]:
    """Rows of transactions and scripts in order of the first eight bytes of their key, for binary search."""
    tx_prefix = np.ascontiguousarray(columns["tx_id"][:, :8]).view(np.uint64).reshape(-1)
    at = columns["script_at"]
    padded = np.append(columns["script_payload"], np.zeros(8, np.uint8))
    window = padded[at[:-1, None] + np.arange(8)]
    # A short payload takes bytes of its neighbour into its prefix otherwise, and prefixes must not depend on it.
    window[np.arange(8)[None, :] >= (at[1:] - at[:-1])[:, None]] = 0
    script_prefix = np.ascontiguousarray(window).view(np.uint64).reshape(-1)
    tx_order = np.argsort(tx_prefix, kind="stable")
    script_order = np.argsort(script_prefix, kind="stable")
    return {
        "tx_prefix": tx_prefix[tx_order], "tx_order": tx_order.astype(np.uint32),
        "script_prefix": script_prefix[script_order], "script_order": script_order.astype(np.uint32),
    }  # fmt: skip
