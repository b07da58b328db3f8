"""The ledger as it lies on disk: columns, look-ups, and the raw bytes of what they came from.

Rows are numbered in ledger order: block `h` holds transactions `block_tx[h] .. block_tx[h+1]`, transaction
`t` inputs `tx_in[t] .. tx_in[t+1]` and outputs `tx_out[t] .. tx_out[t+1]`. `in_prevout` is the output row that
an input spends, `out_spender` the input row that spends an output, `out_script` the script that it pays;
`script_outputs[script_out[s] .. script_out[s+1]]` are the outputs that pay script `s`.
"""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from geldspur.bitcoin.addresses import Decoded, encode
from geldspur.bitcoin.headers import HEADER_SIZE
from geldspur.bitcoin.networks import NETWORKS
from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError
from geldspur.ledger.blockfiles import BlockFile, block_of
from geldspur.ledger.columns import Array, open_column, read_json

FORMAT = "geldspur-ledger"
SCHEMA = 1
NO_LINK = int(np.iinfo(np.uint64).max)
NO_SCRIPT = int(np.iinfo(np.uint32).max)


def is_ledger(folder: Path) -> bool:
    """Does the folder hold a ledger, finished or not?"""
    return (folder / "manifest.json").is_file() or (folder / "columns").is_dir()


