"""Rows of a Parquet table of transactions, turned into what the wire has, without the witnesses.

Source of the columns: bitcoin-etl's schema, and the public AWS data set's, which follows it (docs/sources.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from geldspur.bitcoin.headers import double_sha256
from geldspur.errors import GeldspurError
from geldspur.ledger import parquet_kernels as kernels
from geldspur.ledger.sources import MAX_BLOCK

_PLAIN = ("hash", "size", "version", "lock_time", "block_hash", "block_number", "index")
_INPUT = ("spent_transaction_hash", "spent_output_index", "script_hex", "sequence")
_OUTPUT = ("script_hex", "value")
_BATCH = 1 << 16
_COIN = 100_000_000
_SEQUENCES = (0, 0xFFFFFFFE, 0xFFFFFFFD, 1)
"""What coinbases carry besides 0xFFFFFFFF. No column has it, and it counts for nothing but the txid."""


@dataclass(frozen=True, slots=True)
class TxRows:
    """Transactions of some rows, sorted by block number and place in the block.

    Transaction t is data[start[t]:end[t]], stripped of its witnesses; size[t] is its size with them.
    """

    number: npt.NDArray[np.int64]
    block: npt.NDArray[np.uint8]
    """uint8[n, 32]: hash of the block, in the byte order of the wire."""
    index: npt.NDArray[np.int64]
    size: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    end: npt.NDArray[np.int64]
    data: npt.NDArray[np.uint8]


def read_rows(path: Path, group: int, coinbase_of: Mapping[bytes, str]) -> TxRows:
    """One row group of a table of transactions.

    `coinbase_of` has the coinbase's script in hexadecimal by the hash of its block. Raises `GeldspurError` for
    columns that are missing or don't hold what they should.
    """
    parts: list[TxRows] = []
    with pq.ParquetFile(path) as file:
        columns = _leaves(file, path)
        for batch in file.iter_batches(_BATCH, row_groups=[group], columns=columns):
            parts.append(_rebuild(pa.Table.from_batches([batch]), f"{path}, row group {group}", coinbase_of))
    return _sorted(parts)


def _leaves(file: Any, path: Path) -> list[str]:
    """The columns that are needed, as the file names them: writers differ in how they nest an array's fields."""
    found: dict[tuple[str, str], str] = {}
    for number in range(len(file.schema)):
        full = file.schema.column(number).path
        found[full.split(".")[0], full.rsplit(".", maxsplit=1)[-1]] = full
    needed = [(n, n) for n in _PLAIN] + [("inputs", n) for n in _INPUT] + [("outputs", n) for n in _OUTPUT]
    missing = [".".join(dict.fromkeys(key)) for key in needed if key not in found and key != ("index", "index")]
    if missing:
        raise GeldspurError(
            f"{path.name} is no table of transactions as bitcoin-etl lays it out: it lacks {', '.join(missing)}",
            where=str(path),
        )
    return [found[key] for key in needed if key in found]


