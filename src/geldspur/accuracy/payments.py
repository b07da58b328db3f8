"""Payments to the site against the truth: which exchange did the money come from?"""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from geldspur.accuracy.case import Case, outpoint
from geldspur.accuracy.claims import (
    Claim,
    Missed,
    WrongClaim,
    dismissed_payments,
    name_of,
    payment_claims,
    why_missed,
)
from geldspur.accuracy.rate import Rate

_Key = TypeVar("_Key", int, str)
_BINS = 10


@dataclass(frozen=True, slots=True)
class PaymentScore:
    """Payments to the site and the exchanges named for them."""

    payments: int
    found: int
    rows_not_payments: int
    precision: Rate
    strong: Rate
    recall: Rate
    recall_by_hops: dict[int, Rate]
    withdrawal_exact: Rate
    through_coinjoin: int
    through_coinjoin_claimed: int
    by_band: dict[str, Rate]
    by_rule: dict[str, Rate]
    by_weakest_rule: dict[str, Rate]
    wrong: list[WrongClaim]
    missed: list[Missed]
    ece: float | None
    brier: float | None


def is_right(claim: Claim | None, truth: dict[str, str]) -> bool:
    """Whether a claim names the exchange that most of the money came from, and no CoinJoin lies between."""
    return (
        claim is not None
        and claim.service is not None
        and claim.service == truth["source_exchange"]
        and not _is_mixed(truth)
    )


def score_payments(case: Case, leads_dir: Path) -> PaymentScore:
    """Score leads.jsonl."""
    truth = {outpoint(row): row for row in case.table("payments")}
    claims = payment_claims(leads_dir)
    dismissed = dismissed_payments(leads_dir)
    found = [key for key in truth if key in claims]
    right = {key: is_right(claims[key], truth[key]) for key in found}
    named = [key for key in found if claims[key].actionable]
    strong = [key for key in named if claims[key].band == "strong"]
    graded = [key for key in found if claims[key].service is not None]
    traceable = [key for key in found if truth[key]["source_exchange"] and not _is_mixed(truth[key])]
    caught = {key: right[key] and claims[key].actionable for key in traceable}
    mixed = [key for key in found if _is_mixed(truth[key])]
    origins = _origins(case)

    by_hops: dict[int, list[bool]] = defaultdict(list)
    for key in traceable:
        by_hops[int(truth[key]["hop_count"])].append(caught[key])
    by_band: dict[str, list[bool]] = defaultdict(list)
    for key in graded:
        by_band[claims[key].band].append(right[key])
    by_rule: dict[str, list[bool]] = defaultdict(list)
    by_weakest: dict[str, list[bool]] = defaultdict(list)
    for key in named:
        by_weakest[claims[key].weakest_rule].append(right[key])
        for rule in claims[key].rules:
            by_rule[rule].append(right[key])

    lost = [key for key in truth if key not in claims and truth[key]["source_exchange"] and not _is_mixed(truth[key])]
    causes = {key: dismissed.get(key, "no lead written") for key in lost}
    causes |= {key: why_missed(claims[key], right[key]) for key in traceable if not caught[key]}
    ece, brier = _calibration([(claims[key].probability, right[key]) for key in graded])
    return PaymentScore(
        payments=len(truth),
        found=len(found),
        rows_not_payments=len(claims) - len(found),
        precision=Rate.of(right[key] for key in named),
        strong=Rate.of(right[key] for key in strong),
        recall=Rate.of(caught.values()),
        recall_by_hops=_rates(by_hops),
        withdrawal_exact=Rate.of(
            claims[key].withdrawal == (truth[key]["withdrawal_txid"], truth[key]["withdrawal_vout"])
            for key in named
            if right[key]
        ),
        through_coinjoin=len(mixed),
        through_coinjoin_claimed=sum(claims[key].actionable for key in mixed),
        by_band=_rates(by_band),
        by_rule=_rates(by_rule),
        by_weakest_rule=_rates(by_weakest),
        wrong=[
            WrongClaim(
                payment=name_of(key),
                named=claims[key].service or "",
                band=claims[key].band,
                rules=list(claims[key].rules),
                truth=_what_truth_says(truth[key], origins[truth[key]["payment_id"]]),
            )
            for key in named
            if not right[key]
        ],
        missed=[
            Missed(name_of(key), truth[key]["source_exchange"], int(truth[key]["hop_count"]), causes[key])
            for key in truth
            if key in causes
        ],
        ece=ece,
        brier=brier,
    )


def _is_mixed(truth: dict[str, str]) -> bool:
    return truth["via_coinjoin"] == "1"


def _rates(outcomes: dict[_Key, list[bool]]) -> dict[_Key, Rate]:
    return {key: Rate.of(outcomes[key]) for key in sorted(outcomes)}


def _calibration(graded: list[tuple[float | None, bool]]) -> tuple[float | None, float | None]:
    """Expected calibration error (ten bins of equal count) and Brier score; None without probabilities."""
    pairs = sorted((p, right) for p, right in graded if p is not None)
    n = len(pairs)
    if not n:
        return None, None
    ece = 0.0
    for i in range(_BINS):
        part = pairs[i * n // _BINS : (i + 1) * n // _BINS]
        ece += abs(sum(p for p, _ in part) - sum(right for _, right in part))
    return round(ece / n, 4), round(sum((p - right) ** 2 for p, right in pairs) / n, 4)


def _origins(case: Case) -> dict[str, str]:
    """By payment, every source with its share, largest first, in words."""
    shares: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for row in case.table("payment_sources"):
        shares[row["payment_id"]].append((float(row["share"]), row["source_actor"]))
    return {
        payment: ", ".join(f"{actor} {share:.0%}" for share, actor in sorted(sources, key=lambda s: (-s[0], s[1])))
        for payment, sources in shares.items()
    }


def _what_truth_says(truth: dict[str, str], origins: str) -> str:
    if _is_mixed(truth):
        return f"through a CoinJoin; before it {origins}"
    if not truth["source_exchange"]:
        return f"no exchange is the main source: {origins}"
    return f"{origins}, {truth['hop_count']} hops"
