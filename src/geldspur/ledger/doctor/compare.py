"""What blocks decoded anew say, against the ledger's columns: the whole of a batch at once."""

from typing import Any

import numpy as np

from geldspur.ledger.build.decode import Piece
from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.faults import Faults
from geldspur.ledger.doctor.report import INDEX_AGAIN, Findings
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.layout import COLUMNS, unspent

_OF_TX = {
    "tx_id": "txid", "tx_version": "version", "tx_locktime": "locktime", "tx_size": "size",
    "tx_base_size": "base_size",
}  # fmt: skip
_OF_INPUT = {"in_sequence": "in_sequence", "in_signs": "in_signs"}
_OF_OUTPUT = {"out_value": "out_value"}
_WITNESSED = {"tx_size", "block_size", "in_signs"}
_OUTPOINTS = ("in_prevout", "tx_out", "tx_id", "edge_txid", "edge_vout")
_SCRIPTS = ("out_script", "script_type", "script_at", "script_payload")
_PAID = {
    kernels.SCRIPT_OR_NONE: "out_script says {script}, the output {not_} be spent",
    kernels.SCRIPT_TYPE: "out_script says {script}, whose script_type is not that of the source's output",
    kernels.SCRIPT_LENGTH: "out_script says {script}, whose length by script_at is not that of the source's output",
    kernels.SCRIPT_BYTES: "out_script says {script}, whose script_payload is not that of the source's output",
}
WITNESS_TODO = (
    "no transaction id covers witnesses: compare the block with another node's to see which of the two has changed; "
    f"if it is the ledger, {INDEX_AGAIN}"
)


