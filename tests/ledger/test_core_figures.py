"""The ledger gives the figures that Bitcoin Core gave for the same chain."""

import json
import lzma
from decimal import Decimal

import numpy as np
import pytest

from geldspur.bitcoin.addresses import decode
from geldspur.ledger import NO_SCRIPT, Ledger, index
from geldspur.ledger.views import block_view

SAT = Decimal(100_000_000)


@pytest.fixture(scope="module")
def ledger(unpacked, tmp_path_factory):
    folder = tmp_path_factory.mktemp("figures") / "ledger"
    index(unpacked("A") / "blocks", folder)
    return Ledger(folder)


@pytest.fixture(scope="module")
def figures(unpacked):
    return json.loads((unpacked("A") / "core" / "core_figures.json").read_text())


def test_the_unspent_outputs_are_those_of_gettxoutsetinfo(ledger, figures):
    unspent = (ledger.out_spender >= ledger.n_inputs) & (ledger.out_script != NO_SCRIPT)
    unspent[: ledger.tx_out[1]] = False  # the genesis coinbase can't be spent, and Core leaves it out
    core = figures["gettxoutsetinfo"]
    assert int(unspent.sum()) == core["txouts"]
    assert int(ledger.out_value[unspent].sum()) == round(Decimal(str(core["total_amount"])) * SAT)
    owners = np.repeat(np.arange(ledger.n_txs), np.diff(ledger.tx_out))
    assert len(np.unique(owners[unspent])) == core["transactions"]
    assert (ledger.tip_height, ledger.tip_hash) == (core["height"], core["bestblock"])
    assert ledger.n_txs == figures["getchaintxstats"]["txcount"]


def test_two_hundred_balances_are_those_of_scantxoutset(ledger, figures):
    for text, core in figures["scantxoutset_200"].items():
        key = decode(text, ledger.network)
        script = ledger.script_index(key.script_type, key.payload)
        assert (ledger.balance_sat(script) if script is not None else 0) == core["sat"], text
    assert len(figures["scantxoutset_200"]) == 200


@pytest.mark.parametrize("part", ["first", "mid", "last"])
def test_blocks_are_those_of_getblock_verbosity_3(ledger, unpacked, part):
    compared = 0
    with lzma.open(unpacked("A") / "core" / f"getblock3_{part}200.jsonl.xz", "rt") as lines:
        for line in lines:
            core = json.loads(line, parse_float=Decimal)
            ours = block_view(ledger, core["hash"])
            for name in ("height", "version", "merkleroot", "nonce", "bits", "size", "strippedsize", "weight"):
                assert ours[name] == core[name], (core["height"], name)
            assert (ours["timestamp"], ours["previousblockhash"]) == (core["time"], core.get("previousblockhash"))
            assert [plain(t) for t in ours["tx"]] == [from_core(t) for t in core["tx"]]
            compared += 1
    assert compared == 200


def plain(tx):
    return {
        **{k: tx[k] for k in ("txid", "hash", "version", "locktime", "size", "vsize", "weight", "hex")},
        "fee": tx["fee_sat"],
        "vin": [
            (i["txid"], i["vout"], None if i["prevout"] is None else i["script"], i["witness"], i["sequence"],
             i["prevout"] and tuple(i["prevout"][k] for k in ("height", "value_sat", "script", "address", "coinbase")))
            for i in tx["vin"]
        ],
        "vout": [(o["value_sat"], o["script"], o["address"]) for o in tx["vout"]],
    }  # fmt: skip


def from_core(tx):
    def prevout(i):
        p = i.get("prevout")
        return p and (
            p["height"],
            sat(p["value"]),
            p["scriptPubKey"]["hex"],
            address(p["scriptPubKey"]),
            p["generated"],
        )

    return {
        **{k: tx[k] for k in ("txid", "hash", "version", "locktime", "size", "vsize", "weight", "hex")},
        "fee": sat(tx["fee"]) if "fee" in tx else None,
        "vin": [
            (i.get("txid"), i.get("vout"), i["scriptSig"]["hex"] if "scriptSig" in i else None,
             i.get("txinwitness", []), i["sequence"], prevout(i))
            for i in tx["vin"]
        ],
        "vout": [(sat(o["value"]), o["scriptPubKey"]["hex"], address(o["scriptPubKey"])) for o in tx["vout"]],
    }  # fmt: skip


def sat(value):
    return round(Decimal(value) * SAT)


def address(script):
    # Core 0.21 also names the keys' addresses for P2PK and bare multisig, whose scripts have none of their own.
    if script["type"] in ("pubkey", "multisig"):
        return None
    return script.get("addresses", [None])[0]


def test_the_four_forms_of_the_same_chain_give_the_same_bytes(unpacked, tmp_path):
    def content(form):
        folder = tmp_path / form
        index(unpacked(form) / "blocks", folder)
        files = (p for p in folder.rglob("*") if p.is_file() and "source" not in p.relative_to(folder).parts)
        return {str(p.relative_to(folder)): p.read_bytes() for p in files}

    plain_form = content("A")
    assert len(plain_form) > 20
    for form in ("A-xor", "A-ooo", "A-multi"):
        assert content(form) == plain_form, form


def test_every_script_type_is_that_of_the_truth(ledger, unpacked):
    from geldspur.accuracy import open_case
    from geldspur.bitcoin.scripts import ScriptType

    for row in open_case(unpacked("A")).table("outputs"):
        tx = ledger.tx_index(row["txid"])
        script = int(ledger.out_script[int(ledger.tx_out[tx]) + int(row["vout"])])
        kind = "op_return" if script == NO_SCRIPT else ScriptType(int(ledger.script_type[script])).label
        assert kind == row["script_type"], row
        assert (ledger.address(script) or "") == row["address"]
