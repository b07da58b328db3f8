"""Measured error rates of the rules, in the form of `geldspur/rules/rates.json`.

A rate says how often a rule was right, of how many, where and in which population. A rule that a run never
leans on gets no rate: what nobody measured prints "not measured".
"""

from collections import defaultdict
from pathlib import Path
from typing import Any

from geldspur.accuracy.case import Case, open_case, outpoint
from geldspur.accuracy.claims import payment_claims, refused_joins
from geldspur.accuracy.joins import score_joins, several_address_spends
from geldspur.accuracy.payments import is_right
from geldspur.accuracy.rate import Rate

# Co-spend asserts that the inputs of a transaction have one owner: its rate counts joins, not leads.
CO_SPEND = "co-spend"
# The guards that refuse joins: first word of the reason -> rule.
GUARDS = {"coinjoin": "coinjoin", "payjoin": "payjoin"}

_NAMES = {"coinjoin": "CoinJoin", "payjoin": "PayJoin"}
_ECONOMY = "synthetic regtest economy with invented behaviour rates"

# (rule, version) -> (rate, population)
_Measured = dict[tuple[str, int], tuple[Rate, str]]


def measure_rates(case_dir: Path, leads_dir: Path) -> dict[str, Any]:
    """Rates of every rule that the leads in `leads_dir` lean on, measured on the case in `case_dir`.

    Returns {"rates": [{"rule", "version", "right", "n", "population", "measured_on"}]}, sorted by rule and
    version; `measured_on` is the hash of the case's tip. Wilson's interval follows from `right` and `n`
    (`rate.wilson`). Joins and guards need wallets.csv and refused.csv beside the leads; without them their
    rules get no rate. Raises GeldspurError for files that can't be read.
    """
    case = open_case(case_dir)
    versions = _versions(leads_dir)
    measured = _by_leads(case, leads_dir, versions) | _by_joins(case, leads_dir, versions)
    tip = case.tip_hash()
    return {
        "rates": [
            {
                "rule": rule,
                "version": version,
                "right": rate.right,
                "n": rate.n,
                "population": f"{population}; {_ECONOMY}",
                "measured_on": tip,
            }
            for (rule, version), (rate, population) in sorted(measured.items(), key=lambda item: item[0])
        ]
    }


def _versions(leads_dir: Path) -> dict[str, int]:
    """By rule, the version that the leads cite; a rule that they don't cite is at its first."""
    found: dict[str, int] = defaultdict(lambda: 1)
    for claim in payment_claims(leads_dir).values():
        found |= claim.versions
    return found


def _by_leads(case: Case, leads_dir: Path, versions: dict[str, int]) -> _Measured:
    """Of the leads that lean on a rule and on none that assumes more: how many name the right exchange."""
    truth = {outpoint(row): row for row in case.table("payments")}
    outcomes: dict[str, list[bool]] = defaultdict(list)
    for key, claim in payment_claims(leads_dir).items():
        if claim.actionable and key in truth:
            outcomes[claim.weakest_rule].append(is_right(claim, truth[key]))
    outcomes.pop(CO_SPEND, None)
    return {
        (rule, versions[rule]): (
            Rate.of(right),
            "strong and moderate leads whose path leans on this rule and on none that assumes more, right if "
            f"they name the exchange that most of the payment came from ({len(truth)} payments)",
        )
        for rule, right in outcomes.items()
    }


def _by_joins(case: Case, leads_dir: Path, versions: dict[str, int]) -> _Measured:
    joins = score_joins(case, leads_dir)
    refused = refused_joins(leads_dir)
    if joins is None or refused is None:
        return {}
    measured: _Measured = {}
    if joins.merged.n:
        measured[CO_SPEND, versions[CO_SPEND]] = (
            joins.merged,
            "transactions whose input addresses were merged, right if all inputs have one owner",
        )
    spends = several_address_spends(case)
    for word, rule in GUARDS.items():
        given = [txid for txid, reason in refused.items() if reason.lower().startswith(word)]
        caught = {"coinjoin": joins.coinjoins, "payjoin": joins.payjoins}[word]
        if given:
            measured[rule, versions[rule]] = (
                Rate.of(txid in spends and spends[txid].kind == word for txid in given),
                f"transactions that this guard refused to merge, right if they truly are a {_NAMES[word]}; "
                f"of the {caught.n} {_NAMES[word]}s that there were, {caught.right} were not merged",
            )
    return measured
