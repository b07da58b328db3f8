"""Who paid an address, and whom it paid: the other sides of its transactions.

A transaction with several inputs and outputs does not say which input paid which output. So nothing is shared
out here: a neighbour's row tells in how many of the address's transactions it stands on the other side, what it
put in or got out there, and what the address got or put in. Who owns what is a question for wallets and flows.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from geldspur.errors import UsageError
from geldspur.ledger.columns import Array
from geldspur.ledger.history import AddressHistory, count_below, edge_outputs, find_script
from geldspur.ledger.store import NO_SCRIPT, Ledger

_MAX_ROWS = 4 << 20


class Side(StrEnum):
    """Which neighbours: those whose coins came with a receipt, or those that a spend paid."""

    PAYERS = "payers"
    PAID = "paid"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One script on the other side of the address's transactions.

    `name` is its address, or its type and hash; `neighbour_sat` what its inputs brought (a payer's) or its outputs
    got (of one that was paid) in these transactions; `address_sat` what the address itself received, or spent, in
    them.
    """

    name: str
    address: str | None
    transactions: int
    neighbour_sat: int
    address_sat: int


@dataclass(frozen=True, slots=True)
class Neighbours:
    """A page of neighbours, and how much of the history stands behind it.

    `entries_total` counts the address's receipts (or spends), `entries_looked_at` those whose transactions were
    looked at; where the two differ the rows are counts over that part only. `newly_mined` are transactions whose
    other side is no script but the block's subsidy and fees, `itself_sat` is what the address stood on both sides with.
    """

    side: Side
    entries_total: int
    entries_looked_at: int
    transactions_looked_at: int
    found: int
    page: int
    newly_mined: int
    itself_sat: int
    neighbours: list[Neighbour]

    @property
    def complete(self) -> bool:
        """Was the whole history looked at?"""
        return self.entries_looked_at == self.entries_total


def neighbours(
    ledger: Ledger,
    address: str,
    side: Side,
    *,
    limit: int = 50,
    page: int = 1,
    look_at: int = 10_000,
    newest_first: bool = False,
) -> Neighbours:
    """The neighbours of an address on one side, those with most transactions first.

    Looks at the first `look_at` receipts or spends (at the last ones with `newest_first`), and at fewer where their
    transactions have more than some millions of inputs or outputs. Raises AddressError for a text that is not an
    address of the ledger's network, UsageError for a page that can't be.
    """
    if min(limit, page, look_at) < 1:
        raise UsageError("limit, page and the number of entries to look at begin at 1")
    script = find_script(ledger, address)
    entries = _entries(ledger, script, side)
    looked = entries[-look_at:] if newest_first else entries[:look_at]
    txs, kept = _bounded(ledger, _transactions(ledger, looked, side), newest_first)
    own_side, other_side = (_paid, _spent) if side is Side.PAYERS else (_spent, _paid)
    theirs, ours = other_side(ledger, txs), own_side(ledger, txs)
    itself = theirs.script == script
    own = ours.script == script
    own_sat = np.zeros(len(txs), np.int64)
    np.add.at(own_sat, ours.place[own], ours.value[own])
    found = _group(theirs.script[~itself], theirs.place[~itself], theirs.value[~itself], own_sat)
    shown = [row[(page - 1) * limit : page * limit].tolist() for row in found]
    return Neighbours(
        side, len(entries), kept, len(txs), len(found[0]), page, theirs.newly_mined,
        int(theirs.value[itself].sum()),
        [
            Neighbour(ledger.script_name(s), None if s == NO_SCRIPT else ledger.address(s), n, theirs, ours)
            for s, n, theirs, ours in zip(*shown, strict=True)
        ],
    )  # fmt: skip


class _Coins(NamedTuple):
    """What stands on one side of some transactions: script, value, and the transaction's place among them."""

    script: Array
    value: Array
    place: Array
    newly_mined: int


def _entries(ledger: Ledger, script: int | None, side: Side) -> Array:
    """Rows of the script's receipts or spends whose transactions lie in the ledger, ascending."""
    history = AddressHistory(ledger, script)
    if side is Side.PAID:
        return history.spends
    return history.receipts[count_below(history.receipts, edge_outputs(ledger)) :]


def _transactions(ledger: Ledger, entries: Array, side: Side) -> Array:
    """The transaction of each receipt or spend, int64, ascending."""
    starts = ledger.tx_out if side is Side.PAYERS else ledger.tx_in
    return starts.searchsorted(entries.astype(starts.dtype), side="right").astype(np.int64) - 1


def _bounded(ledger: Ledger, of_entry: Array, newest_first: bool) -> tuple[Array, int]:
    """The transactions to look at, as many as have `_MAX_ROWS` inputs and outputs, and how many entries they hold."""
    txs, entries = np.unique(of_entry, return_counts=True)
    if newest_first:
        txs, entries = txs[::-1], entries[::-1]
    rows = sum(_sizes(starts, txs) for starts in (ledger.tx_in, ledger.tx_out))
    count = max(1, int(np.cumsum(rows).searchsorted(_MAX_ROWS, side="right")))
    return np.sort(txs[:count]), int(entries[:count].sum())


def _sizes(starts: Array, txs: Array) -> Array:
    sizes: Array = starts[txs + 1].astype(np.int64) - starts[txs].astype(np.int64)
    return sizes


def _rows(starts: Array, txs: Array) -> tuple[Array, Array]:
    """All input or output rows of transactions, and for each the place of its transaction in `txs`."""
    sizes = _sizes(starts, txs)
    place = np.repeat(np.arange(len(txs)), sizes)
    before = np.cumsum(sizes) - sizes
    return starts[txs].astype(np.int64)[place] + np.arange(len(place)) - before[place], place


def _paid(ledger: Ledger, txs: Array) -> _Coins:
    """The outputs of transactions."""
    rows, place = _rows(ledger.tx_out, txs)
    return _coins(ledger, rows, place, 0)


def _spent(ledger: Ledger, txs: Array) -> _Coins:
    """What the inputs of transactions spend."""
    rows, place = _rows(ledger.tx_in, txs)
    prevouts = ledger.in_prevout[rows]
    is_output = prevouts < ledger.n_outputs
    return _coins(ledger, prevouts[is_output], place[is_output], int((~is_output).sum()))


def _coins(ledger: Ledger, outputs: Array, place: Array, newly_mined: int) -> _Coins:
    script = ledger.out_script[outputs].astype(np.int64)
    return _Coins(script, ledger.out_value[outputs], place, newly_mined)


def _group(scripts: Array, places: Array, values: Array, own_sat: Array) -> tuple[Array, Array, Array, Array]:
    """Per script: (script, transactions, its satoshi, the address's), int64, most transactions first."""
    order = np.lexsort((places, scripts))
    scripts, places, values = scripts[order], places[order], values[order]
    new_script = np.ones(len(scripts), bool)
    new_script[1:] = scripts[1:] != scripts[:-1]
    new_pair = new_script.copy()
    new_pair[1:] |= places[1:] != places[:-1]
    at = np.flatnonzero(new_script)
    if not len(at):
        return scripts, scripts, values, values
    transactions = np.add.reduceat(new_pair.astype(np.int64), at)
    theirs = np.add.reduceat(values, at)
    ours = np.add.reduceat(np.where(new_pair, own_sat[places], 0), at)
    rank = np.lexsort((scripts[at], -theirs, -transactions))
    return scripts[at][rank], transactions[rank], theirs[rank], ours[rank]
