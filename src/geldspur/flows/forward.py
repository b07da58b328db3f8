"""Where the site's money went: sweeps, cash-outs at services, and what else was paid.

A site transaction that returns nothing to the site's wallet and has at most two outputs is a sweep: its money
is followed. Every other site transaction pays somebody: its outputs are payouts. Money is followed into a
transaction only if all of its inputs came from sweeps (`sole-funding`), and out of it by its only output, or
by the one that the signs of change point to. A deposit at a service ends the trail.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from geldspur.flows.backward import Step
from geldspur.flows.change import ChangeGuess, ChangeSigns
from geldspur.flows.services import Service, ServiceMap
from geldspur.ledger import NO_SCRIPT, Ledger
from geldspur.rules import rule
from geldspur.wallets import REFUSED, Wallets

MAX_SWEEP_OUTPUTS = 2


@dataclass(frozen=True, slots=True)
class Deposit:
    """Site money that reached a service's wallet. `path` runs from the sweep to the deposit."""

    output: int
    service: Service
    path: tuple[Step, ...]
    signs: int | None
    """The fewest signs of change on the path; None where the path needs none."""
    guesses: tuple[ChangeGuess, ...]

    @property
    def hops(self) -> int:
        """Transactions after the sweep, the deposit included."""
        return len(self.path) - 1


@dataclass(frozen=True, slots=True)
class Paid:
    """Site money that was paid to somebody without a tag."""

    output: int
    path: tuple[Step, ...]
    refund_of: int | None
    """An earlier payment to the site that the same wallet made."""


@dataclass(slots=True)
class ForwardFlows:
    """What became of the site's money, each list in ledger order."""

    site_wallets: list[int]
    sweeps: list[int] = field(default_factory=list)
    deposits: list[Deposit] = field(default_factory=list)
    payouts: list[Paid] = field(default_factory=list)


@dataclass(slots=True)
class _Trail:
    path: tuple[Step, ...]
    guesses: tuple[ChangeGuess, ...]


class ForwardTracer:
    """Follows a site's money over one ledger, one edition of wallets and one of tags."""

    def __init__(self, ledger: Ledger, wallets: Wallets, services: ServiceMap) -> None:
        self.ledger = ledger
        self.wallets = wallets
        self.services = services
        self.change = ChangeSigns(ledger, wallets, services)
        self.max_transactions = int(rule("sole-funding").parameters["max_transactions"])

    def follow(self, site_scripts: Iterable[int], payers: dict[int, int]) -> ForwardFlows:
        """Follow all that the site's scripts spent.

        `payers` maps each unnamed wallet that paid the site to the row of its first payment, so that refunds can
        be told from other payouts.
        """
        site = sorted(set(site_scripts))
        wallets = sorted({int(self.wallets.wallet[s]) for s in site})
        flows = ForwardFlows(wallets)
        trails: dict[int, _Trail] = {}
        for tx in self._spends(wallets):
            outputs = self._spendable(tx)
            outside = [o for o in outputs if self._wallet(o) not in wallets]
            if len(outside) == len(outputs) <= MAX_SWEEP_OUTPUTS:
                flows.sweeps.append(tx)
                for row in outside:
                    self._arrive(flows, trails, row, _Trail((Step(tx, None, row, None),), ()), payers)
            else:
                for row in outside:
                    self._pay(flows, row, (Step(tx, None, row, None),), payers)
        self._walk(flows, trails, payers)
        flows.deposits.sort(key=lambda d: d.output)
        flows.payouts.sort(key=lambda p: p.output)
        return flows

    def _spends(self, wallets: list[int]) -> list[int]:
        """Transactions that the given wallets made, in ledger order."""
        members = np.flatnonzero(np.isin(self.wallets.wallet, np.array(wallets, np.uint32)))
        found = set()
        for script in members.tolist():
            for row in self.ledger.outputs_of(script):
                spender = self.ledger.spender_of(row)
                if spender is not None:
                    found.add(self.ledger.tx_of_input(spender))
        return sorted(t for t in found if self.wallets.verdict[t] not in REFUSED)

    def _walk(self, flows: ForwardFlows, trails: dict[int, _Trail], payers: dict[int, int]) -> None:
        """Follow trails in ledger order, so that every input of a transaction is known before it is looked at."""
        waiting = [t for row in trails if (t := self._spender(row)) is not None]
        heapq.heapify(waiting)
        done = set()
        while waiting:
            tx = heapq.heappop(waiting)
            if tx in done:
                continue
            done.add(tx)
            start = int(self.ledger.tx_in[tx])
            spent = [int(r) for r in self.ledger.in_prevout[start : int(self.ledger.tx_in[tx + 1])]]
            if self.wallets.verdict[tx] in REFUSED or any(r not in trails for r in spent):
                continue
            # The input that brings most of the money names the path; ties go to the first.
            main = max(range(len(spent)), key=lambda k: (int(self.ledger.out_value[spent[k]]), -k))
            trail = trails[spent[main]]
            if len(trail.path) > self.max_transactions:
                continue
            for row in self._continue(flows, trails, tx, start + main, trail, payers):
                if (following := self._spender(row)) is not None:
                    heapq.heappush(waiting, following)

    def _continue(
        self,
        flows: ForwardFlows,
        trails: dict[int, _Trail],
        tx: int,
        vin: int,
        trail: _Trail,
        payers: dict[int, int],
    ) -> list[int]:
        """Take a trail through one transaction; returns the output rows on which it goes on."""
        outputs = self._spendable(tx)
        guess = self.change.guess(tx)
        followed = []
        for row in outputs:
            path = (*trail.path, Step(tx, vin, row, "sole-funding"))
            is_service = not self._unnamed(row)
            only = len(outputs) == 1
            is_change = guess is not None and guess.output == row and guess.margin >= 1
            if is_service or only:
                self._arrive(flows, trails, row, _Trail(path, trail.guesses), payers)
            elif is_change and guess is not None:
                self._arrive(flows, trails, row, _Trail(path, (*trail.guesses, guess)), payers)
            else:
                self._pay(flows, row, path, payers)
            if row in trails:
                followed.append(row)
        return followed

    def _arrive(
        self, flows: ForwardFlows, trails: dict[int, _Trail], row: int, trail: _Trail, payers: dict[int, int]
    ) -> None:
        service = self.services.of_script(int(self.ledger.out_script[row]))
        if service is None:
            trails[row] = trail
            return
        signs = min((g.margin for g in trail.guesses), default=None)
        flows.deposits.append(Deposit(row, service, trail.path, signs, trail.guesses))

    def _pay(self, flows: ForwardFlows, row: int, path: tuple[Step, ...], payers: dict[int, int]) -> None:
        earlier = payers.get(self._wallet(row))
        flows.payouts.append(Paid(row, path, earlier if earlier is not None and earlier < row else None))

    def _spendable(self, tx: int) -> list[int]:
        rows = range(int(self.ledger.tx_out[tx]), int(self.ledger.tx_out[tx + 1]))
        return [o for o in rows if int(self.ledger.out_script[o]) != NO_SCRIPT]

    def _unnamed(self, row: int) -> bool:
        return self.services.of_script(int(self.ledger.out_script[row])) is None

    def _wallet(self, row: int) -> int:
        return int(self.wallets.wallet[int(self.ledger.out_script[row])])

    def _spender(self, row: int) -> int | None:
        spender = self.ledger.spender_of(row)
        return None if spender is None else self.ledger.tx_of_input(spender)
