"""Does every input spend an earlier output, no output twice, and does `out_spender` say the same backwards?"""

import numpy as np

from geldspur.ledger.columnfile import Array
from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.chain import block_pieces
from geldspur.ledger.doctor.faults import Faults
from geldspur.ledger.doctor.report import Findings
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.layout import gone, unspent
from geldspur.progress import Progress

_PIECE = 1 << 22
_WHAT = {
    kernels.SPENDS_LATER: "an input spends an output that doesn't lie before its transaction",
    kernels.COINBASE_MISPLACED: "an input spends nothing though its transaction is not the first of its block",
    kernels.NO_COINBASE: "the first transaction of a block is no coinbase",
    kernels.SPENDS_NOTHING: "an input spends neither an output nor is it a coinbase's",
}


def check_prevouts(store: Store, findings: Findings, progress: Progress) -> None:
    """Look at every input's link."""
    if missing := store.missing("block_tx", "tx_in", "tx_out", "in_prevout"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    block_tx, tx_in, tx_out, prevout = (store.columns[n] for n in ("block_tx", "tx_in", "tx_out", "in_prevout"))
    faults, free = Faults(), np.uint64(unspent(prevout.dtype))
    with progress.task("Following links", store.counts["tx"], "transactions") as task:
        for first, end in block_pieces(block_tx):
            count = kernels.check_prevouts(
                block_tx, first, end, tx_in, tx_out, prevout, store.counts["out"], free, faults.array
            )
            for code, row, _ in faults.take(count, str(store.path("in_prevout")), findings):
                findings.damage(_WHAT[code], store.place("in_prevout", row))
            task.advance(int(block_tx[end] - block_tx[first]))
    findings.looked_at("inputs", store.counts["in"])


def check_spenders(store: Store, findings: Findings, progress: Progress, budget: int) -> None:
    """Make `out_spender` anew from `in_prevout`, a range of outputs at a time, and compare."""
    if missing := store.unsure("in_prevout", "out_spender"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    prevout, spender = store.columns["in_prevout"], store.columns["out_spender"]
    n_out, n_in = store.counts["out"], store.counts["in"]
    free, lost = unspent(spender.dtype), gone(spender.dtype)
    faults = Faults()
    step = max(1024, budget // spender.dtype.itemsize)
    passes = max(1, -(-n_out // step))
    with progress.task("Comparing spenders", n_in * passes + n_out, "rows") as task:
        for low in range(0, n_out, step):
            high = min(low + step, n_out)
            wanted = np.full(high - low, free, spender.dtype)
            for at in range(0, n_in, _PIECE):
                piece = prevout[at : at + _PIECE]
                count = kernels.spend(piece, at, low, high, wanted, np.uint64(free), faults.array)
                for _, row, output in faults.take(count, str(store.path("in_prevout")), findings):
                    what = f"an input spends output row {output:,}, which an earlier one spends"
                    findings.damage(what, store.place("in_prevout", row))
                task.advance(len(piece))
            _expect_gone(store, wanted, low, free, lost)
            for at in range(low, high, _PIECE):
                end = min(at + _PIECE, high)
                part = wanted[at - low : end - low]
                wrong = np.flatnonzero(np.asarray(spender[at:end]) != part)
                for row in (wrong[:20] + at).tolist():
                    have, should = (_spender_name(int(v), n_in, lost) for v in (spender[row], wanted[row - low]))
                    findings.damage(
                        f"out_spender says {have}, the inputs say {should}", store.place("out_spender", row)
                    )
                findings.more(str(store.path("out_spender")), max(0, len(wrong) - 20))
                task.advance(end - at)
    findings.looked_at("outputs", n_out)
    if store.counts["edge"]:
        _check_edges(store, findings)


def _spender_name(value: int, n_inputs: int, lost: int) -> str:
    if value < n_inputs:
        return f"input row {value:,}"
    return "overwritten" if value == lost else "unspent"


def _expect_gone(store: Store, wanted: Array, low: int, free: int, lost: int) -> None:
    """Outputs of transactions that a later one of the same id overwrote are gone, where they were not spent before."""
    if store.missing("tx_out"):
        return
    tx_out = store.columns["tx_out"]
    for _, earlier in store.overwritten:
        first, end = int(tx_out[earlier]) - low, int(tx_out[earlier + 1]) - low
        part = wanted[max(first, 0) : max(end, 0)]
        part[part == free] = lost


def _check_edges(store: Store, findings: Findings) -> None:
    """What a period took over from before it is there because an input spends it, and each outpoint is there once."""
    n = store.counts["edge"]
    spender = store.columns["out_spender"]
    for row in np.flatnonzero(np.asarray(spender[:n]) >= store.counts["in"])[:20].tolist():
        findings.damage("nobody spends an output from before the period", store.place("out_spender", row))
    if missing := store.missing("edge_txid", "edge_vout"):
        findings.skip(f"needs {', '.join(missing)}")
        return
    outpoints = np.empty((n, 36), np.uint8)
    outpoints[:, :32] = store.columns["edge_txid"]
    outpoints[:, 32:] = np.ascontiguousarray(store.columns["edge_vout"]).view(np.uint8).reshape(-1, 4)
    keys = outpoints.view("V36").reshape(-1)
    order = np.argsort(keys, kind="stable")
    for k in np.flatnonzero(keys[order[1:]] == keys[order[:-1]])[:20].tolist():
        findings.damage(
            "an output from before the period stands there twice", store.place("edge_txid", int(order[k + 1]))
        )
    findings.looked_at("edges", n)
