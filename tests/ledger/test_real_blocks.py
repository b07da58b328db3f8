"""Real blocks of the public networks decode to what others have recorded of them."""

import bz2
import gzip
import json

import numpy as np
import pytest

from geldspur.bitcoin import kernels
from geldspur.bitcoin.batch import Batch
from geldspur.bitcoin.transactions import parse_transaction
from geldspur.ledger import NO_SCRIPT, Ledger, index
from geldspur.ledger.views import address_view, transaction_view


@pytest.fixture(scope="module")
def early(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("early") / "ledger"
    report = index(shared / "real" / "blocks" / "mainnet_0-4521.blk.dat", folder)
    assert (report.network, report.tip_height, report.transactions) == ("mainnet", 4521, 4583)
    assert any("39 bytes" in note for note in report.notes), "the truncated frame behind the last block"
    return Ledger(folder)


def test_the_first_payment_and_its_peel_chain(early):
    view = transaction_view(early, "f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16")
    assert view["height"] == 170
    assert view["vout"][0]["value_sat"] == 10 * 100_000_000
    assert view["vout"][0]["type"] == "p2pk"
    following, heights = view["vout"][1]["spent_by"], []
    for _ in range(3):
        view = transaction_view(early, following.split(":")[0])
        heights.append(view["height"])
        following = view["vout"][1]["spent_by"] or view["vout"][0]["spent_by"]
    assert heights == [181, 182, 183]


def test_the_unspent_outputs_of_the_first_weeks(early):
    unspent = (early.out_spender >= early.n_inputs) & (early.out_script != NO_SCRIPT)
    assert (int(unspent.sum()), int(early.out_value[unspent].sum())) == (4349, 226_100 * 100_000_000)
    assert int((early.in_prevout < early.n_outputs).sum()) == 260


def test_an_address_that_was_never_paid(early):
    assert address_view(early, "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", 10, 1)["outputs_total"] == 0


def decoded(raw):
    buf = np.frombuffer(raw, np.uint8)
    batch = Batch(len(raw))
    fault, _, at = batch.decode(buf, np.zeros(1, np.int64), np.array([len(raw)]))
    assert (fault, at) == (kernels.OK, len(raw))
    rows = {
        "txid": batch.n_tx,
        "size": batch.n_tx,
        "version": batch.n_tx,
        "locktime": batch.n_tx,
        "tx_in": batch.n_tx,
        "tx_out": batch.n_tx,
        "in_outpoint": batch.n_in,
        "in_sequence": batch.n_in,
        "out_value": batch.n_out,
    }
    part = {name: getattr(batch, name)[:n] for name, n in rows.items()}
    return part


@pytest.mark.parametrize(
    ("name", "transactions"),
    [("227835", 122), ("227836", 100), ("300025", 461), ("413567", 1557), ("481815", 2097), ("481829", 2020)],
)
def test_raw_blocks_hash_to_their_headers(shared, name, transactions):
    raw = (shared / "real" / "blocks" / f"mainnet_{name}.raw").read_bytes()
    assert len(decoded(raw)["txid"]) == transactions


def test_three_consecutive_full_blocks(shared):
    parts = []
    for height in (367238, 367239, 367240):
        with gzip.open(shared / "real" / "blocks" / f"mainnet_{height}.json.gz", "rt") as file:
            parts.append(decoded(bytes.fromhex(json.load(file))))
    assert sum(len(p["txid"]) for p in parts) == 5655
    assert sum(len(p["in_outpoint"]) for p in parts) - 3 == 14_252
    assert sum(len(p["out_value"]) for p in parts) == 14_231


def test_a_ransom_payment_stands_where_the_study_says(shared):
    raw = (shared / "real" / "blocks" / "mainnet_403617.blk").read_bytes()
    part = decoded(raw[8:])
    txid = bytes.fromhex("88252bef7ca0983285261f7be0ed4b91e1589e92c706c980845eba7838fb70ad")[::-1]
    row = next(i for i, t in enumerate(part["txid"]) if t.tobytes() == txid)
    assert row == 284
    assert part["out_value"][part["tx_out"][row] + 1] == 50_000_000


def test_kernels_and_plain_python_agree_on_every_transaction_of_a_block(shared):
    raw = bz2.decompress((shared / "real" / "blocks" / "mainnet_277647.blk.dat.bz2").read_bytes())[8:]
    part = decoded(raw)
    at = len(raw) - int(part["size"].sum())
    for row, size in enumerate(part["size"].tolist()):
        parsed = parse_transaction(raw[at : at + size])
        at += size
        first_in, first_out = part["tx_in"][row], part["tx_out"][row]
        assert parsed.txid == part["txid"][row].tobytes()
        assert (parsed.version, parsed.locktime) == (part["version"][row], part["locktime"][row])
        for k, i in enumerate(parsed.inputs):
            assert i.txid + i.vout.to_bytes(4, "little") == part["in_outpoint"][first_in + k].tobytes()
            assert i.sequence == part["in_sequence"][first_in + k]
        for k, o in enumerate(parsed.outputs):
            assert o.value_sat == part["out_value"][first_out + k]
