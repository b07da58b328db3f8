"""What an address (or any script) received and spent, page by page, and what it held at a height.

An address's receipts are the outputs that pay its script, which the ledger lists in ledger order. Its spends are
the inputs that spend those outputs; they are gathered and sorted once, in whole arrays, when an `AddressHistory`
first needs them. After that a page costs binary searches and its own length, however long the history is.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np

from geldspur.bitcoin.addresses import decode
from geldspur.errors import UsageError
from geldspur.ledger.columns import Array
from geldspur.ledger.layout import gone
from geldspur.ledger.store import Ledger
from geldspur.times import utc

_GATHER = 1 << 20


class EntryKind(StrEnum):
    """Did the address gain or lose by an entry?"""

    RECEIPT = "receipt"
    SPEND = "spend"


@dataclass(frozen=True, slots=True)
class Entry:
    """One output that pays the address, or one input that spends such an output.

    `txid` and `index` are where the entry stands: (txid, vout) of a receipt, (txid, vin) of a spend. `other_txid`
    and `other_index` are the other end of the same coin: the input that spends a receipt (None while unspent), the
    output that a spend spends. `height` and `time` are of the transaction; `time` is None for an output from
    before the range of a period ledger, which `before_period` marks. `amount_sat` is negative for a spend;
    `balance_sat` is what the address holds after the entry.
    """

    kind: EntryKind
    height: int
    time: str | None
    txid: str
    index: int
    amount_sat: int
    balance_sat: int
    other_txid: str | None
    other_index: int | None
    before_period: bool


def first_height(ledger: Ledger) -> int:
    """The height of the ledger's first block: 0, but for a period ledger."""
    return ledger.first_height


def edge_outputs(ledger: Ledger) -> int:
    """How many output rows are of transactions from before the ledger's period (they come first)."""
    return ledger.n_edges


def block_time(ledger: Ledger, height: int) -> str:
    """The header time of a block as files and reports show it."""
    return utc(ledger.block_time[height - first_height(ledger)])


def find_script(ledger: Ledger, address: str) -> int | None:
    """The script that an address stands for; None where no output of the ledger pays it.

    Raises AddressError for a text that is not an address of the ledger's network.
    """
    key = decode(address, ledger.network)
    return ledger.script_index(key.script_type, key.payload)


def row_bounds(ledger: Ledger, height: int) -> tuple[int, int]:
    """(input rows, output rows) up to and with the block at `height`.

    Raises UsageError for a height that the ledger does not cover.
    """
    first = first_height(ledger)
    if not first <= height <= ledger.tip_height:
        raise UsageError(
            f"height {height:,} is not in this ledger",
            where=f"{ledger.network.name}, heights {first:,} to {ledger.tip_height:,}",
            todo="ask for a height in this range",
        )
    end = int(ledger.block_tx[height - first + 1])
    return int(ledger.tx_in[end]), int(ledger.tx_out[end])


