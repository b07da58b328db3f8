"""From origins to a lead's band: which service is named, how strongly, and what stands against it."""

from dataclasses import dataclass

from geldspur.flows import Deposit, Origin, Service, StopKind
from geldspur.flows.backward import custodial
from geldspur.leads.schema import Band

_BLOCKED_BY_MIXING = (StopKind.COINJOIN, StopKind.MIXER)
MIN_SIGNS = 2
"""Signs of change that a moderate cash-out needs at each step: one sign alone is often wrong."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the origins of one payment come to."""

    band: Band
    main: Origin
    """The origin that the lead's path shows: the named service's largest, else the largest of all."""
    service: Service | None
    share: float | None
    reason: str
    """Why the band is not higher, or what carries it."""
    sole_source: bool
    """Does the grade rest on that rule: all of the money from one service, some of it through unknown hands?"""


def judge_payment(origins: list[Origin]) -> Judgement:
    """Grade a payment by where its money came from; dust among the origins does not count.

    Strong: a service's own transaction pays the site. Moderate: all of the money came from one service. Weak:
    services disagree, or part of the money could not be followed or passed a CoinJoin or a mixer.
    """
    counted = [o for o in origins if o.stop is not StopKind.DUST]
    named = [o for o in counted if o.is_named]
    if not named:
        return Judgement(Band.NONE, origins[0], None, None, origins[0].detail, False)
    shares: dict[str, float] = {}
    for origin in named:
        assert origin.service is not None
        shares[origin.service.name] = shares.get(origin.service.name, 0.0) + origin.share
    name = min(shares, key=lambda n: (-shares[n], n))
    main = next(o for o in named if o.service is not None and o.service.name == name)
    sole = any(not o.owned for o in counted)
    band, reason = _band(counted, named, shares, main, sole)
    return Judgement(band, main, main.service, min(1.0, shares[name]), reason, sole and band is Band.MODERATE)


def _band(
    counted: list[Origin], named: list[Origin], shares: dict[str, float], main: Origin, sole: bool
) -> tuple[Band, str]:
    assert main.service is not None
    if main.service.others:
        return Band.WEAK, f"tags of the same wallet also name {', '.join(main.service.others)}"
    if len(shares) > 1:
        return Band.WEAK, f"the money came from several services: {', '.join(sorted(shares))}"
    if any(o.stop in _BLOCKED_BY_MIXING for o in counted):
        return Band.WEAK, "part of the money passed a CoinJoin or a mixer"
    if len(named) < len(counted):
        lost = sorted({o.stop.value for o in counted if not o.is_named})
        return Band.WEAK, f"part of the money could not be followed to a service: {', '.join(lost)}"
    if len(main.path) == 1:
        return Band.STRONG, "a transaction of a wallet attributed to the service pays the site"
    if sole:
        return (
            Band.MODERATE,
            "all of the money came from this one service; who held it in between is not shown",
        )
    return Band.MODERATE, "the payer's wallet received the money from this service"


def judge_deposit(deposit: Deposit) -> tuple[Band, str]:
    """Grade a cash-out: moderate with two signs of change at each step, weak with fewer or disputed tags."""
    if not custodial(deposit.service):
        return Band.NONE, "the service that was reached keeps no customer accounts as far as its tag says"
    if deposit.service.others:
        return Band.WEAK, f"tags of the same wallet also name {', '.join(deposit.service.others)}"
    if deposit.signs is not None and deposit.signs < MIN_SIGNS:
        return Band.WEAK, "a step rests on a single sign of change"
    if deposit.hops == 0:
        return (
            Band.WEAK,
            "the sweep itself pays the service: it may be a refund to a customer's account there",
        )
    return Band.MODERATE, "all of the transaction's money came from the site's sweeps"
