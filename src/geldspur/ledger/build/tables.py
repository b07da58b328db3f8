"""Linking in memory: tables of the transactions and scripts of the range that is being added."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from geldspur.bitcoin.kernels import OUTPOINT, SLACK
from geldspur.ledger.build import kernels
from geldspur.ledger.build.decode import Piece
from geldspur.ledger.build.draft import Draft
from geldspur.ledger.columnfile import Array
from geldspur.ledger.lookup import kernels as lookup
from geldspur.ledger.lookup.runs import Run

LOAD = 0.5
"""How far a table is filled."""
TX_WORDS, SCRIPT_WORDS = 1, 2
"""Words of eight bytes that a slot takes: see `build.kernels`."""
_LEAST_SLOTS = 1 << 16
_SCRIPT_COLUMNS = ("script_type", "script_at", "script_payload")
_SURE = 0.7
"""Of what is expected, from the density of the blocks so far, so much will come at least."""


class TablesTooLarge(Exception):
    """The tables would outgrow the memory budget."""


@dataclass(slots=True)
class LinkFault(Exception):
    """An input of a batch that spends nothing known: reason as in `build.kernels`, batch-local row."""

    reason: int
    row: int


@dataclass(frozen=True, slots=True)
class Outputs:
    """Outputs whose payloads lie in an array: types uint8, at and length uint32 of each payload."""

    payload: Array
    types: Array
    at: Array
    length: Array
    count: int

    @classmethod
    def of(cls, piece: Piece) -> "Outputs":
        """A piece's own."""
        batch = piece.batch
        return cls(batch.out_payload, batch.out_type, batch.out_at, batch.out_length, batch.n_out)


@dataclass(frozen=True, slots=True)
class NewScripts:
    """Scripts that a batch is the first to pay, in order: types uint8, payloads one behind the other.

    `ends` int64: a zero, then where each payload ends; `outputs` int64: the batch's output that each comes with.
    """

    types: Array
    ends: Array
    payload: Array
    outputs: Array

    @classmethod
    def room_for(cls, outputs: Outputs) -> "NewScripts":
        """Not written yet, with room for all that outputs may bring."""
        n, bytes_ = outputs.count, int(outputs.length[: outputs.count].sum())
        return cls(
            np.empty(n, np.uint8), np.empty(n + 1, np.int64), np.empty(bytes_ + SLACK, np.uint8),
            np.empty(n, np.int64),
        )  # fmt: skip

    def first(self, count: int) -> "NewScripts":
        """The first `count` of them."""
        return NewScripts(
            self.types[:count], self.ends[: count + 1], self.payload[: self.ends[count]], self.outputs[:count]
        )


