"""Wallets against the truth: which addresses were rightly joined, and which joins were rightly refused?"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from geldspur.accuracy.case import Case
from geldspur.accuracy.claims import refused_joins, wallet_of_address
from geldspur.accuracy.rate import Rate


@dataclass(frozen=True, slots=True)
class TwoOwners:
    """A wallet that joins addresses of more than one owner."""

    wallet: str
    addresses_of: dict[str, int]
    joined_by: list[str]


@dataclass(frozen=True, slots=True)
class WalletScore:
    """The partition of addresses into wallets, over every address that received money."""

    pair_precision: Rate
    pair_recall: Rate
    owner_recall_mean: float | None
    two_owners: list[TwoOwners]


@dataclass(frozen=True, slots=True)
class Guard:
    """One reason for refusing a join: how often it was given, and to what."""

    refused: int
    one_owner: int
    kinds: dict[str, int]


@dataclass(frozen=True, slots=True)
class JoinScore:
    """Transactions that spend from several addresses: merged, or refused with a reason.

    `merged` is right where all inputs have one owner; `coinjoins` and `payjoins` are right where no join was
    made; `refused_wrongly` names the refused transactions whose inputs all have one owner, with the reason.
    """

    merged: Rate
    coinjoins: Rate
    payjoins: Rate
    guards: dict[str, Guard]
    refused_wrongly: dict[str, str]


@dataclass(frozen=True, slots=True)
class Spend:
    """A transaction of the truth that spends from two or more addresses."""

    txid: str
    kind: str
    owners: tuple[str, ...]
    addresses: frozenset[str]


def score_wallets(case: Case, leads_dir: Path) -> WalletScore | None:
    """Score wallets.csv; None if there is none. An address that it leaves out is a wallet of its own."""
    said = wallet_of_address(leads_dir)
    if said is None:
        return None
    owner = {row["address"]: row["actor"] for row in case.table("addresses") if int(row["n_received"])}
    wallet = {address: said.get(address, f"single:{address}") for address in owner}
    cells = Counter((wallet[address], owner[address]) for address in owner)
    by_wallet: dict[str, dict[str, int]] = defaultdict(dict)
    by_owner: dict[str, list[int]] = defaultdict(list)
    for (name, actor), n in cells.items():
        by_wallet[name][actor] = n
        by_owner[actor].append(n)
    together = _pairs(cells.values())
    recalls = [max(parts) / sum(parts) for parts in by_owner.values() if sum(parts) > 1]
    mixed = {name: owners for name, owners in by_wallet.items() if len(owners) > 1}
    joined_by = _false_joins(case, said) if mixed else {}
    return WalletScore(
        pair_precision=Rate(together, _pairs(sum(owners.values()) for owners in by_wallet.values())),
        pair_recall=Rate(together, _pairs(sum(parts) for parts in by_owner.values())),
        owner_recall_mean=round(sum(recalls) / len(recalls), 4) if recalls else None,
        two_owners=[
            TwoOwners(name, dict(sorted(owners.items())), joined_by.get(name, []))
            for name, owners in sorted(mixed.items())
        ],
    )


def score_joins(case: Case, leads_dir: Path) -> JoinScore | None:
    """Score each decision to join; None unless both wallets.csv and refused.csv are there."""
    said, refused = wallet_of_address(leads_dir), refused_joins(leads_dir)
    if said is None or refused is None:
        return None
    spends = several_address_spends(case)
    merged = [spend for spend in spends.values() if spend.txid not in refused and is_one_wallet(spend, said)]
    joined = {spend.txid for spend in merged}
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    wrongly: dict[str, str] = {}
    for txid, reason in sorted(refused.items()):
        spend = spends.get(txid)
        kinds[reason][spend.kind if spend else "spends from one address"] += 1
        if spend and len(spend.owners) == 1:
            wrongly[txid] = reason
    return JoinScore(
        merged=Rate.of(len(spend.owners) == 1 for spend in merged),
        coinjoins=Rate.of(s.txid not in joined for s in spends.values() if s.kind == "coinjoin"),
        payjoins=Rate.of(s.txid not in joined for s in spends.values() if s.kind == "payjoin"),
        guards={
            reason: Guard(
                refused=found.total(),
                one_owner=sum(given == reason for given in wrongly.values()),
                kinds=dict(found.most_common()),
            )
            for reason, found in sorted(kinds.items())
        },
        refused_wrongly=wrongly,
    )


def several_address_spends(case: Case) -> dict[str, Spend]:
    """By txid, every transaction whose inputs hold two or more addresses, in ledger order."""
    addresses: dict[str, set[str]] = defaultdict(set)
    for row in case.table("outputs"):
        if row["spent_by_txid"] and row["address"]:
            addresses[row["spent_by_txid"]].add(row["address"])
    return {
        row["txid"]: Spend(
            row["txid"], row["kind"], tuple(row["input_actors"].split(";")), frozenset(addresses[row["txid"]])
        )
        for row in case.table("transactions")
        if len(addresses[row["txid"]]) > 1
    }


def is_one_wallet(spend: Spend, wallet: dict[str, str]) -> bool:
    """Whether all input addresses were put into the same wallet."""
    names = {wallet.get(address) for address in spend.addresses}
    return len(names) == 1 and None not in names


def _false_joins(case: Case, wallet: dict[str, str]) -> dict[str, list[str]]:
    """By wallet, the transactions of several owners that fall wholly into it: what made it one too many."""
    found: dict[str, list[str]] = defaultdict(list)
    for spend in several_address_spends(case).values():
        if len(spend.owners) > 1 and is_one_wallet(spend, wallet):
            found[wallet[min(spend.addresses)]].append(spend.txid)
    return found


def _pairs(counts: Iterable[int]) -> int:
    return sum(n * (n - 1) // 2 for n in counts)
