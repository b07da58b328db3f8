"""Does `out_spender` say what the inputs say? By sums over both, so that each is read once, from front to back.

`out_spender` is what later blocks change, and has no checksum. It follows from `in_prevout`, which has: to every input
that spends an output belongs one entry, and there are no others. Both columns are therefore the same set of links
(output, input), whose hashes, under a key that is drawn anew each time, add up to the same sum. A single wrong entry
always shows; several hide each other with a probability of about 2^-64. Which entry it is, `links.check_spenders`
finds.
"""

import secrets

import numpy as np

from geldspur.ledger.doctor import kernels
from geldspur.ledger.doctor.report import Findings, Place
from geldspur.ledger.doctor.structure import Store
from geldspur.ledger.layout import gone, unspent


class LinkSums:
    """What the two columns of a store say, as far as they were seen."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._key = np.uint64(secrets.randbits(64)), np.uint64(secrets.randbits(64))
        self._inputs, self._outputs = np.zeros(2, np.uint64), np.zeros(4, np.uint64)

    def see_inputs(self, piece: bytes, at: int) -> None:
        """Take a piece of `in_prevout` that begins at byte `at`."""
        rows = np.frombuffer(piece, self._store.types["in_prevout"])
        kernels.sum_links(rows, at // rows.itemsize, self._store.counts["out"], *self._key, self._inputs)

    def see_spenders(self, piece: bytes, at: int) -> None:
        """Take a piece of `out_spender` that begins at byte `at`."""
        rows = np.frombuffer(piece, self._store.types["out_spender"])
        free, lost = np.uint64(unspent(rows.dtype)), np.uint64(gone(rows.dtype))
        n_inputs = self._store.counts["in"]
        kernels.sum_spenders(rows, at // rows.itemsize, n_inputs, free, lost, *self._key, self._outputs)

    def compare(self, findings: Findings, all_inputs: bool) -> None:
        """Tell where they differ; `all_inputs`: all of `in_prevout` was seen, and has its checksums."""
        store = self._store
        if not all_inputs or not store.has("out_spender", "tx_out"):
            findings.skip("out_spender: needs in_prevout, out_spender and tx_out")
            return
        findings.looked_at("links", int(self._inputs[1]))
        where = Place(str(store.path("out_spender")))
        if (self._outputs[:2] != self._inputs).any():
            findings.damage("the column out_spender is damaged: it doesn't say what the inputs spend", where)
        elif self._outputs[3] or not self._lost_are_right():
            findings.damage("the column out_spender is damaged: outputs that nobody spends don't say so", where)

    def _lost_are_right(self) -> bool:
        """Are those outputs gone whose transaction was overwritten before they were spent, and no others?"""
        store, spender = self._store, self._store.columns["out_spender"]
        tx_out, lost = store.columns["tx_out"], gone(spender.dtype)
        rows = [spender[int(tx_out[tx]) : int(tx_out[tx + 1])] for tx in {earlier for _, earlier in store.overwritten}]
        unspendable = sum(int((part == lost).sum()) for part in rows)
        left_free = any(bool((part == unspent(spender.dtype)).any()) for part in rows)
        return unspendable == int(self._outputs[2]) and not left_free