def empty_table(slots: int, words: int) -> Array:
    """Buckets for at least so many slots of `words` words of eight bytes: uint64, aligned as `build.kernels` asks."""
    whole = -(-8 * words * slots // kernels.BUCKET) * kernels.BUCKET // 8
    room = np.zeros(whole + kernels.BUCKET // 8, np.uint64)
    start = -room.ctypes.data % kernels.BUCKET // 8
    return room[start : start + whole]


class _Table:
    """A hash table that is made anew, larger, when it fills up."""

    def __init__(self, words: int) -> None:
        """A slot takes `words` words."""
        self._words = words
        self.slots: Array = empty_table(_LEAST_SLOTS, words)

    @property
    def bytes(self) -> int:
        """Memory that it takes."""
        return int(self.slots.nbytes)

    def is_short_for(self, rows: int) -> bool:
        """Would so many rows fill it beyond its load?"""
        return self._words * rows > LOAD * len(self.slots)

    def renew(self, rows: int, expected: int, budget: int) -> None:
        """Empty it, with room for all rows that are `expected`, which are no fewer than `rows`.

        Raises `TablesTooLarge` where that is clearly more than the budget: rather at once than after hours.
        """
        most = budget // (8 * self._words)
        if _slots_for(max(rows, int(_SURE * expected))) > most:
            raise TablesTooLarge
        count = min(_slots_for(expected), most)
        self.slots = np.empty(0, np.uint64)  # let go of the old one before the new one is made
        self.slots = empty_table(count, self._words)


def _slots_for(rows: int) -> int:
    return max(_LEAST_SLOTS, int(rows / LOAD) + 1)


class Tables:
    """Links batches to the draft ledger: what is in memory first, then the look-up runs of older ranges."""

    def __init__(self, draft: Draft, runs: list[Run], budget: int) -> None:
        self._draft = draft
        self._runs = runs
        self._budget = budget
        self._first_tx = draft.range_start["tx"]
        self._first_script = draft.range_start["script"]
        self._txs, self._scripts = _Table(TX_WORDS), _Table(SCRIPT_WORDS)
        self._key = np.array([secrets.randbits(64), secrets.randbits(64)], np.uint64)
        self._hashes: Array = np.empty(1024, np.uint64)
        self._found: Array = np.empty(1024, np.int64)
        self._twins: tuple[Array, Array] = (np.empty(0, np.int64), np.empty(0, np.int64))
        self._older_twins: list[tuple[int, int]] = []
        self._fill(draft.rows("tx"), draft.rows("script"))

    def _fill(self, n_tx: int, n_scripts: int) -> None:
        """Enter what the range holds already: it was resumed."""
        if n_tx > self._first_tx:
            self._renew_txs(n_tx, 1.0)
        if n_scripts > self._first_script:
            self._renew_scripts(n_scripts, _expected(n_scripts - self._first_script, 1.0))

    def link(self, piece: Piece, share_done: float, edges: tuple[int, int] = (0, 0)) -> Array:
        """The output row that each of the batch's inputs spends; its transactions are in the draft already.

        `share_done` (0..1], how much of the range the batch completes, foretells how large the tables will be.
        `edges`: the rows of a period ledger's outputs from before it that are still to be spent. Raises `LinkFault`.
        """
        batch, draft = piece.batch, self._draft
        txid = draft.columns["tx_id"].mapped()
        tx_out = draft.columns["tx_out"].mapped()
        end = draft.rows("tx")
        first = end - batch.n_tx
        self._scratch(max(batch.n_in, batch.n_tx))
        if self._txs.is_short_for(end - self._first_tx):
            self._renew_txs(first, share_done, end)
        self._insert_txs(first, end)
        self._find_older_twins(first, end)
        found = self._found[: batch.n_in]
        kernels.find_prevout_txs(self._txs.slots, self._key, self._first_tx, txid, batch.in_outpoint, batch.n_in, found)
        for run in self._runs:
            lookup.find_txs_in_run(
                np.array(run.key, np.uint64), _bits(run.tx_bucket), run.tx_bucket, run.tx_order, run.tx_tag,
                run.txs[1], txid, batch.in_outpoint, OUTPOINT, batch.n_in, self._hashes, found,
            )  # fmt: skip
        prevout = np.empty(batch.n_in, draft.columns["in_prevout"].dtype)
        fault, row = kernels.link_inputs(
            found, batch.in_outpoint, batch.tx_in, first, batch.n_tx, tx_out, *_columns(self.twins), *edges, prevout
        )
        if fault:
            raise LinkFault(fault, row)
        return prevout

    def _insert_txs(self, first: int, end: int) -> None:
        new, old = np.empty(end - first, np.int64), np.empty(end - first, np.int64)
        txid = self._draft.columns["tx_id"].mapped()
        count = kernels.insert_txids(self._txs.slots, self._key, txid, self._first_tx, first, end, new, old)
        if count:
            self._twins = (np.append(self._twins[0], new[:count]), np.append(self._twins[1], old[:count]))

    def _find_older_twins(self, first: int, end: int) -> None:
        """Which of the new transactions have the id of one that an older range holds (BIP30)?"""
        if not self._runs:
            return
        txid = self._draft.columns["tx_id"].mapped()
        new, found = np.array(txid[first:end]), np.full(end - first, -1, np.int64)
        for run in self._runs:
            lookup.find_txs_in_run(
                np.array(run.key, np.uint64), _bits(run.tx_bucket), run.tx_bucket, run.tx_order, run.tx_tag,
                run.txs[1], txid, new, 32, end - first, self._hashes, found,
            )  # fmt: skip
        within = set(self._twins[0].tolist())
        rows = np.flatnonzero(found >= 0).tolist()
        self._older_twins += [(first + row, int(found[row])) for row in rows if first + row not in within]

    def _renew_txs(self, rows: int, share_done: float, end: int | None = None) -> None:
        have = (end or rows) - self._first_tx
        self._txs.renew(have, _expected(have, share_done), self._budget - self._scripts.bytes)
        self._twins = (np.empty(0, np.int64), np.empty(0, np.int64))
        for first in range(self._first_tx, rows, 1 << 16):
            self._insert_txs(first, min(first + (1 << 16), rows))

    def restore_twins(self, twins: list[list[int]]) -> None:
        """Take over what an earlier run of the same build had found."""
        self._twins = _columns(twins)

    @property
    def twins(self) -> list[tuple[int, int]]:
        """(later row, earlier row) of transactions of one id, the later within the range; in order of the later."""
        return sorted([*zip(self._twins[0].tolist(), self._twins[1].tolist(), strict=True), *self._older_twins])

    def assign_scripts(self, outputs: Outputs, share_done: float) -> tuple[Array, "NewScripts"]:
        """Ids of the scripts that outputs pay, and the new scripts among them."""
        draft, count = self._draft, outputs.count
        n_scripts = draft.rows("script")
        if self._scripts.is_short_for(n_scripts + count - self._first_script):
            self._renew_scripts(n_scripts, self._scripts_expected(count, share_done), count)
        what = (outputs.types, outputs.at, outputs.length, outputs.payload, count)
        ids = np.empty(count, np.uint32)
        payload = draft.columns["script_payload"].mapped()
        new = NewScripts.room_for(outputs)
        found = kernels.assign_scripts(
            self._scripts.slots, self._key, *what, self._in_older_runs(outputs), payload, draft.rows("payload"),
            n_scripts, new.types, new.ends, new.payload, new.outputs, ids,
        )  # fmt: skip
        return ids, new.first(found)

    def _in_older_runs(self, outputs: Outputs) -> Array:
        """Ids that the look-up runs of older ranges have of the outputs' scripts: see `kernels.assign_scripts`.

        A script that a damaged run hides would be numbered twice: what was looked at is compared with its checksums.
        """
        older = np.full(outputs.count if self._runs else 0, -1, np.int64)
        columns = self._draft.columns
        for run in self._runs:
            lookup.find_scripts_in_run(
                np.array(run.key, np.uint64), _bits(run.script_bucket), run.script_bucket, run.script_order,
                run.script_tag, run.scripts[1], *(columns[n].mapped() for n in _SCRIPT_COLUMNS),
                outputs.types, outputs.at, outputs.length, outputs.payload, outputs.count, older, *run.seen_of_scripts,
            )  # fmt: skip
            for parts in run.script_parts:
                parts.compare_marked()
        return older

    def _scripts_expected(self, count: int, share_done: float) -> int:
        """How many scripts the range will have, when `count` outputs more are to be numbered."""
        known = self._draft.rows("script") - self._first_script
        if not known:  # that all of them are new tells nothing of those to come
            return min(4 * count, _expected(count, share_done))
        before = max(1, self._draft.rows("out") - self._draft.range_start["out"] - count)
        return _expected(known + count * known // before, share_done)

    def _renew_scripts(self, rows: int, expected: int, more: int = 0) -> None:
        """Enter the range's scripts anew, with room for `more`; older runs' are found there again when they are met."""
        have = rows - self._first_script + more
        self._scripts.renew(have, max(have, expected), self._budget - self._txs.bytes)
        known = [self._draft.columns[n].mapped() for n in _SCRIPT_COLUMNS]
        kernels.insert_scripts(self._scripts.slots, self._key, *known, self._first_script, rows)

    def _scratch(self, rows: int) -> None:
        if rows > len(self._hashes):
            self._hashes = np.empty(2 * rows, np.uint64)
            self._found = np.empty(2 * rows, np.int64)


def _columns(pairs: Sequence[Sequence[int]]) -> tuple[Array, Array]:
    array = np.array(pairs, np.int64).reshape(-1, 2)
    return array[:, 0].copy(), array[:, 1].copy()


def _expected(have: int, share_done: float) -> int:
    return int(1.05 * have / max(share_done, 1e-9)) if share_done > 0.001 else 4 * have


def _bits(bucket: Array) -> int:
    return (len(bucket) - 1).bit_length() - 1
