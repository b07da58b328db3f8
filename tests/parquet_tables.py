"""Writes a case's blocks as the Parquet tables that bitcoin-etl and the public AWS data set have.

Columns and their types are those of bitcoin-etl's README and of the AWS guidance's schema; what neither has
(witnesses, the coinbase's input) is not written.
"""

import random
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from geldspur.bitcoin.transactions import parse_transaction
from tiny_chain import TinyBlock, shown

_TEXT, _INT = pa.string(), pa.int64()


def _inputs(value: pa.DataType) -> pa.DataType:
    fields = [
        ("index", _INT), ("spent_transaction_hash", _TEXT), ("spent_output_index", _INT), ("script_asm", _TEXT),
        ("script_hex", _TEXT), ("sequence", _INT), ("required_signatures", _INT), ("type", _TEXT), ("value", value),
    ]  # fmt: skip
    return pa.list_(pa.struct(fields))


def _outputs(value: pa.DataType) -> pa.DataType:
    fields = [
        ("index", _INT), ("script_asm", _TEXT), ("script_hex", _TEXT), ("required_signatures", _INT),
        ("type", _TEXT), ("value", value),
    ]  # fmt: skip
    return pa.list_(pa.struct(fields))


def block_rows(blocks: list[TinyBlock]) -> list[dict]:
    rows = []
    for height, block in enumerate(blocks):
        h, txs = block.header, [parse_transaction(tx.raw) for tx in block.txs]
        rows.append({
            "hash": block.hash, "number": height, "version": int.from_bytes(h[:4], "little", signed=True),
            "size": 81 + (2 if len(txs) > 252 else 0) + sum(len(tx.raw) for tx in block.txs),
            "merkle_root": shown(h[36:68]), "timestamp": block.seconds, "bits": h[72:76][::-1].hex(),
            "nonce": int.from_bytes(h[76:], "little"), "previousblockhash": shown(h[4:36]),
            "coinbase_param": txs[0].inputs[0].script.hex(), "transaction_count": len(txs),
        })  # fmt: skip
    return rows


def tx_rows(blocks: list[TinyBlock], *, btc: bool, wtxid: bool) -> list[dict]:
    rows = []
    for height, block in enumerate(blocks):
        for index, raw in enumerate(tx.raw for tx in block.txs):
            tx = parse_transaction(raw)
            inputs = [
                {"index": k, "spent_transaction_hash": shown(i.txid), "spent_output_index": i.vout, "script_asm": "",
                 "script_hex": i.script.hex(), "sequence": i.sequence}
                for k, i in enumerate(tx.inputs)
            ]  # fmt: skip
            outputs = [
                {"index": k, "script_hex": o.script.hex(), "value": o.value_sat / 1e8 if btc else o.value_sat}
                for k, o in enumerate(tx.outputs)
            ]
            rows.append({
                "hash": shown(tx.wtxid if wtxid else tx.txid), "size": len(raw), "version": tx.version,
                "lock_time": tx.locktime, "block_hash": block.hash, "block_number": height,
                "block_timestamp": block.seconds, "index": index, "is_coinbase": index == 0,
                "inputs": (None if btc else []) if index == 0 else inputs, "outputs": outputs,
            })  # fmt: skip
    return rows


_TX_FIELDS = [
    ("hash", _TEXT), ("size", _INT), ("version", _INT), ("lock_time", _INT), ("block_hash", _TEXT),
    ("block_number", _INT), ("is_coinbase", pa.bool_()),
]  # fmt: skip
_BLOCK_FIELDS = [
    ("hash", _TEXT), ("size", _INT), ("number", _INT), ("version", _INT), ("merkle_root", _TEXT), ("bits", _TEXT),
    ("coinbase_param", _TEXT), ("transaction_count", _INT),
]  # fmt: skip


def write_bitcoin_etl(blocks: list[TinyBlock], folder: Path, per_file: int = 1000) -> Path:
    """Whole numbers throughout, nonce in hexadecimal, partitions by height, several row groups a file."""
    block_schema = pa.schema([*_BLOCK_FIELDS, ("timestamp", _INT), ("nonce", _TEXT)])
    tx_fields = [("block_timestamp", _INT), ("inputs", _inputs(_INT)), ("outputs", _outputs(_INT))]
    tx_schema = pa.schema([*_TX_FIELDS, *tx_fields])
    block_table = [{**row, "nonce": f"{row['nonce']:x}"} for row in block_rows(blocks)]
    tx_table = tx_rows(blocks, btc=False, wtxid=False)
    for first in range(0, len(blocks), per_file):
        part = f"start_block={first:08}/end_block={first + per_file - 1:08}"
        for name, rows, key, schema in (
            ("blocks", block_table, "number", block_schema),
            ("transactions", tx_table, "block_number", tx_schema),
        ):
            path = folder / name / part / f"{name}_{first:08}.parquet"
            path.parent.mkdir(parents=True)
            mine = [row for row in rows if first <= row[key] < first + per_file]
            pq.write_table(pa.Table.from_pylist(mine, schema), path, row_group_size=777)
    return folder


def write_aws(blocks: list[TinyBlock], folder: Path, seed: int = 1) -> Path:
    """Amounts in BTC, times as timestamps, partitions by date; a day's rows in no order, as the nightly job has them.

    The last day is still as it came: a file a block.
    """
    dates = [datetime.fromtimestamp(block.seconds, UTC).strftime("%Y-%m-%d") for block in blocks]
    time = pa.timestamp("ns")
    block_schema = pa.schema([*_BLOCK_FIELDS, ("timestamp", time), ("nonce", _INT), ("previousblockhash", _TEXT)])
    tx_fields = [
        ("block_timestamp", time), ("index", _INT), ("inputs", _inputs(pa.float64())),
        ("outputs", _outputs(pa.float64())),
    ]  # fmt: skip
    tx_schema = pa.schema([*_TX_FIELDS, *tx_fields])
    tables = {"blocks": block_rows(blocks), "transactions": tx_rows(blocks, btc=True, wtxid=True)}
    for name, rows in tables.items():
        key, schema = ("number", block_schema) if name == "blocks" else ("block_number", tx_schema)
        by_file = defaultdict(list)
        for row in rows:
            date = dates[row[key]]
            last = date == max(dates)
            by_file[f"date={date}/{row[key]}" if last else f"date={date}/part-00000-{date}"].append(
                {**row, **{k: row[k] * 10**9 for k in ("timestamp", "block_timestamp") if k in row}}
            )
        for file, mine in by_file.items():
            random.Random(seed).shuffle(mine)
            path = folder / name / f"{file}.snappy.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(mine, schema), path, compression="snappy")
    return folder