class Comparison:
    """Compares one piece of consecutive blocks after another; columns that can't be used are skipped, and said so."""

    def __init__(self, store: Store, findings: Findings) -> None:
        """`store` has the columns of blocks and `tx_id`, with offsets that were found sound."""
        self.store, self.findings = store, findings
        self.faults = Faults()
        wanted = {*_OF_TX, *_OF_INPUT, *_OF_OUTPUT, *_OUTPOINTS, *_SCRIPTS, "block_hash", "tx_in"}
        if missing := store.missing(*sorted(wanted)):
            findings.skip(f"not compared, or not all that hangs on it: {', '.join(missing)}")
        self._missing = set(missing)

    def compare(self, first: int, piece: Piece) -> None:
        """Compare the blocks from row `first` on, and tell the first row of each column that differs."""
        store, batch, blocks = self.store, piece.batch, len(piece.refs)
        hashes = b"".join(ref.header.hash for ref in piece.refs)
        self._same("block_hash", first, np.frombuffer(hashes, np.uint8).reshape(-1, 32), first, piece)
        self._same("block_size", first, piece.block_sizes, first, piece)
        tx = int(store.columns["block_tx"][first])
        if not self._same("block_tx", first, tx + batch.block_tx[: blocks + 1], first, piece):
            return  # which rows are the block's is not known
        for name, field in _OF_TX.items():
            self._same(name, tx, getattr(batch, field)[: batch.n_tx], first, piece)
        for name, offsets, rows in (("tx_in", batch.tx_in, self._inputs), ("tx_out", batch.tx_out, self._outputs)):
            if name in self._missing:
                continue
            row = int(store.columns[name][tx])
            if self._same(name, tx, row + offsets[: batch.n_tx + 1], first, piece):
                rows(row, first, piece)
        for what, count in (("blocks", blocks), ("transactions", batch.n_tx), ("inputs", batch.n_in),
                            ("outputs", batch.n_out)):  # fmt: skip
            self.findings.looked_at(what, count)

    def _inputs(self, row: int, first: int, piece: Piece) -> None:
        for name, field in _OF_INPUT.items():
            self._same(name, row, getattr(piece.batch, field)[: piece.batch.n_in], first, piece)
        if not self._missing.intersection(_OUTPOINTS):
            self._outpoints(row, first, piece)

    def _outputs(self, row: int, first: int, piece: Piece) -> None:
        for name, field in _OF_OUTPUT.items():
            self._same(name, row, getattr(piece.batch, field)[: piece.batch.n_out], first, piece)
        if not self._missing.intersection(_SCRIPTS):
            self._scripts(row, first, piece)

    def _same(self, name: str, row: int, wanted: Array, first: int, piece: Piece) -> bool:
        """Are a column's rows from `row` on the wanted ones? Offsets are compared with one more row."""
        if name in self._missing:
            return False
        have = self.store.columns[name][row : row + len(wanted)]
        if have.dtype != wanted.dtype:
            have = have.astype(np.int64)  # offsets and sizes: none is beyond that
        if len(have) != len(wanted):
            self._tell(name, row + len(have), "ends before the source does", first, piece, len(wanted) - len(have))
            return False
        if np.array_equal(have, wanted):
            return True
        differ = have != wanted
        rows = np.flatnonzero(differ if differ.ndim == 1 else differ.any(axis=1))
        k = int(rows[0])
        says = "is not the source's" if have.ndim > 1 else f"says {int(have[k]):,}, the source {int(wanted[k]):,}"
        self._tell(name, row + k, says, first, piece, len(rows))
        return False

    def _outpoints(self, row: int, first: int, piece: Piece) -> None:
        """Is the output row that each input spends that of the outpoint which the input names?"""
        columns, counts, batch = self.store.columns, self.store.counts, piece.batch
        rows = columns["in_prevout"][row : row + batch.n_in]
        outpoints = batch.in_outpoint[: batch.n_in]
        txid = np.ascontiguousarray(outpoints[:, :32]).view("<u8")
        vout = np.ascontiguousarray(outpoints[:, 32:]).view("<u4")[:, 0].astype(np.int64)
        none = (vout == 0xFFFFFFFF) & ~txid.any(axis=1)
        links = rows < counts["out"]
        wrong = np.where(none, rows != unspent(rows.dtype), ~links)
        known = np.flatnonzero(links & ~none)
        known = known[np.argsort(rows[known], kind="stable")]  # what lies together is read together
        edges = int(np.searchsorted(rows[known], rows.dtype.type(counts["edge"])))
        self._edges(known[:edges], row, rows, txid, vout, first, piece)
        known = known[edges:]
        spent, tx_out = rows[known], columns["tx_out"]
        of = np.searchsorted(tx_out, spent.astype(tx_out.dtype), side="right") - 1
        ids = columns["tx_id"].view("<u8")[of]
        wrong[known] = (ids != txid[known]).any(axis=1) | (
            spent.astype(np.int64) - tx_out[of].astype(np.int64) != vout[known]
        )
        if wrong.any():
            k = int(np.argmax(wrong))
            says = f"says {self._output_name(int(rows[k]))}, the source's input spends another output"
            self._tell("in_prevout", row + k, says, first, piece, int(wrong.sum()))

    def _edges(self, known: Array, row: int, rows: Array, txid: Array, vout: Array, first: int, piece: Piece) -> None:
        """As for `_outpoints`, of inputs that spend what lies before a period."""
        edge_txid, edge_vout = self.store.columns["edge_txid"], self.store.columns["edge_vout"]
        spent = rows[known]
        for name, differ in (
            ("edge_txid", (edge_txid.view("<u8")[spent] != txid[known]).any(axis=1)),
            ("edge_vout", edge_vout[spent] != vout[known]),
        ):
            for k in known[differ].tolist():
                what = f"{name} is not that of the outpoint which input row {row + k:,} names in the source"
                height = self._height("in", row + k, row, first, piece)
                place = self.store.place(name, int(rows[k]), heights=(height, height))
                self.findings.damage(f"block {height:,}: {what}", place)

    def _scripts(self, row: int, first: int, piece: Piece) -> None:
        """Has the script of each output the type and the bytes that the output has?"""
        batch, columns = piece.batch, self.store.columns
        paid = columns["out_script"][row : row + batch.n_out]
        count = kernels.check_paid(
            batch.out_type, batch.out_at, batch.out_length, batch.out_payload, batch.n_out, paid,
            columns["script_type"], columns["script_at"], columns["script_payload"], self.faults.array,
        )  # fmt: skip
        if not count:
            return
        code, k, script = self.faults.array[0].tolist()
        name = "none" if script == kernels.NO_SCRIPT else f"script {script:,}"
        says = _PAID[code].format(script=name, not_="can" if script == kernels.NO_SCRIPT else "can't")
        self._tell("out_script", row + k, says.removeprefix("out_script "), first, piece, count)

    def _output_name(self, output: int) -> str:
        return f"output row {output:,}" if output < self.store.counts["out"] else "none"

    def _tell(self, name: str, row: int, says: str, first: int, piece: Piece, count: int) -> None:
        """The first of `count` rows that differ, with its height by the source's blocks."""
        begin: dict[str, Any] = {"block": first, "tx": self.store.columns["block_tx"][first]}
        if (axis := COLUMNS[name].axis) in ("in", "out"):
            begin[axis] = self.store.columns[f"tx_{axis}"][begin["tx"]]
        height = self._height(axis, row, int(begin[axis]), first, piece)
        place = self.store.place(name, row, heights=(height, height))
        todo = WITNESS_TODO if name in _WITNESSED else INDEX_AGAIN
        self.findings.damage(f"block {height:,}: {name} {says}", place, todo)
        self.findings.more(place.file, count - 1)

    def _height(self, axis: str, row: int, begin: int, first: int, piece: Piece) -> int:
        """The height of a row of the piece, whose rows of that axis begin with row `begin`."""
        batch, k = piece.batch, row - begin
        if axis in ("in", "out"):
            k = (
                int(np.searchsorted((batch.tx_in if axis == "in" else batch.tx_out)[: batch.n_tx + 1], k, side="right"))
                - 1
            )
        if axis != "block":
            k = int(np.searchsorted(batch.block_tx[: len(piece.refs) + 1], k, side="right")) - 1
        return self.store.first_height + first + min(k, len(piece.refs) - 1)
