"""The ledger as it lies on disk: columns, look-ups, and the raw bytes of what they came from.

Rows are numbered in ledger order: block row `b` (height `first_height + b`) holds transactions
`block_tx[b] .. block_tx[b+1]`, transaction `t` inputs `tx_in[t] .. tx_in[t+1]` and outputs
`tx_out[t] .. tx_out[t+1]`. `in_prevout` is the output row that an input spends, `out_spender` the input row that
spends an output, `out_script` the script that it pays.

An input is a coinbase's where its `in_prevout` is no output row, an output is spent where its `out_spender` is
an input row; what is neither holds higher values (see `layout`). Rows may be four or eight bytes wide.

A *period* ledger begins above height 0. What its inputs spend from before it are *edges*: output rows
`0 .. n_edges` of no transaction here, with value and script from Core's undo files.
"""

import hashlib
import mmap
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin.addresses import Decoded, encode
from geldspur.bitcoin.headers import HEADER_SIZE, parse_header
from geldspur.bitcoin.networks import NETWORKS
from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError
from geldspur.ledger import manifests
from geldspur.ledger.columns import Ahead, Array, open_column, read_json
from geldspur.ledger.layout import gone
from geldspur.ledger.opening import open_ledger
from geldspur.ledger.sources import BlockRef, Source, read_block, reopen
from geldspur.times import utc

_FEW = 16
"""Outputs up to which Python is quicker than numpy."""
_SPARSE = 4096
"""Rows between two that are wanted, up to which reading all of them is quicker than picking."""
_NEIGHBOURS = 4
"""Scripts, to the power of two, of whose payloads and outputs it is taken that all are read with those of one."""
_GATHER = 1 << 20
"""Rows gathered at once: a hub's gather stays within bounded memory."""
NO_SCRIPT = int(np.iinfo(np.uint32).max)
"""`out_script` of an output that can't be spent (OP_RETURN, oversized)."""


