"""Blocks, transactions and addresses as people and programs look at them."""

from dataclasses import asdict
from typing import Any

from geldspur.bitcoin.addresses import Decoded, decode
from geldspur.bitcoin.headers import parse_header
from geldspur.bitcoin.scripts import ScriptType, classify, script_of
from geldspur.bitcoin.transactions import Transaction, parse_transaction
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger.columns import coherent
from geldspur.ledger.history import AddressHistory, block_time, edge_outputs, first_height, inpoint, outpoint, when
from geldspur.ledger.neighbours import Side, neighbours
from geldspur.ledger.store import Ledger
from geldspur.times import utc

View = dict[str, Any]


def amount(sat: int) -> str:
    """An amount in BTC with eight places, as a column."""
    coins, rest = divmod(abs(sat), 100_000_000)
    return f"{'-' if sat < 0 else ''}{coins:,}.{rest:08}".rjust(16) + " BTC"


def block_view(ledger: Ledger, which: str) -> View:
    """A block by height or hash: header fields, sizes, and all transactions with what they spend."""
    with coherent(ledger.folder):
        return _block_view(ledger, _height(ledger, which))


def _block_view(ledger: Ledger, height: int) -> View:
    raw = ledger.raw_block(height)
    header = parse_header(raw[:80])
    row = height - first_height(ledger)
    first, end = int(ledger.block_tx[row]), int(ledger.block_tx[row + 1])
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
    key = _hash(txid, "a transaction id")
    with coherent(ledger.folder):
        return _transaction_view(ledger, key)


def _transaction_view(ledger: Ledger, txid: str) -> View:
    tx = ledger.tx_index(txid)
    if tx is None:
        raise UsageError(
            f"transaction {txid} is not in this ledger",
            where=f"{ledger.network.name}, height {first_height(ledger):,} to {ledger.tip_height:,}",
            todo="check the id and the network, or index further",
        )
    return _transaction(ledger, tx, ledger.raw_transactions([tx])[0])


def address_view(
    ledger: Ledger,
    text: str,
    limit: int,
    page: int,
    *,
    newest_first: bool = False,
    at_height: int | None = None,
    with_neighbours: bool = False,
) -> View:
    """An address: its balance, one page of its history and of the outputs that it received, if asked its neighbours.

    `history` lists receipts and spends, `outputs` the receipts alone, both in ledger order or newest first.
    `balance_at` is there where a height was asked for. In a period ledger only what was received or spent in the
    period is known: `from_height` says where it begins, and `balance_sat` leaves out what was received before it
    and not spent in it.
    """
    key = decode(text, ledger.network)
    with coherent(ledger.folder):
        return _address_view(ledger, text, key, limit, page, newest_first, at_height, with_neighbours)


def _address_view(
    ledger: Ledger, text: str, key: Decoded, limit: int, page: int, newest_first: bool, at_height: int | None,
    with_neighbours: bool,
) -> View:  # fmt: skip
    history = AddressHistory(ledger, ledger.script_index(key.script_type, key.payload))
    total, first = len(history.receipts), (page - 1) * limit
    rows = history.receipts[::-1] if newest_first else history.receipts
    view = {
        "address": text,
        "script_type": key.script_type.label,
        "network": ledger.network.name,
        "from_height": first_height(ledger),
        "tip_height": ledger.tip_height,
        "balance_sat": history.balance_sat,
        "received_sat": history.received_sat,
        "outputs_total": total,
        "entries_total": len(history),
        "page": page,
        "newest_first": newest_first,
        "history": [asdict(entry) for entry in history.page(page, limit, newest_first=newest_first)],
        "outputs": [_received(ledger, row) for row in rows[first : first + limit].tolist()],
    }
    if at_height is not None:
        view["balance_at"] = {"height": at_height, "balance_sat": history.balance_at(at_height)}
    if with_neighbours:
        found = (neighbours(ledger, text, s, limit=limit, page=page, newest_first=newest_first) for s in Side)
        view["neighbours"] = {str(side.side): {**asdict(side), "complete": side.complete} for side in found}
    return view


def _received(ledger: Ledger, row: int) -> View:
    txid, vout = outpoint(ledger, row)
    height, time = when(ledger, row)
    return {
        "txid": txid,
        "vout": vout,
        "value_sat": int(ledger.out_value[row]),
        "height": height,
        "time": time,
        "spent_by": _spender(ledger, row),
    }


def _height(ledger: Ledger, which: str) -> int:
    if which.isdecimal() and len(which) < 10:
        first = first_height(ledger)
        if first <= int(which) <= ledger.tip_height:
            return int(which)
        begins = f"begins at height {first:,} and " if first else ""
        raise UsageError(
            f"there is no block {int(which):,}; the ledger {begins}ends at height {ledger.tip_height:,}",
            todo="ask for a height in that range, or bring the ledger up to date with: geldspur index",
        )
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
    if parsed.txid != ledger.tx_id[tx].tobytes():
        raise GeldspurError(
            f"the source no longer holds transaction {ledger.txid(tx)}: its bytes there have another id",
            todo="restore the block files; geldspur doctor --source tells which blocks have changed",
        )
    height = ledger.tx_height(tx)
    base = int(ledger.tx_base_size[tx])
    prevouts = ledger.in_prevout[int(ledger.tx_in[tx]) : int(ledger.tx_in[tx + 1])].tolist()
    spent = [row if row < ledger.n_outputs else None for row in prevouts]
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
        "time": block_time(ledger, height),
        "fee_sat": ledger.fee_sat(tx),
        "vin": [
            {
                "txid": None if row is None else i.txid[::-1].hex(),
                "vout": None if row is None else i.vout,
                "script": i.script.hex(),
                "witness": [item.hex() for item in i.witness],
                "sequence": i.sequence,
                "prevout": None if row is None else _prevout(ledger, row),
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
    before_period = row < edge_outputs(ledger)
    return {
        "height": when(ledger, row)[0],
        "value_sat": int(ledger.out_value[row]),
        "script": script_of(kind, ledger.payload(script)).hex(),
        "type": kind.label,
        "address": ledger.address(script),
        "coinbase": None if before_period else ledger.is_coinbase(ledger.tx_of_output(row)),
        "before_period": before_period,
    }


def _spender(ledger: Ledger, row: int) -> str | None:
    spender = int(ledger.out_spender[row])
    if spender >= ledger.n_inputs:
        return None
    txid, vin = inpoint(ledger, spender)
    return f"{txid}:{vin}"
