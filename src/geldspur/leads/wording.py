"""The sentences of leads. Each belongs to one layer; none says more than its layer can."""

from collections.abc import Sequence
from math import fsum

from geldspur.flows import Service
from geldspur.leads.schema import Explanation, Layer, Output, Statement, Stop, TagRef
from geldspur.wording import counted

COIN = 100_000_000


def btc(sat: int) -> str:
    """An amount in satoshi and BTC."""
    return f"{sat:,} sat ({sat / COIN:.8f} BTC)"


def attributed(tag: TagRef, service: str) -> str:
    """Who says that an address is a service's, and how reliably."""
    return (
        f"The address {tag.address} is attributed to {service}: attributed by {tag.creator or 'the pack'}, {tag.pack} "
        f"({tag.confidence}, level {tag.confidence_level} of 100)."
    )


def fact(text: str) -> Statement:
    """A sentence that the ledger alone bears out."""
    return Statement(layer=Layer.FACT, text=text)


def inference(text: str) -> Statement:
    """A sentence that rests on a rule."""
    return Statement(layer=Layer.INFERENCE, text=text)


def attribution(text: str) -> Statement:
    """A sentence that rests on what somebody says about an address."""
    return Statement(layer=Layer.ATTRIBUTION, text=text)


def paid(payment: Output) -> Statement:
    """A payment to the site, or a deposit at a service."""
    return fact(
        f"Transaction {payment.txid} paid {btc(payment.value_sat)} to {payment.address} "
        f"in block {payment.height:,} at {payment.time}."
    )


def withdrawn(withdrawal: Output) -> Statement:
    """The output that left the service."""
    return fact(
        f"Transaction {withdrawal.txid} paid {btc(withdrawal.value_sat)} in its output {withdrawal.vout} "
        f"in block {withdrawal.height:,} at {withdrawal.time}."
    )


def stopped(stop: Stop) -> Statement:
    """Why the trail ends without a service that a request could name."""
    at = f" at transaction {stop.txid}" if stop.txid else ""
    return inference(f"The trail ends{at} ({stop.kind}): {stop.detail}.")


def elsewhere(what: str, shares: Sequence[float]) -> Statement:
    """That part of the money, in one piece a share, came from somewhere else than the service that is named."""
    share = fsum(shares)
    size = "less than 0.1%" if share < 0.001 else f"{share:.1%}"
    paths = "" if len(shares) == 1 else f", on {len(shares):,} paths,"
    return inference(f"A share of {size} of the money{paths} leads to {what}.")


def sole_source(hops: int) -> Statement:
    """That one service accounts for all of a payment's money, over steps that don't show who held it."""
    return inference(
        "All of the money, followed back, came from one service with no stop between; the path that is shown has "
        f"{counted(hops, 'transaction')} after the withdrawal, the payment included. Who held the money in between is "
        "not shown."
    )


def explanations(*, hops: int | None, service: Service | None, dust_checked_sat: int) -> list[Explanation]:
    """Other ways to read a lead, each with what was and was not looked into."""
    direct = hops == 0
    return [
        _unchecked(
            "seller",
            "The payer may be a customer of a seller, a broker or a hosted account, and not the account holder.",
            "the ledger can't show it; ask the service and the account holder"
            if service
            else "the ledger can't show it, and no service was found to ask",
        ),
        _COLLABORATIVE,
        _unchecked("shared-wallet", _SHARED_WALLET.text, "the service pays for its customers; account holder unknown")
        if direct
        else _SHARED_WALLET,
        _unchecked(
            "change-swapped",
            _CHANGE_SWAPPED,
            "not applicable: one transaction"
            if direct
            else "the path follows outputs that were spent on towards the site; who held them is not shown",
        ),
        _checked(
            "dust-or-donation",
            "The payment may be dust, a donation or a test and not a purchase.",
            f"it is at least {dust_checked_sat:,} sat; purpose unknown",
        ),
        _stale_tag(service),
        _unchecked("chance", "Payments that have nothing to do with the site reach services too.", _NO_CONTROL_RATE),
    ]


def deposit_explanations(*, hops: int, service: Service) -> list[Explanation]:
    """Other ways to read a cash-out, each with what was and was not looked into."""
    return [
        _unchecked(
            "paid-person",
            "The account may be that of somebody whom the site paid, or of a broker, and not the operator's.",
            "the ledger can't show it; ask the service and the account holder",
        ),
        _COLLABORATIVE,
        _SHARED_WALLET
        if hops
        else _unchecked("shared-wallet", _SHARED_WALLET.text, "not applicable: the sweep itself is the deposit"),
        _unchecked(
            "change-swapped",
            _CHANGE_SWAPPED,
            "the path follows outputs of transactions that the site's money alone funds; who held them is not shown"
            if hops
            else "not applicable: one transaction",
        ),
        _stale_tag(service),
        _unchecked("chance", "Money that has nothing to do with the site reaches services too.", _NO_CONTROL_RATE),
    ]


def _checked(kind: str, text: str, finding: str) -> Explanation:
    return Explanation(id=kind, text=text, checked=True, finding=finding)


def _unchecked(kind: str, text: str, finding: str) -> Explanation:
    return Explanation(id=kind, text=text, checked=False, finding=finding)


def _stale_tag(service: Service | None) -> Explanation:
    found = f"the tag was last changed {service.tag.lastmod or 'at an unknown time'}" if service else "no tag used"
    return _unchecked("stale-tag", "The attribution to the service may be wrong or out of date.", found)


_COLLABORATIVE = _checked(
    "collaborative",
    "Several parties may have signed a transaction on the path (CoinJoin, PayJoin).",
    "no transaction on the path has the shape of one; such a shape would have ended the trail",
)
_SHARED_WALLET = _checked(
    "shared-wallet",
    "The paying wallet may be custodial or shared by several people.",
    "wallets with many transactions end the trail; smaller shared ones can't be seen",
)
_CHANGE_SWAPPED = "On a step, the output that is followed may have paid somebody else."
_NO_CONTROL_RATE = "the rate for control addresses was not measured"