def _rebuild(table: Any, where: str, coinbase_of: Mapping[bytes, str]) -> TxRows:
    in_at, inputs = _nested(table, "inputs")
    out_at, outputs = _nested(table, "outputs")
    in_hash_at, in_hash = _text(inputs["spent_transaction_hash"])
    in_script_at, in_script = _text(inputs["script_hex"])
    out_script_at, out_script = _text(outputs["script_hex"])
    block = _hashes(table["block_hash"], where)
    lone = np.flatnonzero(np.diff(in_at) == 0)
    scripts = [""] * len(block)
    for t in lone.tolist():
        scripts[t] = coinbase_of.get(block[t].tobytes(), "")
    coinbase_at, coinbase = _text(pa.chunked_array([pa.array(scripts, pa.large_string())]))
    tx_at = np.empty(len(block) + 1, np.int64)
    fault, t = kernels.measure_transactions(
        in_at, in_hash_at, in_script_at, out_at, out_script_at, coinbase_at, tx_at
    )  # fmt: skip
    if fault == kernels.OK:
        data = np.empty(int(tx_at[-1]), np.uint8)
        fault, t = kernels.write_transactions(
            _numbers(table["version"]), _numbers(table["lock_time"]), in_at, in_hash_at, in_hash,
            _numbers(inputs["spent_output_index"]), _numbers(inputs["sequence"]), in_script_at, in_script,
            out_at, _satoshi(outputs["value"]), out_script_at, out_script, coinbase_at, coinbase, tx_at, data,
        )  # fmt: skip
    if fault != kernels.OK:
        raise GeldspurError(
            f"a transaction can't be rebuilt: {kernels.FAULTS[fault]}",
            where=f"{where}, transaction {table['hash'][t].as_py()} of block {table['block_number'][t].as_py()}",
            todo="fetch the file again",
        )
    for t in lone.tolist():
        _complete_coinbase(data[tx_at[t] : tx_at[t + 1]], len(scripts[t]) // 2, table["hash"][t].as_py())
    number, size = _numbers(table["block_number"]), _numbers(table["size"])
    if ((size < 0) | (size > MAX_BLOCK)).any():
        raise GeldspurError("a transaction's size is missing or impossible", where=where, todo="fetch the file again")
    index = _numbers(table["index"]) if "index" in table.column_names else np.full(len(number), -1, np.int64)
    return TxRows(number, block, index, size, tx_at[:-1], tx_at[1:], data)


def _complete_coinbase(tx: npt.NDArray[np.uint8], script: int, claimed: str | None) -> None:
    """Try which sequence gives the hash that the table names, which may be the txid or the wtxid.

    Where none does, the first stays, and the block's Merkle root will tell that the transaction is not whole.
    """
    at = 4 + 1 + 36 + (1 if script < 253 else 3 if script < 1 << 16 else 5) + script
    try:
        wanted = bytes.fromhex(claimed or "")[::-1]
    except ValueError:
        wanted = b""
    for sequence in (kernels.FINAL, *_SEQUENCES):
        tx[at : at + 4] = np.frombuffer(sequence.to_bytes(4, "little"), np.uint8)
        plain = tx.tobytes()
        # The witness of a coinbase is 32 bytes that so far always were zero (BIP141).
        whole = plain[:4] + b"\0\1" + plain[4:-4] + b"\1\x20" + bytes(32) + plain[-4:]
        if wanted in (double_sha256(plain), double_sha256(whole)):
            return
    tx[at : at + 4] = 0xFF


def _sorted(parts: list[TxRows]) -> TxRows:
    at = np.cumsum([0] + [len(part.data) for part in parts])
    number, block, index, size = (
        np.concatenate([getattr(part, name) for part in parts]) for name in ("number", "block", "index", "size")
    )
    start = np.concatenate([part.start + begin for part, begin in zip(parts, at, strict=False)])
    end = np.concatenate([part.end + begin for part, begin in zip(parts, at, strict=False)])
    data = np.concatenate([part.data for part in parts])
    order = np.lexsort((np.arange(len(number)), index, number))
    return TxRows(number[order], block[order], index[order], size[order], start[order], end[order], data)


def _nested(table: Any, name: str) -> tuple[npt.NDArray[np.int64], dict[str, Any]]:
    """Where each row's items begin, int64[rows+1], and the items' fields as flat columns."""
    lists = table[name]
    lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy().astype(np.int64)
    flat = pc.list_flatten(lists)
    fields = {field.name: pc.struct_field(flat, field.name) for field in flat.type}
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), fields


def _text(column: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Offsets int64[rows+1] and bytes of a column of text; nulls are empty."""
    array = pc.fill_null(pc.cast(column, pa.large_string()), "").combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], pa.large_string())
    _, offsets, data = array.buffers()
    if offsets is None or not len(array):
        return np.zeros(len(array) + 1, np.int64), np.empty(0, np.uint8)
    at = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return at, np.frombuffer(data, np.uint8) if data is not None and data.size else np.empty(0, np.uint8)


def _numbers(column: Any) -> npt.NDArray[np.int64]:
    """A column of whole numbers, int64; nulls are -1, which no field may be."""
    return np.ascontiguousarray(pc.fill_null(pc.cast(column, pa.int64()), -1).to_numpy())


def _satoshi(column: Any) -> npt.NDArray[np.int64]:
    """Amounts: whole numbers are satoshi (bitcoin-etl), floating ones BTC (AWS), whose eighth digit is exact."""
    if not pa.types.is_floating(column.type):
        return _numbers(column)
    btc = pc.fill_null(column, -1.0).to_numpy()
    if not np.isfinite(btc).all():
        return np.full(len(btc), -1, np.int64)
    satoshi: npt.NDArray[np.int64] = np.rint(np.clip(btc, -1, 1e9) * _COIN).astype(np.int64)
    return satoshi


def _hashes(column: Any, where: str) -> npt.NDArray[np.uint8]:
    """Hashes in hexadecimal as people write them, to uint8[rows, 32] in the byte order of the wire."""
    texts = column.to_pylist()
    try:
        bytes_of = {text: bytes.fromhex(text)[::-1] for text in set(texts)}
    except (TypeError, ValueError) as error:
        raise GeldspurError("a block hash is not hexadecimal", where=where) from error
    if any(len(name) != 32 for name in bytes_of.values()):
        raise GeldspurError("a block hash has not 64 hexadecimal digits", where=where)
    return np.frombuffer(b"".join([bytes_of[text] for text in texts]), np.uint8).reshape(-1, 32)
