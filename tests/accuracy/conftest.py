import csv
import json
import random
from pathlib import Path

import pytest

from geldspur.accuracy.case import Case
from geldspur.accuracy.fixture import unpack_case
from geldspur.accuracy.joins import several_address_spends


@pytest.fixture(scope="session")
def case(tmp_path_factory) -> Case:
    return unpack_case(tmp_path_factory.mktemp("case"))


@pytest.fixture
def guessed(case, tmp_path):
    """A leads directory that is right about as often as a coin with the given seed says."""
    return lambda seed: guess_leads(case, tmp_path / f"leads{seed}", seed)


@pytest.fixture
def told(case, tmp_path):
    """A leads directory that tells the truth back, but for what a test changes."""
    return lambda **changes: tell_truth(case, tmp_path / "told", **changes)


def tell_truth(case: Case, out: Path, *, change=(), drop=(), merge=(), refuse=(), refuse_not=()) -> Path:
    out.mkdir()
    leads = []
    for row in case.table("payments"):
        if row["txid"] in drop:
            continue
        mixed = row["via_coinjoin"] == "1"
        service = None if mixed else row["source_exchange"] or None
        lead = {
            "service": service,
            "band": "none" if service is None else "moderate",
            "rules": ["co-spend"] * int(row["hop_count"] or 0),
            "stop": "coinjoin" if mixed else "service" if service else "ambiguous",
        } | dict(change).get(row["txid"], {})
        leads.append(
            {
                "payment": {"txid": row["txid"], "vout": int(row["vout"])},
                "source": {
                    "service": lead["service"],
                    "withdrawal": {"txid": row["withdrawal_txid"], "vout": int(row["withdrawal_vout"])}
                    if lead["service"]
                    else None,
                },
                "confidence": {"probability": None, "band": lead["band"]},
                "path": [{"rule": None}] + [{"rule": rule} for rule in lead["rules"]],
                "stop": {"kind": lead["stop"]},
            }
        )
    write_lines(out / "leads.jsonl", leads)
    write_lines(
        out / "cashouts.jsonl",
        [
            {
                "payment": {"txid": row["txid"], "vout": int(row["vout"])},
                "service": row["exchange"],
                "confidence": {"probability": None, "band": "moderate"},
            }
            for row in case.table("cashouts")
        ],
    )
    owner = {row["address"]: row["actor"] for row in case.table("addresses")}
    spends = several_address_spends(case)
    for txid in merge:
        actors = sorted({owner[address] for address in spends[txid].addresses})
        owner = {address: actors[0] if actor in actors else actor for address, actor in owner.items()}
    write_rows(out / "wallets.csv", ["address", "wallet"], owner.items())
    refused = {s.txid: s.kind for s in spends.values() if len(s.owners) > 1 and s.txid not in refuse_not}
    write_rows(out / "refused.csv", ["txid", "reason"], (refused | dict(refuse)).items())
    return out


def guess_leads(case: Case, out: Path, seed: int) -> Path:
    out.mkdir()
    rng = random.Random(seed)
    exchanges = [f"ex{i}" for i in range(1, 7)] + [None]
    with_probability = seed % 2 == 0

    def confidence(service):
        return {
            "probability": round(rng.random(), 3) if with_probability else None,
            "band": rng.choice(["strong", "moderate", "weak"]) if service else "none",
        }

    leads = []
    for row in case.table("payments"):
        if rng.random() < 0.1:
            continue
        service = (row["source_exchange"] or None) if rng.random() < 0.7 else rng.choice(exchanges)
        withdrawal = {"txid": row["withdrawal_txid"], "vout": int(row["withdrawal_vout"] or 0)}
        if rng.random() < 0.2:
            withdrawal["vout"] += 1
        rules = [rng.choice(["co-spend", "sole-source"]) for _ in range(int(row["hop_count"] or 0))]
        leads.append(
            {
                "payment": {"txid": row["txid"], "vout": int(row["vout"])},
                "source": {
                    "service": service,
                    "hops": len(rules),
                    "withdrawal": withdrawal if service and rng.random() < 0.9 else None,
                },
                "confidence": confidence(service),
                "path": [{"rule": None}] + [{"rule": rule} for rule in rules],
                "stop": {"kind": "service" if service else rng.choice(["hub", "coinjoin", "ambiguous"])},
            }
        )
    leads.append(leads[0] | {"payment": {"txid": "00" * 32, "vout": 0}})
    write_lines(out / "leads.jsonl", leads)

    deposits = case.table("exchange_deposits")
    cashouts = [row for row in case.table("cashouts") if rng.random() < 0.8] + rng.sample(deposits, 3)
    write_lines(
        out / "cashouts.jsonl",
        [
            {
                "payment": {"txid": row["txid"], "vout": int(row["vout"])},
                "service": (service := row["exchange"] if rng.random() < 0.8 else rng.choice(exchanges)),
                "confidence": confidence(service),
            }
            for row in cashouts
        ],
    )

    owners = {row["address"]: row["wallet"] for row in case.table("addresses") if rng.random() < 0.7}
    wallets = sorted(set(owners.values()))
    write_rows(
        out / "wallets.csv",
        ["address", "wallet"],
        [[a, rng.choice(wallets) if rng.random() < 0.02 else w] for a, w in owners.items()],
    )
    return out


def write_lines(path: Path, objects) -> None:
    path.write_text("".join(json.dumps(item) + "\n" for item in objects))


def write_rows(path: Path, header, rows) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
