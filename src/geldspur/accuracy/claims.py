"""What a leads directory claims, read from its files as any other program would read them."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geldspur.accuracy.case import Outpoint, read_table
from geldspur.errors import GeldspurError

# Not rules but facts: the service's own transaction pays the site, or an output of it is spent next.
DIRECT, SPEND = "direct", "spend"

# From the rule that assumes least to the one that assumes most; one not listed counts as the latter.
LEANING = (DIRECT, SPEND, "site-spend", "co-spend", "change", "sole-funding", "sole-source")

_ACTIONABLE = frozenset({"strong", "moderate"})


@dataclass(frozen=True, slots=True)
class Claim:
    """What one row says about one output."""

    service: str | None
    band: str
    probability: float | None
    withdrawal: tuple[str, str]
    rules: tuple[str, ...]
    stop: str

    @property
    def actionable(self) -> bool:
        """Whether it names a service in a band that leaves the house."""
        return self.service is not None and self.band in _ACTIONABLE

    @property
    def weakest_rule(self) -> str:
        """The rule on the path that assumes most."""
        return max(self.rules, key=lambda rule: (LEANING.index(rule) if rule in LEANING else len(LEANING), rule))


@dataclass(frozen=True, slots=True)
class WrongClaim:
    """A claim that the truth contradicts."""

    payment: str
    named: str
    band: str
    rules: list[str]
    truth: str


@dataclass(frozen=True, slots=True)
class Missed:
    """Something true that no claim names rightly."""

    payment: str
    service: str
    hops: int
    cause: str


def payment_claims(leads_dir: Path) -> dict[Outpoint, Claim]:
    """Claims of leads.jsonl by the site's output. Raises GeldspurError if the file can't be read."""
    return {_outpoint(row): _claim(row, row.get("source") or {}) for row in _objects(leads_dir / "leads.jsonl")}


def cashout_claims(leads_dir: Path) -> dict[Outpoint, Claim] | None:
    """Claims of cashouts.jsonl by the deposit output; None if there is no such file.

    Where several rows speak about one output, the last one that names a service counts.
    """
    path = leads_dir / "cashouts.jsonl"
    if not path.exists():
        return None
    claims = [(_outpoint(row), _claim(row, row)) for row in _objects(path)]
    return dict(sorted(claims, key=lambda pair: pair[1].actionable))


def dismissed_payments(leads_dir: Path) -> dict[Outpoint, str]:
    """Outputs that not_payments.jsonl sets aside, with the reason in words."""
    path = leads_dir / "not_payments.jsonl"
    if not path.exists():
        return {}
    return {_outpoint(row): f"taken for {row['reason']}" for row in _objects(path)}


def wallet_of_address(leads_dir: Path) -> dict[str, str] | None:
    """wallets.csv as a table; None if there is no such file."""
    path = leads_dir / "wallets.csv"
    return {row["address"]: row["wallet"] for row in read_table(path)} if path.exists() else None


def refused_joins(leads_dir: Path) -> dict[str, str] | None:
    """Transactions that co-spend was refused for, with the reason; None if there is no refused.csv."""
    path = leads_dir / "refused.csv"
    return {row["txid"]: row["reason"] for row in read_table(path)} if path.exists() else None


def why_missed(claim: Claim, right: bool) -> str:
    """In a few words, why a claim does not name what it should."""
    if claim.service is None:
        return f"stopped: {claim.stop}"
    if not right:
        return "another service named"
    return f"right, but {claim.band}"


def name_of(key: Outpoint) -> str:
    """An output as people write it."""
    return f"{key[0]}:{key[1]}"


def _claim(row: dict[str, Any], source: dict[str, Any]) -> Claim:
    confidence = row["confidence"]
    probability = confidence.get("probability")
    withdrawal = source.get("withdrawal") or {}
    rules = dict.fromkeys(step["rule"] for step in row.get("path") or [] if step.get("rule"))
    return Claim(
        service=source.get("service"),
        band=confidence["band"],
        probability=None if probability is None else float(probability),
        withdrawal=(str(withdrawal.get("txid")), str(withdrawal.get("vout"))),
        rules=tuple(rules) or (DIRECT,),
        stop=(row.get("stop") or {}).get("kind", "unknown"),
    )


def _outpoint(row: dict[str, Any]) -> Outpoint:
    return row["payment"]["txid"], int(row["payment"]["vout"])


def _objects(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    try:
                        yield json.loads(line)
                    except json.JSONDecodeError as error:
                        raise GeldspurError(f"not a JSON object: {error}", where=f"{path}:{number}") from error
    except OSError as error:
        raise GeldspurError(
            f"can't read the leads: {error.strerror}",
            where=str(path),
            todo="give the directory that `geldspur leads --out` wrote",
        ) from error
