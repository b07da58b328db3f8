"""Does no transaction pay more than it spends, and no block make more coins than its network allows?"""

from collections.abc import Iterator

import numpy as np

from geldspur.bitcoin.networks import Network
from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.chain import block_pieces
from geldspur.ledger.doctor.faults import Faults
from geldspur.ledger.doctor.report import Findings
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.layout import gone
from geldspur.progress import Progress

_FIRST_SUBSIDY = 50 * 100_000_000
_PIECE = 1 << 22


def subsidies(network: Network, first: int, end: int) -> Array:
    """What the blocks of heights `first` to `end` may each make anew, int64 satoshi (Core's GetBlockSubsidy)."""
    halvings = np.minimum(np.arange(first, end, dtype=np.int64) // network.halving_interval, 63)
    return _FIRST_SUBSIDY >> halvings


def check(store: Store, findings: Findings, progress: Progress) -> None:
    """Add up every transaction and block; compare what was claimed with what is unspent."""
    names = ("block_tx", "tx_in", "tx_out", "in_prevout", "out_value")
    if missing := store.missing(*names):
        findings.skip(f"needs {', '.join(missing)}")
        return
    claimed, allowed, complete = 0, 0, True
    block_tx, tx_in, tx_out, prevout, value = (store.columns[name] for name in names)
    faults, n_out = Faults(), store.counts["out"]
    with progress.task("Adding up money", store.counts["tx"], "transactions") as task:
        for first, end in block_pieces(block_tx):
            subsidy = subsidies(store.network, store.first_height + first, store.first_height + end)
            claims, known = np.zeros(end - first, np.int64), np.zeros(end - first, np.bool_)
            count = kernels.check_money(
                block_tx, first, end, tx_in, tx_out, prevout, value, n_out, subsidy, claims, known, faults.array
            )
            for code, row, amount in faults.take(count, str(store.path("out_value")), findings):
                _tell(store, code, row, amount, findings)
            claimed += int(claims.sum())
            allowed += int(subsidy.sum())
            complete = complete and bool(known.all())
            task.advance(int(block_tx[end] - block_tx[first]))
    findings.looked_at("transactions", store.counts["tx"])
    findings.looked_at("blocks", store.counts["block"])
    if complete:
        findings.amounts |= {"subsidy_sat": allowed, "claimed_sat": claimed, "never_claimed_sat": allowed - claimed}
        _compare_unspent(store, claimed, findings)


def _tell(store: Store, code: int, row: int, amount: int, findings: Findings) -> None:
    if code == kernels.BAD_VALUE:
        findings.damage(f"an output is worth {amount:,} satoshi", store.place("out_value", row))
    elif code == kernels.CLAIMS_MORE:
        tx = int(store.columns["block_tx"][row])
        what = f"the coinbase of block {store.first_height + row:,} takes {amount:,} satoshi too many"
        findings.damage(what, store.place("out_value", *_outputs_of(store, tx)))
    else:
        what = (
            f"pays {amount:,} satoshi more than it spends"
            if code == kernels.SPENDS_MORE
            else "moves more than all money"
        )
        findings.damage(f"transaction row {row:,} {what}", store.place("out_value", *_outputs_of(store, row)))


def _outputs_of(store: Store, tx: int) -> tuple[int, int]:
    tx_out = store.columns["tx_out"]
    return int(tx_out[tx]), int(tx_out[tx + 1])


def _compare_unspent(store: Store, claimed: int, findings: Findings) -> None:
    """All that was ever made, and all that came in at the edges, must lie in outputs that nobody spent."""
    if missing := store.missing("out_spender", "out_script"):
        findings.skip(f"what is unspent needs {', '.join(missing)}")
        return
    value, spender, script = (store.columns[name] for name in ("out_value", "out_spender", "out_script"))
    btc, sat = np.zeros(3, np.int64), np.zeros(3, np.int64)
    for rows in _slices(store.counts["out"]):
        lost = np.uint64(gone(spender.dtype))
        kernels.sum_unspent(value[rows], spender[rows], script[rows], store.counts["in"], lost, btc, sat)
    spendable, lost_sat, unspendable = (int(b) * 100_000_000 + int(s) for b, s in zip(btc, sat, strict=True))
    edges = sum(int(value[rows].sum()) for rows in _slices(store.counts["edge"], 1 << 12))
    genesis = 0
    if store.first_height == 0:
        first, end = _outputs_of(store, 0)
        genesis = int(value[first:end].sum())
        for row in range(first, end):
            if int(spender[row]) < store.counts["in"]:
                findings.damage(
                    "the genesis block's coin, which can't be spent, is spent", store.place("out_spender", row)
                )
    findings.amounts |= {
        "unspent_sat": spendable, "of_which_genesis_sat": genesis, "overwritten_sat": lost_sat,
        "unspendable_sat": unspendable, "edges_sat": edges,
    }  # fmt: skip
    total = spendable + lost_sat + unspendable
    if total != claimed + edges:
        what = f"{total:,} satoshi are unspent, but {claimed + edges:,} were made or came in from before the period"
        findings.damage(what, store.place("out_spender", 0, store.counts["out"]))


def _slices(end: int, step: int = _PIECE) -> Iterator[slice]:
    for first in range(0, end, step):
        yield slice(first, min(first + step, end))
