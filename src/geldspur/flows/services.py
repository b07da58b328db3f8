"""Which wallets are services, according to the tags in use."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from geldspur.bitcoin.scripts import ScriptType
from geldspur.ledger import Ledger
from geldspur.tags import ServiceKind, Tag, TagEdition
from geldspur.wallets import REFUSED, Wallets


@dataclass(frozen=True, slots=True)
class Service:
    """A service as a wallet's best tag names it. An attribution: `tag` says by whom and how reliably."""

    name: str
    kind: ServiceKind
    tag: Tag
    script: int
    """The tagged script."""
    others: tuple[str, ...]
    """Services that other tags of the same wallet name: the attribution is in dispute."""


class ServiceMap:
    """Looks up the service behind a wallet or a script.

    A tag that defines its cluster speaks for the whole wallet, any other for its own address alone. Where tags
    name different services, the one with the highest source grade counts and the others are kept.
    """

    def __init__(self, ledger: Ledger, wallets: Wallets, tags: TagEdition) -> None:
        self.tags = tags
        self._wallets = wallets
        by_wallet: dict[int, list[tuple[Tag, int]]] = defaultdict(list)
        by_script: dict[int, list[tuple[Tag, int]]] = defaultdict(list)
        for tag in tags.tags:
            script = ledger.script_index(ScriptType(tag.script_type), tag.payload)
            if script is None:
                continue
            by_script[script].append((tag, script))
            if tag.is_cluster_definer:
                by_wallet[int(wallets.wallet[script])].append((tag, script))
        self._by_wallet = {w: self._best(found) for w, found in sorted(by_wallet.items())}
        self._by_script = {s: self._best(found) for s, found in sorted(by_script.items())}
        self._spends = _transactions_of_wallets(ledger, wallets)

    def _best(self, found: list[tuple[Tag, int]]) -> Service:
        ranked = sorted(found, key=lambda f: (-(f[0].confidence_level or 0), self.tags.service_of(f[0]), f[0].address))
        tag, script = ranked[0]
        name = self.tags.service_of(tag)
        others = sorted({self.tags.service_of(t) for t, _ in ranked} - {name})
        return Service(name, self.tags.kind_of(tag), tag, script, tuple(others))

    def of_wallet(self, wallet: int) -> Service | None:
        """The service that a wallet is attributed to."""
        return self._by_wallet.get(wallet)

    def of_script(self, script: int) -> Service | None:
        """The service that a script or its wallet is attributed to."""
        return self._by_wallet.get(int(self._wallets.wallet[script])) or self._by_script.get(script)

    def of_payer(self, tx: int) -> Service | None:
        """The service whose wallet made a transaction; None where several owners may have signed it."""
        if self._wallets.verdict[tx] in REFUSED:
            return None
        found = (self.of_script(s) for s in self._wallets.input_scripts(tx))
        return next((service for service in found if service), None)

    def wallet_transactions(self, wallet: int) -> int:
        """How many transactions a wallet has made."""
        return int(self._spends[wallet])


def _transactions_of_wallets(ledger: Ledger, wallets: Wallets) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Number of transactions that each wallet made, int64[S], by its first input."""
    first = ledger.in_prevout[ledger.tx_in[:-1]]
    linked = first[first < np.uint64(ledger.n_outputs)]
    script = ledger.out_script[linked]
    script = script[script < ledger.n_scripts]
    return np.bincount(wallets.wallet[script], minlength=ledger.n_scripts)