class AddressHistory:
    """The history of one script. `script` None stands for an address that nothing in the ledger pays."""

    def __init__(self, ledger: Ledger, script: int | None) -> None:
        self.ledger = ledger
        self.receipts: Array = np.empty(0, np.int64) if script is None else np.asarray(ledger.outputs_of(script))
        """Output rows that pay the script, ascending."""

    @classmethod
    def of(cls, ledger: Ledger, address: str) -> "AddressHistory":
        """The history of an address; AddressError where the text is none of the ledger's network."""
        return cls(ledger, find_script(ledger, address))

    @cached_property
    def spends(self) -> Array:
        """Input rows that spend the script's outputs, ascending."""
        spenders = self.ledger.out_spender[self.receipts]
        return np.sort(spenders[spenders < self.ledger.n_inputs])

    def __len__(self) -> int:
        """Receipts and spends."""
        return len(self.receipts) + len(self.spends)

    @cached_property
    def received_sat(self) -> int:
        """The sum of all receipts."""
        return self._received(len(self.receipts))

    @cached_property
    def balance_sat(self) -> int:
        """What the unspent outputs hold at the tip."""
        return self.received_sat - self._spent(len(self.spends))

    def balance_at(self, height: int) -> int:
        """What the script's outputs held after the block at `height`, in satoshi.

        Of a period ledger's outputs from before the period only those count that were spent in it: the others are
        not known to it. Raises UsageError for a height that the ledger does not cover.
        """
        inputs, outputs = row_bounds(self.ledger, height)
        rows = self.receipts[: count_below(self.receipts, outputs)]
        total = 0
        for part in _parts(rows):
            spender = self.ledger.out_spender[part]
            unspent = (spender >= inputs) & (spender != gone(spender.dtype))
            total += int(self.ledger.out_value[part[unspent]].sum())
        return total

    def page(self, number: int, limit: int, *, newest_first: bool = False) -> list[Entry]:
        """Entries `(number - 1) * limit` on of the history, at most `limit`, in ledger order or against it.

        Within a transaction spends come before receipts. Numbers begin at 1; past the end the page is empty.
        """
        if number < 1 or limit < 1:
            raise UsageError(f"there is no page {number} of {limit} entries", todo="both begin at 1")
        total = len(self)
        first = min((number - 1) * limit, total)
        end = min(first + limit, total)
        if newest_first:
            first, end = total - end, total - first
        entries = list(self._entries(first, end))
        return entries[::-1] if newest_first else entries

    def _entries(self, first: int, end: int) -> Iterator[Entry]:
        received = self._receipts_among(first)
        spent = first - received
        balance = self._received(received) - self._spent(spent)
        for _ in range(first, end):
            if self._spend_is_next(received, spent):
                entry = self._spend(int(self.spends[spent]), balance)
                spent += 1
            else:
                entry = self._receipt(int(self.receipts[received]), balance)
                received += 1
            balance = entry.balance_sat
            yield entry

    def _receipts_among(self, count: int) -> int:
        """How many of the first `count` entries are receipts: a binary search along the merge of the two lists."""
        low, high = max(0, count - len(self.spends)), min(count, len(self.receipts))
        while low < high:
            middle = (low + high) // 2
            if self._spend_is_next(middle, count - middle - 1):
                high = middle
            else:
                low = middle + 1
        return low

    def _spend_is_next(self, received: int, spent: int) -> bool:
        if spent >= len(self.spends):
            return False
        if received >= len(self.receipts):
            return True
        tx = self.ledger.tx_of_input(int(self.spends[spent]))
        return int(self.ledger.tx_out[tx]) <= int(self.receipts[received])

    def _received(self, count: int) -> int:
        values = self.ledger.out_value
        return sum(int(values[part].sum()) for part in _parts(self.receipts[:count]))

    def _spent(self, count: int) -> int:
        values, prevouts = self.ledger.out_value, self.ledger.in_prevout
        return sum(int(values[prevouts[part]].sum()) for part in _parts(self.spends[:count]))

    def _receipt(self, row: int, before: int) -> Entry:
        ledger = self.ledger
        txid, vout = outpoint(ledger, row)
        value = int(ledger.out_value[row])
        height, time = when(ledger, row)
        spender = int(ledger.out_spender[row])
        other_txid, other_index = inpoint(ledger, spender) if spender < ledger.n_inputs else (None, None)
        return Entry(
            EntryKind.RECEIPT, height, time, txid, vout, value, before + value, other_txid, other_index,
            row < edge_outputs(ledger),
        )  # fmt: skip

    def _spend(self, row: int, before: int) -> Entry:
        ledger = self.ledger
        prevout = int(ledger.in_prevout[row])
        value = int(ledger.out_value[prevout])
        height = ledger.tx_height(ledger.tx_of_input(row))
        return Entry(
            EntryKind.SPEND, height, block_time(ledger, height), *inpoint(ledger, row), -value, before - value,
            *outpoint(ledger, prevout), False,
        )  # fmt: skip


def outpoint(ledger: Ledger, row: int) -> tuple[str, int]:
    """(txid, vout) of an output row, also of one from before a period."""
    if row < edge_outputs(ledger):
        return bytes(ledger.edge_txid[row])[::-1].hex(), int(ledger.edge_vout[row])
    return ledger.outpoint(row)


def inpoint(ledger: Ledger, row: int) -> tuple[str, int]:
    """(txid, vin) of an input row."""
    tx = ledger.tx_of_input(row)
    return ledger.txid(tx), row - int(ledger.tx_in[tx])


def when(ledger: Ledger, row: int) -> tuple[int, str | None]:
    """Height and time of an output row; no time is known for one from before a period."""
    if row < edge_outputs(ledger):
        return int(ledger.edge_height[row]) >> 1, None
    height = ledger.tx_height(ledger.tx_of_output(row))
    return height, block_time(ledger, height)


def count_below(rows: Array, bound: int) -> int:
    """How many of ascending rows are below `bound`."""
    # A Python integer would make numpy widen the whole array; beyond the type's range all rows are below.
    if bound > np.iinfo(rows.dtype).max:
        return len(rows)
    return int(rows.searchsorted(rows.dtype.type(bound)))


def _parts(rows: Array) -> Iterator[Array]:
    """Slices of bounded length, so that a hub's gather stays within bounded memory."""
    return (rows[at : at + _GATHER] for at in range(0, len(rows), _GATHER))
