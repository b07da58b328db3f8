"""What a ledger's columns are: names, element types, and which rows they count or point at.

*Primary* columns follow from the blocks in order of height and only ever grow at their end; each has a
checksum for every thousand heights. `out_spender` is the one column that later blocks change. All else, the
look-up runs, is derived from the primary columns and can be made again at any time.

A column whose elements are row numbers is four bytes wide while the rows that it points at can be counted in
four bytes, and eight from then on.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

FORMAT = "geldspur-ledger"
SCHEMA = 3
SEGMENT = 1000
"""Heights that share one checksum."""

Axis = Literal["block", "tx", "in", "out", "script", "payload", "edge"]
NARROW_LIMIT = (1 << 32) - 16
"""From this many rows on, row numbers take eight bytes; the highest four-byte values are sentinels."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: `axis` says what a row stands for, `points_at` what its elements number, if rows."""

    name: str
    axis: Axis
    dtype: str
    width: int = 1
    points_at: Axis | None = None
    offsets: bool = False
    """Element k is where row k of `axis` begins among the rows pointed at; one more element ends the last."""

    def dtype_for(self, rows_pointed_at: int) -> np.dtype[Any]:
        """The element type in a ledger with this many rows of `points_at`."""
        if self.points_at is None:
            return np.dtype(self.dtype)
        return row_dtype(rows_pointed_at)


def row_dtype(rows: int) -> np.dtype[Any]:
    """The type of row numbers among `rows` rows."""
    return np.dtype("<u4" if rows < NARROW_LIMIT else "<u8")


def unspent(dtype: np.dtype[Any]) -> int:
    """The value of `out_spender` for an output that nobody has spent; of `in_prevout` for a coinbase's input."""
    return int(np.iinfo(dtype).max)


def gone(dtype: np.dtype[Any]) -> int:
    """`out_spender` of an output that a later transaction of the same id overwrote (BIP30)."""
    return int(np.iinfo(dtype).max) - 1


PRIMARY: tuple[Column, ...] = (
    Column("block_header", "block", "u1", 80),
    Column("block_hash", "block", "u1", 32),
    Column("block_size", "block", "<u4"),
    Column("block_tx", "block", "<i8", offsets=True),
    Column("block_script", "block", "<i8", offsets=True),
    Column("tx_id", "tx", "u1", 32),
    Column("tx_version", "tx", "<i4"),
    Column("tx_locktime", "tx", "<u4"),
    Column("tx_size", "tx", "<u4"),
    Column("tx_base_size", "tx", "<u4"),
    Column("tx_in", "tx", "<u8", points_at="in", offsets=True),
    Column("tx_out", "tx", "<u8", points_at="out", offsets=True),
    Column("in_prevout", "in", "<u8", points_at="out"),
    Column("in_sequence", "in", "<u4"),
    Column("in_signs", "in", "u1"),
    Column("out_value", "out", "<i8"),
    Column("out_script", "out", "<u4"),
    Column("script_type", "script", "u1"),
    Column("script_at", "script", "<u8", points_at="payload", offsets=True),
    Column("script_payload", "payload", "u1"),
    Column("edge_txid", "edge", "u1", 32),
    Column("edge_vout", "edge", "<u4"),
    Column("edge_height", "edge", "<u4"),
)
SPENDER = Column("out_spender", "out", "<u8", points_at="in")
COLUMNS = {column.name: column for column in (*PRIMARY, SPENDER)}
RUN_TYPES: dict[str, tuple[str, ...]] = {
    "tx_bucket": ("<u4",), "tx_order": ("<u4",), "tx_tag": ("<u2",),
    "script_bucket": ("<u4",), "script_order": ("<u4",), "script_tag": ("<u2",),
    "out_start": ("<u4", "<u8"), "outputs": ("<u4", "<u8"), "out_scripts": ("<u4",),
}  # fmt: skip
"""The columns of a look-up run, and the element types that they may have."""
