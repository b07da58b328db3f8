"""Rows of leads and cash-outs for tests, made by hand from a case's truth: no code of the program in between."""

from itertools import pairwise
from typing import Any

from tiny_chain import TinyChain, table

Row = dict[str, Any]
COUNTRIES = {"ex1": ["DE"], "ex2": ["DE", "US"], "ex3": [], "ex4": ["US"], "ex5": ["US"], "ex6": ["NL"]}


def output(chain: TinyChain, txid: str, vout: int) -> Row:
    height, _ = chain.where[txid]
    return {
        "txid": txid,
        "vout": vout,
        "address": chain.address[txid, vout],
        "value_sat": chain.tx(txid).outputs[vout][0],
        "height": height,
        "time": chain.time[height],
        "block_hash": chain.blocks[height].hash,
    }


def steps(chain: TinyChain, txids: list[str], last_vout: int, rules: list[str | None]) -> list[Row]:
    """A path through `txids`; each spends the first output of the one before that it can."""
    links = []
    for before, after in pairwise(txids):
        vin, (_, vout) = next((i, o) for i, o in enumerate(chain.tx(after).inputs) if o[0] == before)
        links.append((vin, vout))
    vins = [None, *(vin for vin, _ in links)]
    vouts = [*(vout for _, vout in links), last_vout]
    return [
        {
            "txid": txid,
            "vin": vin,
            "vout": vout,
            "height": chain.where[txid][0],
            "time": chain.time[chain.where[txid][0]],
            "value_sat": chain.tx(txid).outputs[vout][0],
            "rule": rule,
        }
        for txid, vin, vout, rule in zip(txids, vins, vouts, rules, strict=True)
    ]


def join(addresses: list[str], txids: list[str]) -> Row:
    return {
        "from_address": addresses[0],
        "to_address": addresses[-1],
        "rule": "co-spend",
        "transactions": txids,
        "addresses": addresses,
    }


def tag(address: str, service: str) -> Row:
    return {
        "address": address,
        "label": service,
        "actor": service,
        "category": "exchange",
        "pack": "known-tags",
        "source": "https://example.org/tags",
        "confidence": "service_data",
        "confidence_level": 60,
        "lastmod": "2021-07-01",
    }


def trail(path: list[Row], joins: list[Row], band: str) -> Row:
    inference = {
        "rule": "co-spend",
        "version": 1,
        "parameters": {},
        "error_rate": "not measured",
        "joins": joins,
    }
    return {
        "confidence": {"probability": None, "band": band},
        "path": path,
        "stop": {
            "kind": "service",
            "txid": path[0]["txid"],
            "service": None,
            "detail": "an exchange's wallet",
        },
        "inferences": [inference] if len(path) > 1 else [],
        "explanations": [{"id": "otc", "text": "a seller's customer", "checked": False, "finding": "not checked"}],
        "against": [],
        "statements": [{"layer": "fact", "text": "The payment is an output of the transaction."}],
        "review": {"examiner": None, "time": None, "result": "not reviewed"},
    }


def _tag_and_join(chain: TinyChain, service: str, ends: list[str]) -> tuple[Row, Row | None] | None:
    known = [r["address"] for r in table(chain.truth / "known_tags.csv") if r["actor"] == service]
    found = chain.chain_between(known, ends)
    if found is None:
        return None
    addresses, txids = found
    return tag(addresses[0], service), join(addresses, txids) if txids else None


def joined_lead(chain: TinyChain) -> Row:
    """A made-up lead whose tag and whose last step both rest on joins by other transactions than its own."""
    for tx in (tx for block in chain.blocks for tx in block.txs):
        for before in sorted({txid for txid, _ in tx.inputs} & chain.single_owner):
            for first in sorted({txid for txid, _ in chain.tx(before).inputs} & chain.single_owner):
                txids = [first, before, tx.txid]
                spent = [[a for a in chain.spent_addresses(txid) if a] for txid in txids]
                if not all(spent) or set(spent[1]) & set(spent[2]):
                    continue
                joined = chain.chain_between(spent[2], spent[1])
                tagged = sorted(other for a in spent[0] for other, _ in chain.co_spends.get(a, []))
                tagged = [a for a in tagged if a not in spent[0]]
                if joined is None or len(joined[1]) < 2 or not tagged:
                    continue
                row = lead_along(chain, txids, 0, "ex6", tagged[0])
                if row is not None:
                    return row
    raise AssertionError("the case has no such path")


def lead(chain: TinyChain, payment: dict[str, str]) -> Row | None:
    """A payment's lead along the true path; None where wallets or tags can't carry it."""
    txids, service = payment["path"].split(">"), payment["source_exchange"]
    known = [r["address"] for r in table(chain.truth / "known_tags.csv") if r["actor"] == service]
    row = lead_along(chain, txids, int(payment["vout"]), service, *known)
    return row and row | {"site": {"row": 2, "columns": {"customer": payment["customer"]}}}


def lead_along(chain: TinyChain, txids: list[str], vout: int, service: str, *known: str) -> Row | None:
    """A lead along a path, with joins from the nearest known address and between the steps."""
    spent = [[a for a in chain.spent_addresses(txid) if a] for txid in txids]
    tagged = chain.chain_between(list(known), spent[0])
    if tagged is None:
        return None
    joins: list[Row] = []
    rules: list[str | None] = [None]
    for i in range(1, len(txids)):
        rules.append("spend" if i == 1 else "co-spend")
        if i > 1 and not set(spent[i]) & set(spent[i - 1]):
            found = chain.chain_between(spent[i], spent[i - 1])
            if found is None:
                rules[-1] = "sole-source"
            else:
                joins.append(join(*found))
    path = steps(chain, txids, vout, rules)
    hops = len(path) - 1
    return trail(path, joins, "strong" if hops == 0 else "moderate") | {
        "payment": output(chain, txids[-1], vout),
        "site": {"row": 2, "columns": {}},
        "source": {
            "service": service,
            "exposure": "direct" if hops == 0 else "indirect",
            "hops": hops,
            "withdrawal": output(chain, path[0]["txid"], path[0]["vout"]),
            "jurisdictions": COUNTRIES[service],
            "tag": tag(tagged[0][0], service),
            "share": 1.0,
            "tag_join": join(*tagged) if tagged[1] else None,
        },
        "alternatives": [],
        "excluded": False,
    }


def leads(chain: TinyChain) -> list[Row]:
    """A lead for each payment that one exchange alone funded, in ledger order."""
    payments = [p for p in table(chain.truth / "payments.csv") if p["source_exchange"] and p["via_coinjoin"] == "0"]
    payments.sort(key=lambda p: (*chain.where[p["txid"]], int(p["vout"])))
    return [row for p in payments if (row := lead(chain, p)) is not None]


def cashouts(chain: TinyChain) -> list[Row]:
    """A row for each cash-out whose deposit address the tags reach."""
    rows = []
    for deposit in table(chain.truth / "cashouts.csv"):
        service = deposit["exchange"]
        tagged = _tag_and_join(chain, service, [deposit["deposit_address"]])
        if tagged is None:
            continue
        txids = deposit["path"].split(">")
        path = steps(chain, txids, int(deposit["vout"]), [None, *["sole-funding"] * (len(txids) - 1)])
        rows.append(
            trail(path, [], "moderate")
            | {
                "payment": output(chain, deposit["txid"], int(deposit["vout"])),
                "service": service,
                "hops": len(path) - 1,
                "jurisdictions": COUNTRIES[service],
                "tag": tagged[0],
                "tag_join": tagged[1],
            }
        )
    return rows
