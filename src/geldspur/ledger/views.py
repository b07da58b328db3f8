"""Blocks, transactions and addresses as people and programs look at them."""

from typing import Any

from geldspur.bitcoin.addresses import decode
from geldspur.bitcoin.headers import parse_header
from geldspur.bitcoin.scripts import ScriptType, classify, script_of
from geldspur.bitcoin.transactions import Transaction, parse_transaction
from geldspur.errors import UsageError
from geldspur.ledger.store import Ledger, utc

View = dict[str, Any]


def amount(sat: int) -> str:
    """An amount in BTC with eight places, as a column."""
    return f"{sat / 100_000_000:>16,.8f} BTC"


def block_view(ledger: Ledger, which: str) -> View:
    """A block by height or hash: header fields, sizes, and all transactions with what they spend."""
    height = _height(ledger, which)
    raw = ledger.raw_block(height)
    header = parse_header(raw[:80])
    first, end = ledger.txs_of_block(height)
    base = len(raw) - int((ledger.tx_size[first:end] - ledger.tx_base_size[first:end]).sum())
    return {
        "hash": ledger.block_id(height),
        "height": height,
        "confirmations": ledger.tip_height - height + 1,
        "version": header.version,
        "previousblockhash": header.previous[::-1].hex() if height else None,
        "merkleroot": header.merkle_root[::-1].hex(),
        "time": utc(header.time),
        "timestamp": header.time,
        "bits": f"{header.bits:08x}",
        "nonce": header.nonce,
        "size": len(raw),
        "strippedsize": base,
        "weight": 3 * base + len(raw),
        "tx": [_transaction(ledger, t, raw_tx) for t, raw_tx in _split(ledger, raw, first, end)],
    }


def transaction_view(ledger: Ledger, txid: str) -> View:
    """A transaction by its id: what it spends, what it pays, who spent that."""
    tx = ledger.tx_index(_hash(txid, "a transaction id"))
    if tx is None:
        raise UsageError(
            f"transaction {txid} is not in this ledger",
            where=f"{ledger.network.name}, height 0 to {ledger.tip_height:,}",
            todo="check the id and the network, or index further",
        )
    return _transaction(ledger, tx, ledger.raw_transactions([tx])[0])


def address_view(ledger: Ledger, text: str, limit: int, page: int) -> View:
    """An address: its balance at the tip and one page of the outputs that it received, in ledger order."""
    key = decode(text, ledger.network)
    script = ledger.script_index(key.script_type, key.payload)
    rows = ledger.outputs_of(script) if script is not None else ledger.runs[0].outputs[:0]
    shown = rows[(page - 1) * limit : page * limit].tolist()
    return {
        "address": text,
        "script_type": key.script_type.label,
        "network": ledger.network.name,
        "tip_height": ledger.tip_height,
        "balance_sat": ledger.balance_sat(script) if script is not None else 0,
        "received_sat": int(ledger.out_value[rows].sum()),
        "outputs_total": len(rows),
        "page": page,
        "outputs": [_received(ledger, row) for row in shown],
    }


def _received(ledger: Ledger, row: int) -> View:
    txid, vout = ledger.outpoint(row)
    height = ledger.tx_height(ledger.tx_of_output(row))
    return {
        "txid": txid,
        "vout": vout,
        "value_sat": int(ledger.out_value[row]),
        "height": height,
        "time": ledger.time_at(height),
        "spent_by": _spender(ledger, row),
    }


def _height(ledger: Ledger, which: str) -> int:
    if which.isdecimal() and len(which) < 10:
        if int(which) <= ledger.tip_height:
            return int(which)
        raise UsageError(f"there is no block {int(which):,}; the ledger ends at height {ledger.tip_height:,}")
    height = ledger.block_index(_hash(which, "a height or a block hash"))
    if height is None:
        raise UsageError(f"block {which} is not on this ledger's best chain", todo="check the hash and the network")
    return height


def _hash(text: str, what: str) -> str:
    try:
        if len(bytes.fromhex(text)) == 32:
            return text.lower()
    except ValueError:
        pass
    raise UsageError(f"{text!a} is not {what}", todo="give 64 hex digits")


def _split(ledger: Ledger, raw: bytes, first: int, end: int) -> list[tuple[int, bytes]]:
    sizes = [int(s) for s in ledger.tx_size[first:end]]
    at = len(raw) - sum(sizes)
    result = []
    for tx, size in zip(range(first, end), sizes, strict=True):
        result.append((tx, raw[at : at + size]))
        at += size
    return result


def _transaction(ledger: Ledger, tx: int, raw: bytes) -> View:
    parsed: Transaction = parse_transaction(raw)
    height = ledger.tx_height(tx)
    base = int(ledger.tx_base_size[tx])
    spent = ledger.in_prevout[ledger.tx_in[tx] : ledger.tx_in[tx + 1]].tolist()
    first_out = int(ledger.tx_out[tx])
    return {
        "txid": ledger.txid(tx),
        "hash": parsed.wtxid[::-1].hex(),
        "version": parsed.version,
        "size": len(raw),
        "vsize": (3 * base + len(raw) + 3) // 4,
        "weight": 3 * base + len(raw),
        "locktime": parsed.locktime,
        "height": height,
        "block_hash": ledger.block_id(height),
        "time": ledger.time_at(height),
        "fee_sat": ledger.fee_sat(tx),
        "vin": [
            {
                "txid": None if row >= ledger.n_outputs else i.txid[::-1].hex(),
                "vout": None if row >= ledger.n_outputs else i.vout,
                "script": i.script.hex(),
                "witness": [item.hex() for item in i.witness],
                "sequence": i.sequence,
                "prevout": None if row >= ledger.n_outputs else _prevout(ledger, row),
            }
            for i, row in zip(parsed.inputs, spent, strict=True)
        ],
        "vout": [
            {
                "n": n,
                "value_sat": o.value_sat,
                "script": o.script.hex(),
                "type": classify(o.script)[0].label,
                "address": ledger.address(int(ledger.out_script[first_out + n])),
                "spent_by": _spender(ledger, first_out + n),
            }
            for n, o in enumerate(parsed.outputs)
        ],
        "hex": raw.hex(),
    }


def _prevout(ledger: Ledger, row: int) -> View:
    script = int(ledger.out_script[row])
    kind = ScriptType(int(ledger.script_type[script]))
    of = ledger.tx_of_output(row)
    return {
        "height": ledger.tx_height(of) if of >= 0 else int(ledger.edge_height[row]) >> 1,
        "value_sat": int(ledger.out_value[row]),
        "script": script_of(kind, ledger.payload(script)).hex(),
        "type": kind.label,
        "address": ledger.address(script),
        "coinbase": ledger.is_coinbase(of) if of >= 0 else bool(ledger.edge_height[row] & 1),
    }


def _spender(ledger: Ledger, row: int) -> str | None:
    spender = ledger.spender_of(row)
    if spender is None:
        return None
    tx = ledger.tx_of_input(spender)
    return f"{ledger.txid(tx)}:{spender - int(ledger.tx_in[tx])}"
