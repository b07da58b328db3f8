"""The primary columns of a ledger while blocks are being added to them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geldspur.bitcoin.batch import Batch
from geldspur.errors import GeldspurError
from geldspur.ledger.build.decode import Piece
from geldspur.ledger.columnfile import Array, ColumnFile
from geldspur.ledger.layout import NARROW_LIMIT, PRIMARY, Axis

Rows = dict[str, int]
_LEAST_BYTES: dict[Axis, int] = {"in": 41, "out": 9, "payload": 1}
"""The fewest bytes of a block that one input, one output, one byte of payload can take."""


class Draft:
    """Columns open for appending. `counts` are rows by axis; `range_start` those where this range began."""

    def __init__(
        self,
        folder: Path,
        range_start: Mapping[str, int],
        counts: Mapping[str, int],
        dtypes: Mapping[str, str],
        linked: bool = True,
    ) -> None:
        """Open the columns in `folder` at `counts` rows and forget what lies behind.

        `dtypes` are the element types of all primary columns: those of the files that exist, or `dtypes_for`.
        Without `linked`, the columns that take linking are left to somebody else.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.range_start: Rows = {axis: range_start.get(axis, 0) for axis in _AXES}
        self.columns: dict[str, ColumnFile] = {}
        for column in PRIMARY:
            if column.name in _LINKED and not linked:
                continue
            rows = counts.get(column.axis, 0)
            first = column.offsets and rows == 0
            self.columns[column.name] = ColumnFile(
                folder / f"{column.name}.bin", np.dtype(dtypes[column.name]), column.width,
                rows + 1 if column.offsets and not first else rows,
            )  # fmt: skip
            if first:
                self.columns[column.name].append(np.zeros(1, np.int64))

    def rows(self, axis: Axis) -> int:
        """How many rows there are now."""
        column = self.columns.get(_AXES[axis])
        return column.rows if column else 0

    @property
    def counts(self) -> Rows:
        """Rows by axis."""
        return {axis: self.rows(axis) for axis in _AXES}

    def add_blocks(self, piece: Piece) -> None:
        """Append what needs no linking: blocks, transactions, and the plain facts of inputs and outputs."""
        batch, columns = piece.batch, self.columns
        base = self.counts
        headers = b"".join(ref.header.raw for ref in piece.refs)
        columns["block_header"].append(np.frombuffer(headers, np.uint8))
        columns["block_hash"].append(np.frombuffer(b"".join(ref.header.hash for ref in piece.refs), np.uint8))
        columns["block_size"].append(piece.block_sizes)
        columns["block_tx"].append(batch.block_tx[1 : len(piece.refs) + 1] + base["tx"])
        columns["tx_id"].append(batch.txid[: batch.n_tx])
        for name in ("version", "locktime", "size", "base_size"):
            columns[f"tx_{name}"].append(getattr(batch, name)[: batch.n_tx])
        self._append_offsets("tx_in", batch.tx_in[1 : batch.n_tx + 1], base["in"])
        self._append_offsets("tx_out", batch.tx_out[1 : batch.n_tx + 1], base["out"])
        columns["in_sequence"].append(batch.in_sequence[: batch.n_in])
        columns["in_signs"].append(batch.in_signs[: batch.n_in])
        columns["out_value"].append(batch.out_value[: batch.n_out])

    def add_links(self, prevout: Array) -> None:
        """Append the output rows that the inputs spend; a coinbase's is the highest value of the type."""
        self.columns["in_prevout"].append(prevout)

    def add_block_scripts(self, batch: Batch, new_outputs: Array) -> None:
        """Append how many scripts there are after each of a batch's blocks; before `add_scripts`.

        `new_outputs`, ascending: the batch's outputs that are the first to pay their script.
        """
        ends = batch.tx_out[batch.block_tx[1 : batch.n_blocks + 1]]
        self.columns["block_script"].append(self.rows("script") + np.searchsorted(new_outputs, ends))

    def add_edges(self, value: Array, height_and_coinbase: Array) -> None:
        """Append outputs from before a period; the first transaction's outputs begin behind them."""
        self.columns["out_value"].append(value)
        self.columns["edge_height"].append(height_and_coinbase)
        self.columns["tx_out"].cut(0)
        self.columns["tx_out"].append(np.array([self.rows("out")], np.int64))

    def add_edge_outpoints(self, outpoints: Array) -> None:
        """Append which outputs the next edges are: uint8[n,36], txid and vout as on the wire."""
        self.columns["edge_txid"].append(outpoints[:, :32])
        self.columns["edge_vout"].append(np.ascontiguousarray(outpoints[:, 32:]).view("<u4").reshape(-1))

    def add_scripts(self, ids: Array, types: Array, ends: Array, payload: Array) -> None:
        """Append which scripts outputs pay, and the scripts that are new."""
        base = self.rows("payload")
        if self.rows("script") + len(types) >= NARROW_LIMIT:
            raise GeldspurError("more than 4,294,967,279 different scripts", todo="this version numbers no more")
        self.columns["out_script"].append(ids)
        self.columns["script_type"].append(types)
        self._append_offsets("script_at", ends, base)
        self.columns["script_payload"].append(payload)

    def _append_offsets(self, name: str, local: Array, base: int) -> None:
        self.columns[name].append(local + base)

    def close(self, sync: bool = False) -> None:
        """Trim all files to their rows and close them."""
        for column in self.columns.values():
            column.close(sync)


_LINKED = ("in_prevout", "out_script", "block_script", "script_type", "script_at", "script_payload")
_AXES: dict[Axis, str] = {
    "block": "block_size", "tx": "tx_version", "in": "in_signs", "out": "out_value", "script": "script_type",
    "payload": "script_payload", "edge": "edge_vout",
}  # fmt: skip


def dtypes_for(counts: Mapping[str, int], more_bytes: int) -> dict[str, str]:
    """Element types with room for `more_bytes` more of blocks behind `counts` rows."""
    types = {}
    for column in PRIMARY:
        most = 0
        if column.points_at is not None:
            most = counts.get(column.points_at, 0) + more_bytes // _LEAST_BYTES.get(column.points_at, 1)
        types[column.name] = column.dtype_for(most).str
    return types
