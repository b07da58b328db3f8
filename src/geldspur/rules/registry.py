"""Every rule of inference that Geldspur applies, with what is known about its errors."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """How often a rule was right where the truth was known, and where that was."""

    right: int
    n: int
    population: str
    measured_on: str

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's 95 % interval of the share that was right."""
        if not self.n:
            return 0.0, 1.0
        z, n, p = 1.959964, self.n, self.right / self.n
        middle = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
        return max(0.0, middle - half), min(1.0, middle + half)

    def sentence(self) -> str:
        """The rate as a report prints it."""
        low, high = self.interval
        wrong = self.n - self.right
        return (
            f"wrong {wrong} of {self.n} times (error rate {wrong / self.n:.1%}, 95 % interval "
            f"{1 - high:.1%} to {1 - low:.1%}), measured on: {self.population}"
        )


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of inference. `questions` are what an examiner must ask before relying on it."""

    id: str
    version: int
    title: str
    states: str
    source: str
    questions: tuple[str, ...]
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rates(self) -> tuple[ErrorRate, ...]:
        """The error rates measured for this version of the rule; empty where none was."""
        return tuple(rate for key, rate in _measured() if key == (self.id, self.version))

    @property
    def error_rate(self) -> str:
        """The measured rates as a sentence, or that none was measured."""
        return "; ".join(rate.sentence() for rate in self.rates) or NOT_MEASURED


@cache
def _measured() -> tuple[tuple[tuple[str, int], ErrorRate], ...]:
    text = (resources.files("geldspur.rules") / "rates.json").read_text(encoding="utf-8")
    return tuple(
        (
            (row["rule"], row["version"]),
            ErrorRate(row["right"], row["n"], row["population"], row["measured_on"]),
        )
        for row in json.loads(text)["rates"]
    )


_ALL = (
    Rule(
        "co-spend", 1, "Common spending",
        "Addresses that sign one transaction together are consistent with one wallet.",
        "S. Nakamoto, Bitcoin (2008), section 10; J. Nick, Data-Driven De-Anonymization in Bitcoin (2015)",
        (
            "Could several parties have signed (CoinJoin, PayJoin, a shared or custodial wallet)?",
            "Does the wallet pay for many people, so that it is a service and not a person?",
            "Was a key imported from one wallet into another?",
        ),
    ),
    Rule(
        "coinjoin-guard", 1, "CoinJoin guard",
        "A transaction with equal outputs to as many scripts as a round of participants shows no common owner.",
        "BlockSci, is_coinjoin; Dumplings, Wasabi and JoinMarket rules; GraphSense, heuristics_service (2026)",
        ("Are the equal outputs a payout of equal amounts by one payer?",),
        {"dust_floor_sat": 2730, "min_equal_outputs": 3, "wasabi_equal_outputs": 10},
    ),
    Rule(
        "payjoin-guard", 1, "PayJoin quarantine",
        "A two-output transaction that payer and payee could have signed together shows no common owner.",
        "payjoin.org research notes, fingerprints; BIP78; C. Belcher, unnecessary input heuristics",
        ("Is the wallet of mixed address types, or does it gather coins it does not need?",),
        {"round_unit_sat": 10_000, "min_change_sat": 1_000_000, "few_inputs": 4},
    ),
    Rule(
        "service-conflict-guard", 1, "Conflict of services",
        "A transaction whose inputs' wallets are attributed to two services joins nothing.",
        "A. Ermilov, M. Panov, Y. Yanovich, Automatic Bitcoin Address Clustering (2017)",
        ("Is one of the two attributions stale or wrong?", "Did one service take over the other?"),
    ),
    Rule(
        "sole-source", 1, "Sole source",
        "All of the money, followed back a few transactions, came from one service with no stop between. "
        "Who held it in between is not shown.",
        "Geldspur; compare direct and indirect exposure in commercial tools",
        (
            "Did the coins change hands on the way, by a sale between persons or through an unnamed service?",
            "Is a wallet on the way a service that nobody has tagged?",
        ),
        {"max_transactions": 4, "hub_transactions": 200},
    ),
    Rule(
        "site-spend", 1, "Sweep",
        "A transaction that spends what the site's addresses received was made by whoever controls them.",
        "Bitcoin's consensus rules: a spend needs the key",
        ("Were the keys seized, shared or held by a payment processor at that time?",),
    ),
    Rule(
        "change", 1, "Change of the same wallet",
        "One output returns to the payer: the signs named with the step point to it and to no other output.",
        "M. Moeser, A. Narayanan, Resurrecting Address Clustering in Bitcoin (FC 2022)",
        (
            "Do both outputs qualify?",
            "Does the payee use the same wallet software?",
            "Was the rule measured on this era and script type?",
        ),
        {"min_signs": 2},
    ),
    Rule(
        "sole-funding", 1, "Funded by the site alone",
        "Every input of the transaction came from the site's swept money.",
        "Geldspur",
        ("Did the money change hands before this transaction?",),
        {"max_transactions": 6, "hub_transactions": 200},
    ),
    Rule(
        "dust", 1, "Dust",
        "An output below the threshold is too small to be a purchase and is kept apart.",
        "Bitcoin Core, dust limits; WatchYourBack (CCS 2022), forced address reuse",
        ("Does the site sell anything this cheap?",),
        {"threshold_sat": 1_000, "forced_reuse_outputs": 100, "forced_reuse_amounts": 4},
    ),
)  # fmt: skip

RULES: dict[str, Rule] = {rule.id: rule for rule in _ALL}


def rule(rule_id: str) -> Rule:
    """The rule of that id; KeyError where there is none: nothing may cite an unregistered rule."""
    return RULES[rule_id]


def ruleset_hash() -> str:
    """SHA-256 over ids, versions and parameters of all rules: results of other rules must not be mixed."""
    content = [[r.id, r.version, r.states, dict(r.parameters)] for r in _ALL]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
