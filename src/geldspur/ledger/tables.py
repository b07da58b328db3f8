"""The ledger as tables for export and SQL: their columns with meanings, and how rows of each are read in bulk."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from geldspur.bitcoin.addresses import encode
from geldspur.bitcoin.bulk_addresses import BULK_TYPES, WIDTH, encode_column
from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger.columns import Array
from geldspur.ledger.history import edge_outputs, first_height
from geldspur.ledger.store import NO_SCRIPT, Ledger


class Column(NamedTuple):
    """A column as SQL sees it. `repeats`: the same value stands in many rows, so that a dictionary pays."""

    name: str
    type: str
    meaning: str
    repeats: bool = False


class Made(NamedTuple):
    """Values of a column: numbers, or the bytes of texts one after another with `lengths`; `null` marks gaps."""

    values: Any
    null: Array | None = None
    lengths: Array | None = None


Read = Callable[[Ledger, int, int], dict[str, Made]]


class Table(NamedTuple):
    """A table: what it lists, its columns, what `rows_of` counts, and the reader of rows `first` to `end`."""

    name: str
    meaning: str
    columns: tuple[Column, ...]
    read: Read


def rows_of(ledger: Ledger, table: Table) -> int:
    """How many rows a table of this ledger has."""
    return {
        "blocks": len(ledger.block_hash),
        "transactions": ledger.n_txs,
        "inputs": ledger.n_inputs,
        "outputs": ledger.n_outputs,
        "scripts": ledger.n_scripts,
        "edge_outputs": edge_outputs(ledger),
    }[table.name]


def _blocks(ledger: Ledger, first: int, end: int) -> dict[str, Made]:
    header = np.ascontiguousarray(ledger.block_header[first:end])

    def word(at: int) -> Array:
        return np.ascontiguousarray(header[:, at : at + 4]).view("<u4").reshape(-1)

    return {
        "height": Made(np.arange(first, end) + first_height(ledger)),
        "hash": _hex(np.asarray(ledger.block_hash[first:end])[:, ::-1]),
        "version": Made(word(0).view(np.int32)),
        "merkle_root": _hex(header[:, 67:35:-1]),
        "time": Made(word(68).astype("datetime64[s]")),
        "bits": Made(word(72)),
        "nonce": Made(word(76)),
        "size": Made(np.asarray(ledger.block_size[first:end]).astype(np.int64)),
        "transactions": Made(np.diff(np.asarray(ledger.block_tx[first : end + 1]).astype(np.int64))),
    }


def _transactions(ledger: Ledger, first: int, end: int) -> dict[str, Made]:
    txs = np.arange(first, end)
    block = _owner(ledger.block_tx, txs)
    inputs = np.asarray(ledger.tx_in[first : end + 1]).astype(np.int64)
    outputs = np.asarray(ledger.tx_out[first : end + 1]).astype(np.int64)
    prevouts = np.asarray(ledger.in_prevout[inputs[0] : inputs[-1]])
    spends = prevouts < ledger.n_outputs
    values = np.zeros(len(prevouts), np.int64)
    values[spends] = np.asarray(ledger.out_value)[prevouts[spends]]
    coinbase = ~spends[inputs[:-1] - inputs[0]]
    came = _sums(values, inputs)
    went = _sums(np.asarray(ledger.out_value[outputs[0] : outputs[-1]]), outputs)
    size, base = (np.asarray(c[first:end]).astype(np.int64) for c in (ledger.tx_size, ledger.tx_base_size))
    return {
        "tx": Made(txs),
        "txid": _hex(np.asarray(ledger.tx_id[first:end])[:, ::-1]),
        "height": Made(block + first_height(ledger)),
        "position": Made(txs - np.asarray(ledger.block_tx)[block].astype(np.int64)),
        "version": Made(np.asarray(ledger.tx_version[first:end])),
        "locktime": Made(np.asarray(ledger.tx_locktime[first:end])),
        "size": Made(size),
        "weight": Made(3 * base + size),
        "inputs": Made(np.diff(inputs)),
        "outputs": Made(np.diff(outputs)),
        "coinbase": Made(coinbase),
        "input_sat": Made(came, coinbase),
        "output_sat": Made(went),
        "fee_sat": Made(came - went, coinbase),
    }


def _inputs(ledger: Ledger, first: int, end: int) -> dict[str, Made]:
    rows = np.arange(first, end)
    tx = _owner(ledger.tx_in, rows)
    prevouts = np.asarray(ledger.in_prevout[first:end])
    coinbase = prevouts >= ledger.n_outputs
    spent = np.where(coinbase, 0, prevouts).astype(np.int64)
    of = _owner(ledger.tx_out, spent)
    script = np.where(coinbase, NO_SCRIPT, np.asarray(ledger.out_script)[spent]).astype(np.int64)
    return {
        "input": Made(rows),
        "tx": Made(tx),
        "vin": Made(rows - np.asarray(ledger.tx_in)[tx].astype(np.int64)),
        "height": Made(_heights(ledger, tx)),
        "spent_output": Made(spent, coinbase),
        "spent_tx": Made(of, coinbase | (of < 0)),
        "value_sat": Made(np.asarray(ledger.out_value)[spent], coinbase),
        "script": Made(script, coinbase),
        "address": _addresses(ledger, script),
        "sequence": Made(np.asarray(ledger.in_sequence[first:end])),
    }


def _outputs(ledger: Ledger, first: int, end: int) -> dict[str, Made]:
    rows = np.arange(first, end)
    tx = _owner(ledger.tx_out, rows)
    edge = tx < 0
    vout = rows - np.asarray(ledger.tx_out)[np.maximum(tx, 0)].astype(np.int64)
    height = _heights(ledger, np.maximum(tx, 0))
    if edge.any():
        vout[edge] = ledger.edge_vout[rows[edge]]
        height[edge] = ledger.edge_height[rows[edge]] >> 1
    script = np.asarray(ledger.out_script[first:end]).astype(np.int64)
    spenders = np.asarray(ledger.out_spender[first:end])
    unspent = spenders >= ledger.n_inputs
    spender = np.where(unspent, 0, spenders).astype(np.int64)
    return {
        "output": Made(rows),
        "tx": Made(tx, edge),
        "vout": Made(vout),
        "height": Made(height),
        "value_sat": Made(np.asarray(ledger.out_value[first:end])),
        "script": Made(script, script == NO_SCRIPT),
        "address": _addresses(ledger, script),
        "spent_by_input": Made(spender, unspent),
        "spent_by_tx": Made(_owner(ledger.tx_in, spender), unspent),
    }


def _scripts(ledger: Ledger, first: int, end: int) -> dict[str, Made]:
    scripts = np.arange(first, end)
    types = np.asarray(ledger.script_type[first:end])
    labels = [kind.label.encode() for kind in ScriptType]
    at = np.asarray(ledger.script_at[first : end + 1]).astype(np.int64)
    return {
        "script": Made(scripts),
        "type": Made(b"".join(labels[t] for t in types), None, np.array([len(b) for b in labels])[types]),
        "address": _addresses(ledger, scripts),
        "payload": Made(ledger.script_payload[at[0] : at[-1]].tobytes(), None, np.diff(at)),
    }


def _edge_outputs(ledger: Ledger, first: int, end: int) -> dict[str, Made]:
    return {
        "output": Made(np.arange(first, end)),
        "txid": _hex(np.asarray(ledger.edge_txid[first:end])[:, ::-1]),
    }


TABLES = (
    Table("blocks", "the blocks of the best chain", (
        Column("height", "BIGINT", "its place in the chain; the genesis block has 0"),
        Column("hash", "VARCHAR", "its hash, 64 hex digits as explorers show it"),
        Column("version", "INTEGER", "the header's version"),
        Column("merkle_root", "VARCHAR", "the header's Merkle root, 64 hex digits"),
        Column("time", "TIMESTAMP", "the header's time, UTC"),
        Column("bits", "UINTEGER", "the header's target in compact form"),
        Column("nonce", "UINTEGER", "the header's nonce"),
        Column("size", "BIGINT", "bytes, with witnesses"),
        Column("transactions", "BIGINT", "how many transactions it holds"),
    ), _blocks),
    Table("transactions", "the transactions, in ledger order", (
        Column("tx", "BIGINT", "its number in ledger order, which the other tables refer to"),
        Column("txid", "VARCHAR", "its id, 64 hex digits as explorers show it"),
        Column("height", "BIGINT", "the height of its block", True),
        Column("position", "BIGINT", "its place in the block; the coinbase has 0"),
        Column("version", "INTEGER", "its version", True),
        Column("locktime", "UINTEGER", "its lock time", True),
        Column("size", "BIGINT", "bytes, with witnesses"),
        Column("weight", "BIGINT", "its weight (BIP141); the virtual size is a quarter, rounded up"),
        Column("inputs", "BIGINT", "how many inputs it has", True),
        Column("outputs", "BIGINT", "how many outputs it has", True),
        Column("coinbase", "BOOLEAN", "does it make new coins"),
        Column("input_sat", "BIGINT", "what its inputs bring, in satoshi; null for a coinbase"),
        Column("output_sat", "BIGINT", "what its outputs hold, in satoshi"),
        Column("fee_sat", "BIGINT", "input_sat - output_sat; null for a coinbase"),
    ), _transactions),
    Table("inputs", "the inputs of the transactions, with what they spend", (
        Column("input", "BIGINT", "its number in ledger order"),
        Column("tx", "BIGINT", "its transaction", True),
        Column("vin", "BIGINT", "its place in the transaction", True),
        Column("height", "BIGINT", "the height of its block", True),
        Column("spent_output", "BIGINT", "the output that it spends; null for a coinbase's"),
        Column("spent_tx", "BIGINT", "that output's transaction; null for a coinbase's, or from before a period"),
        Column("value_sat", "BIGINT", "that output's value in satoshi; null for a coinbase's"),
        Column("script", "BIGINT", "that output's script; null for a coinbase's", True),
        Column("address", "VARCHAR", "that output's address; null where its script has none", True),
        Column("sequence", "UINTEGER", "its sequence number", True),
    ), _inputs),
    Table("outputs", "the outputs of the transactions, with what spends them", (
        Column("output", "BIGINT", "its number in ledger order"),
        Column("tx", "BIGINT", "its transaction; null for one from before a period ledger's range", True),
        Column("vout", "BIGINT", "its place in the transaction", True),
        Column("height", "BIGINT", "the height of its block", True),
        Column("value_sat", "BIGINT", "its value in satoshi"),
        Column("script", "BIGINT", "the script that it pays; null for OP_RETURN", True),
        Column("address", "VARCHAR", "that script's address; null where it has none", True),
        Column("spent_by_input", "BIGINT", "the input that spends it; null while unspent"),
        Column("spent_by_tx", "BIGINT", "that input's transaction; null while unspent"),
    ), _outputs),
    Table("scripts", "the scripts that outputs pay, each once, in order of first appearance", (
        Column("script", "BIGINT", "its number"),
        Column("type", "VARCHAR", "p2pk, p2pkh, p2sh, p2wpkh, p2wsh, p2tr, multisig, witness_unknown, nonstandard",
               True),
        Column("address", "VARCHAR", "its address; null for the types that have none"),
        Column("payload", "BLOB", "the hash, key or program of the types with an address, the whole script of others"),
    ), _scripts),
    Table("edge_outputs", "where a period ledger's outputs from before its range come from; else empty", (
        Column("output", "BIGINT", "the number of the output"),
        Column("txid", "VARCHAR", "the id of its transaction, which the ledger does not hold"),
    ), _edge_outputs),
)  # fmt: skip
"""All tables, in the order in which they are best read."""


_LONGEST = 32
"""Bytes of payload of the scripts whose addresses are made in bulk."""
_HEX = np.frombuffer(b"".join(f"{b:02x}".encode() for b in range(256)), "<u2")


def _hex(data: Array) -> Made:
    """Lower-case hex of the rows of uint8[n,w]."""
    return Made(_HEX[data].tobytes(), None, np.full(len(data), 2 * data.shape[1]))


def _owner(starts: Array, rows: Array) -> Array:
    """Whose each row is, int64, by the column of first rows; -1 before the first."""
    starts = np.asarray(starts)
    return starts.searchsorted(rows.astype(starts.dtype), side="right").astype(np.int64) - 1


def _heights(ledger: Ledger, txs: Array) -> Array:
    return _owner(ledger.block_tx, txs) + first_height(ledger)


def _sums(values: Array, bounds: Array) -> Array:
    """Sums of the stretches between bounds, int64."""
    total = np.concatenate([[0], np.cumsum(values)])
    sums: Array = total[bounds[1:] - bounds[0]] - total[bounds[:-1] - bounds[0]]
    return sums


def _addresses(ledger: Ledger, scripts: Array) -> Made:
    """Address texts of scripts; NO_SCRIPT and the types without an address give nulls."""
    distinct, place = np.unique(scripts, return_inverse=True)
    text = np.zeros((len(distinct), WIDTH), np.uint8)
    lengths = np.zeros(len(distinct), np.int64)
    known = distinct != NO_SCRIPT
    types = np.full(len(distinct), -1)
    types[known] = np.asarray(ledger.script_type)[distinct[known]]
    for kind in BULK_TYPES:
        at = np.flatnonzero(types == kind)
        if len(at):
            text[at], lengths[at] = encode_column(kind, _payloads(ledger, distinct[at]), ledger.network)
    for row in np.flatnonzero(types == ScriptType.WITNESS_UNKNOWN).tolist():
        address = encode(ScriptType.WITNESS_UNKNOWN, ledger.payload(int(distinct[row])), ledger.network) or ""
        text[row, : len(address)] = np.frombuffer(address.encode(), np.uint8)
        lengths[row] = len(address)
    text, lengths = text[place], lengths[place]
    return Made(text[np.arange(WIDTH) < lengths[:, None]].tobytes(), lengths == 0, lengths)


def _payloads(ledger: Ledger, scripts: Array) -> Array:
    """Payloads of scripts of one length, uint8[n,length]."""
    at = np.asarray(ledger.script_at)[scripts].astype(np.int64)
    length = int(ledger.script_at[int(scripts[0]) + 1]) - int(at[0])
    if not 0 < length <= _LONGEST:
        raise ValueError(f"a payload of {length:,} bytes where an address has {_LONGEST} at most")
    payloads: Array = np.asarray(ledger.script_payload)[at[:, None] + np.arange(length)]
    return payloads
