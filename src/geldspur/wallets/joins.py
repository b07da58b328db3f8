"""Why two addresses are one wallet: the shortest chain of co-spending transactions between them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger
from geldspur.wallets import kernels
from geldspur.wallets.build import Wallets


@dataclass(frozen=True, slots=True)
class Chain:
    """Scripts joined one to the next: `transactions[i]` is signed by both `scripts[i]` and `scripts[i + 1]`."""

    scripts: list[int]
    transactions: list[int]


class JoinSearch:
    """Searches the co-spends of one edition of wallets.

    The search runs over the ledger itself and the verdicts, so that what it finds can be checked against
    the raw transactions; union-find alone would only say that a chain exists.
    """

    def __init__(self, ledger: Ledger, wallets: Wallets) -> None:
        self.ledger = ledger
        self.wallets = wallets
        self._reached = np.zeros(ledger.n_scripts, np.uint8)
        self._via_script = np.zeros(ledger.n_scripts, np.uint32)
        self._via_tx = np.zeros(ledger.n_scripts, np.int64)
        self._queue = np.zeros(ledger.n_scripts, np.uint32)

    def between(self, sources: Iterable[int], targets: Iterable[int]) -> dict[int, Chain]:
        """The shortest chain from any of the `sources` to each of the `targets` that one can be found for."""
        start = np.array(sorted(set(sources)), np.uint32)
        goal = np.array(sorted(set(targets)), np.uint32)
        ledger = self.ledger
        visited, missing = kernels.join_tree(
            start, goal, ledger.tx_in, ledger.in_prevout, ledger.out_script, ledger.out_spender,
            *ledger.outputs_by_script, self.wallets.verdict, self._reached, self._via_script, self._via_tx, self._queue,
        )  # fmt: skip
        if missing < 0:
            raise GeldspurError(
                "the ledger's columns are damaged: a row points at none",
                where=str(ledger.folder),
                todo=f"geldspur doctor --ledger {ledger.folder} tells where",
            )
        found = {int(g): self._walk(int(g)) for g in goal if self._reached[g] == 1}
        self._reached[self._queue[:visited]] = 0
        return found

    def _walk(self, script: int) -> Chain:
        scripts, transactions = [script], []
        while self._via_tx[scripts[-1]] >= 0:
            transactions.append(int(self._via_tx[scripts[-1]]))
            scripts.append(int(self._via_script[scripts[-1]]))
        return Chain(scripts[::-1], transactions[::-1])


def refused_between(ledger: Ledger, wallets: Wallets, a: int, b: int) -> list[int]:
    """Transactions that the two different wallets of scripts `a` and `b` both signed, in ledger order.

    None of them joined anything, or the wallets would be one.
    """
    found = []
    of_a, of_b = int(wallets.wallet[a]), int(wallets.wallet[b])
    for script in np.flatnonzero(wallets.wallet == of_a).tolist():
        for row in ledger.outputs_of(script):
            spender = ledger.spender_of(row)
            if spender is None:
                continue
            tx = ledger.tx_of_input(spender)
            if of_b in {int(wallets.wallet[s]) for s in wallets.input_scripts(tx)}:
                found.append(tx)
    return sorted(set(found))