class Ledger:
    """A finished ledger, opened read-only. Columns are memory-mapped attributes named as their files.

    `for_look_ups` is for a few questions to a large ledger: little is read from the disk for each. With `checked`, too,
    whatever is read is compared with checksums first, and damage is a `GeldspurError`: that makes a look-up some tens
    of times as dear, which nobody notices who asks once. Where the ledger has no such checksums, `is_checked` is False.
    """

    def __init__(self, folder: Path, *, for_look_ups: bool = False, checked: bool = False) -> None:
        self.folder = folder
        self._for_look_ups = for_look_ups
        opened = open_ledger(folder, for_look_ups, checked)
        self.manifest, self.runs, self.is_checked, column = (
            opened.manifest, opened.runs, opened.checked, opened.columns,
        )  # fmt: skip
        self.network = NETWORKS[self.manifest["network"]]
        self.first_height: int = self.manifest["heights"][0]
        self.tip_height: int = self.manifest["heights"][1]
        self.tip_hash: str = self.manifest["tip_hash"]
        counts = self.manifest["counts"]
        self.n_blocks: int = counts["blocks"]
        self.n_txs: int = counts["transactions"]
        self.n_inputs: int = counts["inputs"]
        self.n_outputs: int = counts["outputs"]
        self.n_scripts: int = counts["scripts"]
        self.n_edges: int = counts["edges"]
        self.block_header: Array = column["block_header"]
        self.block_hash: Array = column["block_hash"]
        self.block_size: Array = column["block_size"]
        self.block_tx: Array = column["block_tx"]
        self.tx_id: Array = column["tx_id"]
        self.tx_version: Array = column["tx_version"]
        self.tx_locktime: Array = column["tx_locktime"]
        self.tx_size: Array = column["tx_size"]
        self.tx_base_size: Array = column["tx_base_size"]
        self.tx_in: Array = column["tx_in"]
        self.tx_out: Array = column["tx_out"]
        self.in_prevout: Array = column["in_prevout"]
        self.in_sequence: Array = column["in_sequence"]
        self.in_signs: Array = column["in_signs"]
        self.out_value: Array = column["out_value"]
        self.out_script: Array = column["out_script"]
        self.out_spender: Array = column["out_spender"]
        self.script_type: Array = column["script_type"]
        self.script_at: Array = column["script_at"]
        self.script_payload: Array = column["script_payload"]
        self.edge_txid: Array = column["edge_txid"]
        self.edge_vout: Array = column["edge_vout"]
        self.edge_height: Array = column["edge_height"]
        self._gone = gone(self.out_spender.dtype)
        # What look-ups take one by one: a memoryview gives a value in a third of an array's time.
        self._type, self._at = self.script_type.data, self.script_at.data
        self._payload = self.script_payload.data
        self._value, self._spender = self.out_value.data, self.out_spender.data
        self._asked = mmap.mmap(-1, (self.n_scripts >> _NEIGHBOURS) + 1) if for_look_ups else None
        self._ahead_script = Ahead(self.script_type, self.script_at, self.runs[0].out_start)
        self._ahead_payload = Ahead(self.script_payload)
        self._ahead_output = Ahead(self.out_value, self.out_spender)

    @cached_property
    def manifest_sha256(self) -> str:
        """SHA-256 over what the ledger holds: the same for equal content, however it was built."""
        return manifests.identity(self.manifest)

    # Transactions

    def tx_index(self, txid: str) -> int | None:
        """The row of a transaction (of the last one, where BIP30's duplicates share the id)."""
        key = bytes.fromhex(txid)[::-1]
        for run in reversed(self.runs):
            for row in run.candidate_txs(key):
                if self.tx_id[row].tobytes() == key:
                    return row
        return None

    def txid(self, tx: int) -> str:
        """A transaction's id as people write it."""
        return bytes(self.tx_id[tx])[::-1].hex()

    def tx_height(self, tx: int) -> int:
        """The height of the block that holds a transaction."""
        return self.first_height + int(np.searchsorted(self.block_tx, tx, side="right")) - 1

    def tx_position(self, tx: int) -> int:
        """A transaction's place in its block; the coinbase is 0."""
        return tx - int(self.block_tx[self.tx_height(tx) - self.first_height])

    def tx_of_input(self, row: int) -> int:
        """The transaction that an input is of."""
        return int(np.searchsorted(self.tx_in, self.tx_in.dtype.type(row), side="right")) - 1

    def tx_of_output(self, row: int) -> int:
        """The transaction that an output is of; -1 for an edge, which is of none in this ledger."""
        return int(np.searchsorted(self.tx_out, self.tx_out.dtype.type(row), side="right")) - 1

    def outpoint(self, row: int) -> tuple[str, int]:
        """(txid, vout) of an output row."""
        tx = self.tx_of_output(row)
        if tx < 0:
            return bytes(self.edge_txid[row])[::-1].hex(), int(self.edge_vout[row])
        return self.txid(tx), row - int(self.tx_out[tx])

    def is_coinbase(self, tx: int) -> bool:
        """Does the transaction make new coins?"""
        return int(self.in_prevout[self.tx_in[tx]]) >= self.n_outputs

    def spent_by_tx(self, tx: int) -> list[int]:
        """The output rows that a transaction's inputs spend; none for a coinbase."""
        return [] if self.is_coinbase(tx) else self.in_prevout[self.tx_in[tx] : self.tx_in[tx + 1]].tolist()

    def spender_of(self, output: int) -> int | None:
        """The input row that spends an output; None where nobody has, or ever can."""
        row = int(self.out_spender[output])
        return row if row < self.n_inputs else None

    def prevouts(self, tx: int) -> list[tuple[int, int] | None]:
        """(transaction, vout) that each input spends; None for a coinbase's. An edge's transaction is -1."""
        result: list[tuple[int, int] | None] = []
        for row in self.in_prevout[self.tx_in[tx] : self.tx_in[tx + 1]].tolist():
            of = self.tx_of_output(row)
            if row >= self.n_outputs:
                result.append(None)
            elif of < 0:
                result.append((of, int(self.edge_vout[row])))
            else:
                result.append((of, row - int(self.tx_out[of])))
        return result

    def fee_sat(self, tx: int) -> int | None:
        """What the inputs hold more than the outputs; None for a coinbase."""
        if self.is_coinbase(tx):
            return None
        spent = self.in_prevout[self.tx_in[tx] : self.tx_in[tx + 1]]
        return int(self.out_value[spent].sum()) - int(self.out_value[self.tx_out[tx] : self.tx_out[tx + 1]].sum())

    # Blocks

    def block_index(self, block_hash: str) -> int | None:
        """The height of a block of the best chain, by its hash."""
        wanted = np.frombuffer(bytes.fromhex(block_hash)[::-1], np.uint8)
        first = np.flatnonzero((self.block_hash[:, :8] == wanted[:8]).all(axis=1))
        return next((self.first_height + int(b) for b in first if np.array_equal(self.block_hash[b], wanted)), None)

    def block_id(self, height: int) -> str:
        """A block's hash as people write it."""
        return bytes(self.block_hash[height - self.first_height])[::-1].hex()

    def header(self, height: int) -> bytes:
        """The 80 bytes of a block's header."""
        return bytes(self.block_header[height - self.first_height])

    def txs_of_block(self, height: int) -> tuple[int, int]:
        """The rows (first, end) of a block's transactions."""
        b = height - self.first_height
        return int(self.block_tx[b]), int(self.block_tx[b + 1])

    def time_at(self, height: int) -> str:
        """A block's time, UTC, as files and reports show it."""
        return utc(self.block_time[height - self.first_height])

    @cached_property
    def block_time(self) -> Array:
        """Header time of every block, uint32[blocks], seconds UTC."""
        return np.ascontiguousarray(self.block_header[:, 68:72]).view("<u4").reshape(-1)

    def block_txids(self, height: int) -> Array:
        """Ids of a block's transactions, uint8[n,32], in the byte order of the wire."""
        return np.asarray(self.tx_id[slice(*self.txs_of_block(height))])

    # Scripts and addresses

    def script_index(self, script_type: ScriptType, payload: bytes) -> int | None:
        """The id of a script by its type and payload; None where no output pays it."""
        kind = int(script_type)  # numpy takes microseconds to compare a number of its own with an enumeration's
        for run in self.runs:
            for row in run.candidate_scripts(script_type, payload):
                if self._asked is not None and not self._asked[row >> _NEIGHBOURS]:
                    self._asked[row >> _NEIGHBOURS] = 1
                    self._read_script_ahead(row)
                if self._type[row] == kind and self.payload(row) == payload:
                    return row
        return None

    def _read_script_ahead(self, script: int) -> None:
        """Have read at once what tells where a script's payload and outputs are, and then these at once."""
        self._ahead_script(script, 2)
        first = self._at[script]
        self._ahead_payload(first, max(self._at[script + 1] - first, 1))
        self.runs[0].ahead_of_outputs(script)

    def scripts_of(self, keys: Sequence[Decoded]) -> list[int | None]:
        """`script_index` for many addresses."""
        return [self.script_index(key.script_type, key.payload) for key in keys]

    def payload(self, script: int) -> bytes:
        """The bytes that tell a script from others of its type."""
        payload: bytes = self._payload[self._at[script] : self._at[script + 1]].tobytes()
        return payload

    def address(self, script: int) -> str | None:
        """A script's address; None where it has none (P2PK, bare multisig, OP_RETURN, odd ones)."""
        if script == NO_SCRIPT:
            return None
        return encode(ScriptType(int(self.script_type[script])), self.payload(script), self.network)

    def script_name(self, script: int) -> str:
        """The address, or the type and the start of the script's SHA-256 where there is no address."""
        if script == NO_SCRIPT:
            return "op_return"
        kind = ScriptType(int(self.script_type[script])).label
        return self.address(script) or f"{kind}:{hashlib.sha256(self.payload(script)).hexdigest()[:16]}"

    def outputs_of(self, script: int) -> Array:
        """Rows of the outputs that pay a script, in ledger order."""
        if len(self.runs) == 1:
            return self.runs[0].outputs_of(script)
        return np.concatenate([run.outputs_of(script) for run in self.runs])

    @cached_property
    def outputs_by_script(self) -> tuple[Array, Array]:
        """(start, outputs): rows `outputs[start[s] : start[s + 1]]` pay script s, for whoever walks them all.

        Mapped from disk where one look-up run holds all outputs; made in memory after appends.
        """
        if len(self.runs) == 1 and not self.runs[0].cut:
            return self.runs[0].out_start, self.runs[0].outputs
        rows = np.flatnonzero(self.out_script != NO_SCRIPT)
        paid = self.out_script[rows]
        start = np.zeros(self.n_scripts + 1, np.int64)
        np.cumsum(np.bincount(paid, minlength=self.n_scripts), out=start[1:])
        return start, rows[np.argsort(paid, kind="stable")]

    def balance_sat(self, script: int) -> int:
        """What a script's unspent outputs hold at the tip."""
        rows: list[int] = []
        for run in self.runs:
            few = run.few_outputs_of(script, _FEW)
            if few is None:
                return self._balance_of_many(self.outputs_of(script))
            rows += few
        if self._for_look_ups:
            for row in rows:
                self._ahead_output(row)
        # Inputs that were appended since the ledger was opened don't spend anything yet.
        return sum([self._value[row] for row in rows if self.n_inputs <= self._spender[row] != self._gone])

    def _balance_of_many(self, outputs: Array) -> int:
        total = 0
        for part in parts(outputs):
            spender = self.spenders_of(part)
            total += int(self.values_of(part[(spender >= self.n_inputs) & (spender != self._gone)]).sum())
        return total

    def values_of(self, outputs: Array) -> Array:
        """Values of output rows, ascending ones, in satoshi: int64, parallel to them."""
        return self._gather("out_value", outputs)

    def spenders_of(self, outputs: Array) -> Array:
        """`out_spender` of output rows, ascending ones: parallel to them."""
        return self._gather("out_spender", outputs)

    def _gather(self, column: str, outputs: Array) -> Array:
        """Values of a column of outputs: few or scattered ones are asked for first, many read as a stretch."""
        if self._for_look_ups and len(outputs):
            many = len(outputs) > _FEW and not self.is_checked
            if many and len(outputs) * _SPARSE > int(outputs[-1]) - int(outputs[0]):
                return np.asarray(self._stretches[column][outputs])
            for row in outputs.tolist():
                self._ahead_output(row)
        return np.asarray(getattr(self, column)[outputs])

    @cached_property
    def _stretches(self) -> dict[str, Array]:
        """Columns of outputs again, mapped for reading on and on: the system then reads ahead by itself."""
        entries = self.manifest["columns"]
        return {n: open_column(self.folder / "columns", n, entries[n]) for n in ("out_value", "out_spender")}

    # The source

    @cached_property
    def _source(self) -> tuple[list[tuple[int, Source]], Array, Array]:
        folder = self.folder / "source"
        content = read_json(folder / "source.json", "the ledger's record of its source")
        sources = [(entry["first_row"], reopen(entry["source"])) for entry in content["sources"]]
        entries: dict[str, Any] = content["columns"]
        file, offset = (open_column(folder, n, entries[n]) for n in ("block_file", "block_offset"))
        return sources, file, offset

    def raw_block(self, height: int) -> bytes:
        """A block as its source holds it; GeldspurError where the source is gone or has changed."""
        sources, file, offset = self._source
        b = height - self.first_height
        source = next(source for first_row, source in reversed(sources) if first_row <= b)
        header = parse_header(self.header(height))
        place = f"block {height:,}, file {int(file[b])}, offset {int(offset[b]):,}"
        ref = BlockRef(header, int(self.block_size[b]), int(file[b]), int(offset[b]), place)
        try:
            raw = read_block(source, ref)
        except GeldspurError as error:
            raise GeldspurError(
                f"the source no longer holds block {height:,}: {error.what}",
                where=error.where,
                todo="restore the block files, or index them again",
            ) from error
        if len(raw) != ref.size or raw[:HEADER_SIZE] != header.raw:
            raise GeldspurError(
                f"the source can't give the whole of block {height:,}",
                where=place,
                todo="index Bitcoin Core's own files for raw transactions",
            )
        return raw

    def raw_transactions(self, txs: Sequence[int]) -> list[bytes]:
        """Transactions as the source holds them, in the order asked for."""
        blocks: dict[int, bytes] = {}
        result = []
        for tx in txs:
            height = self.tx_height(tx)
            if height not in blocks:
                blocks[height] = self.raw_block(height)
            raw = blocks[height]
            first, end = self.txs_of_block(height)
            sizes = self.tx_size[first:end].astype(np.int64)
            start = len(raw) - int(sizes.sum()) + int(sizes[: tx - first].sum())
            result.append(raw[start : start + int(self.tx_size[tx])])
        return result


def parts(rows: Array) -> Iterator[Array]:
    """Slices of bounded length."""
    return (rows[at : at + _GATHER] for at in range(0, len(rows), _GATHER))
