"""Measured error rates of the rules, in the form of `geldspur/rules/rates.json`.

A rate says how often a rule was right, of how many, where and in which population. A rule that a run never
leans on gets no rate: what nobody measured prints "not measured".
"""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from geldspur.accuracy.case import Case, open_case, outpoint
from geldspur.accuracy.claims import cashout_claims, payment_claims, refused_joins
from geldspur.accuracy.joins import score_joins, several_address_spends
from geldspur.accuracy.payments import is_right
from geldspur.accuracy.rate import Rate
from geldspur.rules import RULES

# Label of a refused join -> (the guard that refuses it, the kind of transaction that it guards against).
GUARDS = {"coinjoin": ("coinjoin-guard", "CoinJoin"), "payjoin": ("payjoin-guard", "PayJoin")}

_ECONOMY = "synthetic regtest economy with invented behaviour rates, also used in development"


class _Measured(NamedTuple):
    rule: str
    population: str
    rate: Rate


def measure_rates(case_dir: Path, leads_dir: Path) -> dict[str, Any]:
    """Rates of every rule that the run in `leads_dir` leans on, measured on the case in `case_dir`.

    Returns {"rates": [{"rule", "version", "right", "n", "population", "measured_on"}]}; a rule that is used
    in several ways has a rate for each. `measured_on` is the hash of the case's tip. Joins and guards need
    wallets.csv and refused.csv beside the leads; without them they get no rate. Raises GeldspurError for
    files that can't be read.
    """
    case = open_case(case_dir)
    measured = [*_by_joins(case, leads_dir), *_by_leads(case, leads_dir), *_by_cashouts(case, leads_dir)]
    tip = case.tip_hash()
    return {
        "rates": [
            {
                "rule": rule,
                "version": RULES[rule].version,
                "right": rate.right,
                "n": rate.n,
                "population": f"{population}; {_ECONOMY}",
                "measured_on": tip,
            }
            for rule, population, rate in sorted(measured, key=lambda m: m.rule)
            if rule in RULES and rate.n
        ]
    }


def _by_leads(case: Case, leads_dir: Path) -> Iterator[_Measured]:
    """Of the leads that lean on a rule and on none that assumes more: how many name the right exchange."""
    truth = {outpoint(row): row for row in case.table("payments")}
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for key, claim in payment_claims(leads_dir).items():
        if claim.actionable and key in truth:
            outcomes[claim.weakest_rule].append(is_right(claim, truth[key]))
    for rule, right in outcomes.items():
        yield _Measured(rule, "exchanges named by strong and moderate leads whose weakest step it is", Rate.of(right))


def _by_cashouts(case: Case, leads_dir: Path) -> Iterator[_Measured]:
    """Of the cash-outs that lean on a rule and on none that assumes more: how many are true."""
    truth = {outpoint(row): row["exchange"] for row in case.table("cashouts")}
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for key, claim in (cashout_claims(leads_dir) or {}).items():
        if claim.actionable:
            outcomes[claim.weakest_rule].append(truth.get(key) == claim.service)
    for rule, right in outcomes.items():
        yield _Measured(rule, "deposits and exchanges named by cash-outs whose weakest step it is", Rate.of(right))


def _by_joins(case: Case, leads_dir: Path) -> Iterator[_Measured]:
    joins = score_joins(case, leads_dir)
    refused = refused_joins(leads_dir)
    if joins is None or refused is None:
        return
    yield _Measured("co-spend", "transactions whose input addresses it joined, right if of one owner", joins.merged)
    spends = several_address_spends(case)
    for label, (rule, name) in GUARDS.items():
        given = [txid for txid, reason in refused.items() if reason == label]
        truly = Rate.of(txid in spends and spends[txid].kind == label for txid in given)
        yield _Measured(rule, f"transactions that it refused, right if a {name}", truly)
        kept_apart = {"coinjoin": joins.coinjoins, "payjoin": joins.payjoins}[label]
        yield _Measured(rule, f"true {name}s, right if not joined", kept_apart)
    one_owner = Rate.of(
        txid in spends and len(spends[txid].owners) > 1 for txid, reason in refused.items() if reason == "conflict"
    )
    yield _Measured("service-conflict-guard", "transactions that it refused, right if of several owners", one_owner)