def utc(seconds: int) -> str:
    """A block's time as files and reports show it."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Ledger:
    """A finished ledger, opened read-only. Columns are memory-mapped attributes named as their files."""

    def __init__(self, folder: Path) -> None:
        manifest_path = folder / "manifest.json"
        if not manifest_path.is_file():
            raise GeldspurError(
                f"{folder} holds no finished ledger", todo="make one with: geldspur index BLOCKS --ledger DIR"
            )
        self.folder = folder
        self.manifest = read_json(manifest_path, "the ledger's manifest")
        if self.manifest.get("format") != FORMAT or self.manifest.get("schema") != SCHEMA:
            raise GeldspurError(
                f"this ledger was written by another version (schema {self.manifest.get('schema')}; "
                f"this program reads {SCHEMA})",
                where=str(manifest_path),
                todo="build it again with: geldspur index BLOCKS --ledger DIR",
            )
        self.manifest_sha256 = hashlib.sha256(manifest_path.read_bytes()).hexdigest()
        self.network = NETWORKS[self.manifest["network"]]
        self.tip_height: int = self.manifest["heights"][1]
        self.tip_hash: str = self.manifest["tip_hash"]
        counts = self.manifest["counts"]
        self.n_txs: int = counts["transactions"]
        self.n_inputs: int = counts["inputs"]
        self.n_outputs: int = counts["outputs"]
        self.n_scripts: int = counts["scripts"]
        column = {n: open_column(folder / "columns", n, e) for n, e in self.manifest["columns"].items()}
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
        self.script_out: Array = column["script_out"]
        self.script_outputs: Array = column["script_outputs"]
        self._tx_prefix, self._tx_order = column["tx_prefix"], column["tx_order"]
        self._script_prefix, self._script_order = column["script_prefix"], column["script_order"]

    # Transactions

    def tx_index(self, txid: str) -> int | None:
        """The row of a transaction (of the last one, where BIP30's duplicates share the id)."""
        key = bytes.fromhex(txid)[::-1]
        rows = _equal_range(self._tx_prefix, self._tx_order, key)
        return max((r for r in rows if self.tx_id[r].tobytes() == key), default=None)

    def txid(self, tx: int) -> str:
        """A transaction's id as people write it."""
        return bytes(self.tx_id[tx])[::-1].hex()

    def tx_height(self, tx: int) -> int:
        """The height of the block that holds a transaction."""
        return int(np.searchsorted(self.block_tx, tx, side="right")) - 1

    def tx_position(self, tx: int) -> int:
        """A transaction's place in its block; the coinbase is 0."""
        return tx - int(self.block_tx[self.tx_height(tx)])

    def tx_of_input(self, row: int) -> int:
        """The transaction that an input is of."""
        return int(np.searchsorted(self.tx_in, row, side="right")) - 1

    def tx_of_output(self, row: int) -> int:
        """The transaction that an output is of."""
        return int(np.searchsorted(self.tx_out, row, side="right")) - 1

    def outpoint(self, row: int) -> tuple[str, int]:
        """(txid, vout) of an output row."""
        tx = self.tx_of_output(row)
        return self.txid(tx), row - int(self.tx_out[tx])

    def is_coinbase(self, tx: int) -> bool:
        """Does the transaction make new coins?"""
        return int(self.in_prevout[self.tx_in[tx]]) == NO_LINK

    def prevouts(self, tx: int) -> list[tuple[int, int] | None]:
        """(transaction, vout) that each input spends; None for a coinbase's."""
        result: list[tuple[int, int] | None] = []
        for row in self.in_prevout[self.tx_in[tx] : self.tx_in[tx + 1]]:
            if int(row) == NO_LINK:
                result.append(None)
            else:
                of = self.tx_of_output(int(row))
                result.append((of, int(row) - int(self.tx_out[of])))
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
        return self._heights.get(bytes.fromhex(block_hash)[::-1])

    @cached_property
    def _heights(self) -> dict[bytes, int]:
        return {bytes(h): i for i, h in enumerate(self.block_hash)}

    def block_id(self, height: int) -> str:
        """A block's hash as people write it."""
        return bytes(self.block_hash[height])[::-1].hex()

    def header(self, height: int) -> bytes:
        """The 80 bytes of a block's header."""
        return bytes(self.block_header[height])

    @cached_property
    def block_time(self) -> Array:
        """Header time of every block, uint32[blocks], seconds UTC."""
        return np.ascontiguousarray(self.block_header[:, 68:72]).view("<u4").reshape(-1)

    def block_txids(self, height: int) -> Array:
        """Ids of a block's transactions, uint8[n,32], in the byte order of the wire."""
        return np.asarray(self.tx_id[self.block_tx[height] : self.block_tx[height + 1]])

    # Scripts and addresses

    def script_index(self, script_type: ScriptType, payload: bytes) -> int | None:
        """The id of a script by its type and payload; None where no output pays it."""
        for row in _equal_range(self._script_prefix, self._script_order, payload):
            if self.script_type[row] == script_type and self.payload(row) == payload:
                return row
        return None

    def scripts_of(self, keys: Sequence[Decoded]) -> list[int | None]:
        """`script_index` for many addresses in one search."""
        prefixes = np.frombuffer(b"".join(k.payload[:8].ljust(8, b"\0") for k in keys), "<u8")
        left = np.searchsorted(self._script_prefix, prefixes, side="left")
        right = np.searchsorted(self._script_prefix, prefixes, side="right")
        result: list[int | None] = []
        for key, a, b in zip(keys, left.tolist(), right.tolist(), strict=True):
            rows = (int(r) for r in self._script_order[a:b])
            hit = (r for r in rows if self.script_type[r] == key.script_type and self.payload(r) == key.payload)
            result.append(next(hit, None))
        return result

    def payload(self, script: int) -> bytes:
        """The bytes that tell a script from others of its type."""
        return self.script_payload[self.script_at[script] : self.script_at[script + 1]].tobytes()

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
        return self.script_outputs[self.script_out[script] : self.script_out[script + 1]]

    def balance_sat(self, script: int) -> int:
        """What a script's unspent outputs hold at the tip."""
        rows = self.outputs_of(script)
        return int(self.out_value[rows][self.out_spender[rows] == NO_LINK].sum())

    # The source

    @cached_property
    def _source(self) -> tuple[list[BlockFile], Array, Array]:
        folder = self.folder / "source"
        content = read_json(folder / "source.json", "the ledger's record of its source")
        files = [BlockFile(Path(f["path"]), bytes.fromhex(f["key"])) for f in content["files"]]
        entries: dict[str, Any] = content["columns"]
        file, offset = (open_column(folder, n, entries[n]) for n in ("block_file", "block_offset"))
        return files, file, offset

    def raw_block(self, height: int) -> bytes:
        """A block as its source file holds it; GeldspurError where the source is gone or has changed."""
        files, file, offset = self._source
        where = int(file[height])
        size = int(self.block_size[height])
        raw = block_of(files, where, int(offset[height]), size).tobytes()
        if raw[:HEADER_SIZE] != self.header(height):
            raise GeldspurError(
                f"the source no longer holds block {height:,}",
                where=f"{files[where].path}, offset {int(offset[height]):,}",
                todo="restore the block files, or index them again",
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
            first, end = int(self.block_tx[height]), int(self.block_tx[height + 1])
            sizes = self.tx_size[first:end].astype(np.int64)
            start = len(raw) - int(sizes.sum()) + int(sizes[: tx - first].sum())
            result.append(raw[start : start + int(self.tx_size[tx])])
        return result


def _equal_range(prefix: Array, order: Array, key: bytes) -> list[int]:
    """Rows whose first eight bytes are the key's."""
    want = np.frombuffer(key[:8].ljust(8, b"\0"), "<u8")[0]
    left, right = np.searchsorted(prefix, want, side="left"), np.searchsorted(prefix, want, side="right")
    return [int(row) for row in order[left:right]]
