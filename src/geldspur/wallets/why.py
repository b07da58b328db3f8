"""The answer to: why are these two addresses one wallet, or why are they not?"""

from dataclasses import dataclass

from geldspur.bitcoin.addresses import decode
from geldspur.errors import UsageError
from geldspur.ledger import Ledger
from geldspur.ledger.columns import coherent
from geldspur.rules import rule
from geldspur.tags import TagEdition
from geldspur.wallets.build import Wallets
from geldspur.wallets.joins import JoinSearch, refused_between
from geldspur.wallets.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Joined:
    """Two neighbours in a chain of joins, and the transaction that both signed."""

    from_name: str
    to_name: str
    txid: str
    height: int
    time: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A transaction that both wallets signed and that joined nothing."""

    txid: str
    height: int
    verdict: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The chain of joins between two addresses; empty where there is none."""

    same_wallet: bool
    sentence: str
    steps: list[Joined]
    refused: list[Refused]
    rule: str | None = None
    """The rule by which two addresses are called one wallet, and its measured error rate."""
    error_rate: str | None = None


def explain(ledger: Ledger, tags: TagEdition, first: str, second: str) -> Answer:
    """The shortest chain of co-spending transactions between two addresses, or the joins that were refused.

    Raises `UsageError` for an address that the ledger has never seen.
    """
    wallets = Wallets(ledger, tags)
    with coherent(ledger.folder):
        return _explain(ledger, wallets, first, second)


def _explain(ledger: Ledger, wallets: Wallets, first: str, second: str) -> Answer:
    a, b = _script(ledger, first), _script(ledger, second)
    if a == b:
        return Answer(True, "The two are the same address.", [], [])
    if wallets.wallet[a] != wallets.wallet[b]:
        refused = [_refused(ledger, wallets, tx) for tx in refused_between(ledger, wallets, a, b)]
        return Answer(False, "No co-spending transaction joins the two addresses.", [], refused)
    chain = JoinSearch(ledger, wallets).between([a], [b])[b]
    steps = [
        _joined(ledger, x, y, tx)
        for x, y, tx in zip(chain.scripts, chain.scripts[1:], chain.transactions, strict=False)
    ]
    plural = "s join" if len(steps) > 1 else " joins"
    sentence = f"Consistent with one wallet: {len(steps)} co-spending transaction{plural} them."
    return Answer(True, sentence, steps, [], "co-spend", rule("co-spend").error_rate)


def _script(ledger: Ledger, address: str) -> int:
    key = decode(address, ledger.network)
    script = ledger.script_index(key.script_type, key.payload)
    if script is None:
        raise UsageError(
            f"{address} has never been paid in this ledger",
            where=str(ledger.folder),
            todo=f"check the address; the ledger ends at height {ledger.tip_height:,}",
        )
    return script


def _joined(ledger: Ledger, a: int, b: int, tx: int) -> Joined:
    height = ledger.tx_height(tx)
    return Joined(ledger.script_name(a), ledger.script_name(b), ledger.txid(tx), height, ledger.time_at(height))


def _refused(ledger: Ledger, wallets: Wallets, tx: int) -> Refused:
    return Refused(ledger.txid(tx), ledger.tx_height(tx), Verdict(int(wallets.verdict[tx])).label)
