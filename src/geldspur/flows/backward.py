"""Where a payment's money came from: back through transactions until a service or a stop is reached.

A step back through a transaction of the payer's own wallet is a `co-spend` step; one by an output that the
signs say returned to its payer is a `change` step; one from a service's withdrawal to its first spender is a
`spend`, a fact. A step into a wallet that nothing shows to be the payer's is allowed for a few transactions
only; what is reached that way counts only as a `sole-source`, if all of the money leads to one service. Shares
are proportional: each input accounts for its part of the inputs' sum.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from geldspur.flows.change import ChangeSigns
from geldspur.flows.services import Service, ServiceMap
from geldspur.ledger import NO_SCRIPT, Ledger
from geldspur.rules import rule
from geldspur.tags import ServiceKind
from geldspur.wallets import Verdict, Wallets

MAX_OWN_TRANSACTIONS = 50
"""Longest chain of the payer's own transactions that is followed."""
DUST_SAT = 1_000
MAX_VISITS = 2_000
"""Inputs looked at for one payment before the walk gives up on the rest."""


class StopKind(StrEnum):
    """Why a walk ended."""

    SERVICE = "service"
    MIXER = "mixer"
    COINJOIN = "coinjoin"
    PAYJOIN = "payjoin"
    COINBASE = "coinbase"
    HUB = "hub"
    AMBIGUOUS = "ambiguous"
    DUST = "dust"
    BUDGET = "budget"
    EDGE = "edge"


@dataclass(frozen=True, slots=True)
class Step:
    """One transaction of a path: entered by input row `vin_row`, left by output row `vout_row`."""

    tx: int
    vin_row: int | None
    vout_row: int
    rule: str | None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a share of the money came from: a service, or a stop."""

    share: float
    path: tuple[Step, ...]
    """From the service's withdrawal, or the transaction at which the walk stopped, to the payment."""
    stop: StopKind
    stop_tx: int
    service: Service | None
    detail: str

    @property
    def is_named(self) -> bool:
        """Does a request to the service that was reached lead to an account holder?"""
        return self.stop is StopKind.SERVICE and self.service is not None and custodial(self.service)

    @property
    def owned(self) -> bool:
        """Were all steps the payer's own?"""
        return all(step.rule != "sole-source" for step in self.path)


def custodial(service: Service) -> bool:
    """Does the service keep accounts for customers?"""
    return service.kind is ServiceKind.CUSTODIAL


@dataclass(slots=True)
class _Walk:
    visits: int = 0


class BackwardTracer:
    """Traces payments back over one ledger, one edition of wallets and one of tags."""

    def __init__(self, ledger: Ledger, wallets: Wallets, services: ServiceMap) -> None:
        self.ledger = ledger
        self.wallets = wallets
        self.services = services
        self.change = ChangeSigns(ledger, wallets, services)
        self.min_signs = int(rule("change").parameters["min_signs"])
        parameters = rule("sole-source").parameters
        self.max_foreign = int(parameters["max_transactions"])
        self.hub = int(parameters["hub_transactions"])

    def origins(self, payment: int) -> list[Origin]:
        """Every origin of the output row `payment`, by descending share, then ledger order."""
        tx = self.ledger.tx_of_output(payment)
        last = Step(tx, None, payment, None)
        found = self._through(tx, (last,), 1.0, 0, _Walk())
        return sorted(found, key=lambda o: (-o.share, [(s.tx, s.vout_row) for s in o.path]))

    def _through(self, tx: int, path: tuple[Step, ...], share: float, foreign: int, walk: _Walk) -> list[Origin]:
        """Origins of what transaction `tx` sends on along `path`, whose first step is `tx` itself."""
        end = self._stop_at(tx, foreign, len(path), walk)
        if end is not None:
            kind, service, detail = end
            return [Origin(share, path, kind, tx, service, detail)]
        ledger = self.ledger
        first, last = int(ledger.tx_in[tx]), int(ledger.tx_in[tx + 1])
        rows = [int(r) for r in ledger.in_prevout[first:last]]
        values = [int(v) for v in ledger.out_value[rows]]
        total = sum(values) or 1
        payer = self.wallets.payer(tx)
        found: list[Origin] = []
        for vin_row, row, value in zip(range(first, last), rows, values, strict=True):
            walk.visits += 1
            before = ledger.tx_of_output(row)
            if value < DUST_SAT and value * 100 < total:
                found.append(self._dust(row, before, vin_row, path, share * value / total))
                continue
            step_rule = self._rule_of_step(before, row, payer)
            entered = replace(path[0], vin_row=vin_row, rule=step_rule)
            longer = (Step(before, None, row, None), entered, *path[1:])
            further = foreign + 1 if step_rule == "sole-source" else foreign
            found += self._through(before, longer, share * value / total, further, walk)
        return found

    def _rule_of_step(self, before: int, row: int, payer: int | None) -> str:
        """What carries a path from transaction `before`, by its output `row`, into a transaction of `payer`."""
        if self.services.of_payer(before) is not None:
            return "spend"
        earlier = self.wallets.payer(before)
        if payer is not None and earlier == payer:
            return "co-spend"
        guess = self.change.guess(before) if earlier is not None else None
        if guess is not None and guess.output == row and guess.margin >= self.min_signs:
            return "change"
        return "sole-source"

    @staticmethod
    def _dust(row: int, before: int, vin_row: int, path: tuple[Step, ...], share: float) -> Origin:
        """Dust sent to a payer by a stranger must not spoil the trail of the payer's own money."""
        entered = replace(path[0], vin_row=vin_row, rule="sole-source")
        longer = (Step(before, None, row, None), entered, *path[1:])
        return Origin(share, longer, StopKind.DUST, before, None, f"an input below {DUST_SAT:,} sat")

    def _stop_at(self, tx: int, foreign: int, length: int, walk: _Walk) -> tuple[StopKind, Service | None, str] | None:
        """Does the walk end at this transaction, and why?"""
        verdict = Verdict(int(self.wallets.verdict[tx]))
        if self.ledger.is_coinbase(tx):
            return StopKind.COINBASE, None, "newly mined coins"
        if verdict is Verdict.COINJOIN:
            return StopKind.COINJOIN, None, "several owners may have signed; nothing is claimed through it"
        service = self.services.of_payer(tx)
        if service is not None:
            if service.kind is ServiceKind.MIXER:
                return StopKind.MIXER, service, f"a mixer's wallet, attributed to {service.name}"
            return StopKind.SERVICE, service, f"a wallet attributed to {service.name}"
        if verdict is Verdict.PAYJOIN:
            return StopKind.PAYJOIN, None, "payer and payee may have signed together"
        if verdict is Verdict.CONFLICT:
            return StopKind.AMBIGUOUS, None, "inputs attributed to different services signed together"
        rows = self.ledger.spent_by_tx(tx)
        if any(r < self.ledger.n_edges or int(self.ledger.out_script[r]) == NO_SCRIPT for r in rows):
            return StopKind.EDGE, None, "an input's origin lies outside the ledger"
        payer = self.wallets.payer(tx)
        if payer is not None and self.services.wallet_transactions(payer) > self.hub:
            return (
                StopKind.HUB,
                None,
                f"an untagged wallet of more than {self.hub} transactions, likely a service",
            )
        if foreign > self.max_foreign:
            return (
                StopKind.BUDGET,
                None,
                f"more than {self.max_foreign} transactions of unknown ownership back",
            )
        if length > MAX_OWN_TRANSACTIONS or walk.visits > MAX_VISITS:
            return StopKind.BUDGET, None, "the walk became too long"
        return None
