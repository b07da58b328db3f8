"""How far a leads directory agrees with the truth of its case.

A lead is right when it names the exchange that most of the payment's value came from. A payment whose money
passed a CoinJoin has no right answer: whatever names a service for it as continuous is wrong. Only strong and
moderate leads count as claims; weak ones stay in the house.
"""

from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any

from geldspur.accuracy.case import Case, outpoint
from geldspur.accuracy.claims import Missed, WrongClaim, cashout_claims, name_of, why_missed
from geldspur.accuracy.joins import JoinScore, WalletScore, score_joins, score_wallets
from geldspur.accuracy.payments import PaymentScore, score_payments
from geldspur.accuracy.rate import Rate


@dataclass(frozen=True, slots=True)
class CashoutScore:
    """Deposits of the site's money at exchanges."""

    precision: Rate
    recall: Rate
    wrong: list[WrongClaim]
    missed: list[Missed]


@dataclass(frozen=True, slots=True)
class Score:
    """Everything that a leads directory can be asked about."""

    case_tip: str
    payments: PaymentScore
    cashouts: CashoutScore | None
    wallets: WalletScore | None
    joins: JoinScore | None

    def figures(self) -> dict[str, Any]:
        """The flat table of headline figures, shares to four places; what wasn't written is absent."""
        p = self.payments
        out: dict[str, Any] = {
            "payments": p.payments,
            "payments_found": p.found,
            "rows_not_payments": p.rows_not_payments,
            "named": p.precision.n,
            "named_right": p.precision.right,
            "precision": p.precision.rounded,
            "strong": p.strong.n,
            "strong_precision": p.strong.rounded,
            "strong_wilson_low": round(p.strong.interval[0], 4),
            "traceable": p.recall.n,
            "recall": p.recall.rounded,
            "recall_by_hops": {hops: rate.rounded for hops, rate in p.recall_by_hops.items()},
            "withdrawal_exact": p.withdrawal_exact.rounded,
            "through_coinjoin": p.through_coinjoin,
            "through_coinjoin_claimed": p.through_coinjoin_claimed,
        }
        if p.ece is not None:
            out |= {"ece": p.ece, "brier": p.brier}
        if self.cashouts:
            out |= {
                "cashouts": self.cashouts.recall.n,
                "cashouts_said": self.cashouts.precision.n,
                "cashout_precision": self.cashouts.precision.rounded,
                "cashout_recall": self.cashouts.recall.rounded,
            }
        if self.wallets:
            out |= {
                "pair_precision": self.wallets.pair_precision.rounded,
                "pair_recall": self.wallets.pair_recall.rounded,
                "wallets_with_two_owners": len(self.wallets.two_owners),
                "owner_recall_mean": self.wallets.owner_recall_mean,
            }
        return out

    def as_dict(self) -> dict[str, Any]:
        """Everything, ready for `json.dumps`: the headline figures and what stands behind each."""
        return {"figures": self.figures(), **_plain(self)}


def score(case: Case, leads_dir: Path) -> Score:
    """Compare what `geldspur leads` wrote with the case's truth.

    `leads_dir` must hold leads.jsonl; cashouts.jsonl, wallets.csv and refused.csv (txid,reason: transactions
    that co-spend was refused for) are scored if they are there. Raises GeldspurError for files that can't be
    read.
    """
    return Score(
        case_tip=case.tip_hash(),
        payments=score_payments(case, leads_dir),
        cashouts=score_cashouts(case, leads_dir),
        wallets=score_wallets(case, leads_dir),
        joins=score_joins(case, leads_dir),
    )


def score_cashouts(case: Case, leads_dir: Path) -> CashoutScore | None:
    """Score cashouts.jsonl; None if there is none."""
    claims = cashout_claims(leads_dir)
    if claims is None:
        return None
    truth = {outpoint(row): row for row in case.table("cashouts")}
    said = {key: claim for key, claim in claims.items() if claim.actionable}
    right = {key: key in truth and truth[key]["exchange"] == claim.service for key, claim in said.items()}
    return CashoutScore(
        precision=Rate.of(right.values()),
        recall=Rate(sum(right.values()), len(truth)),
        wrong=[
            WrongClaim(
                payment=name_of(key),
                named=claim.service or "",
                band=claim.band,
                rules=list(claim.rules),
                truth=f"a deposit at {truth[key]['exchange']}" if key in truth else "not a deposit of the site's money",
            )
            for key, claim in said.items()
            if not right[key]
        ],
        missed=[
            Missed(
                name_of(key),
                row["exchange"],
                int(row["hops"]),
                why_missed(claims[key], claims[key].service == row["exchange"])
                if key in claims
                else "not followed to it",
            )
            for key, row in truth.items()
            if not right.get(key)
        ],
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Rate):
        return value.as_dict()
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value
