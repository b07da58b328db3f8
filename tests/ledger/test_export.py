"""The Parquet export holds what the ledger and a second reader of the blocks hold."""

import hashlib
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from geldspur.bitcoin.addresses import encode
from geldspur.bitcoin.bulk_addresses import BULK_TYPES, encode_column
from geldspur.bitcoin.networks import NETWORKS
from geldspur.bitcoin.scripts import ScriptType
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger import Ledger, export
from geldspur.ledger.export import export_parquet
from geldspur.ledger.exported import open_export
from geldspur.ledger.tables import TABLES
from tiny_chain import TinyChain


@pytest.fixture(scope="module")
def chain(embedded):
    return TinyChain(embedded.case.root)


@pytest.fixture(scope="module")
def exported(embedded, tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "tables"
    report = export_parquet(embedded.ledger, folder)
    return {name: pq.read_table(folder / f"{name}.parquet") for name in report.rows}


def rows(table, *columns):
    return list(zip(*(table[c].to_pylist() for c in columns), strict=True))


def test_blocks_and_transactions_are_those_of_the_files(exported, chain):
    assert rows(exported["blocks"], "height", "hash", "merkle_root", "transactions") == [
        (height, block.hash, block.root[::-1].hex(), len(block.txs)) for height, block in enumerate(chain.blocks)
    ]
    assert [t.isoformat() for t in exported["blocks"]["time"].to_pylist()][1:] == [
        chain.time[height].rstrip("Z") for height in range(1, chain.tip + 1)
    ]
    txs = [(t.txid, h, n, len(t.raw)) for h, b in enumerate(chain.blocks) for n, t in enumerate(b.txs)]
    assert rows(exported["transactions"], "txid", "height", "position", "size") == txs
    assert exported["transactions"]["tx"].to_pylist() == list(range(len(txs)))


def test_inputs_and_outputs_are_linked_valued_and_addressed(exported, chain):
    txids = exported["transactions"]["txid"].to_pylist()
    value = {(t.txid, n): v for b in chain.blocks for t in b.txs for n, (v, _) in enumerate(t.outputs)}
    spender = {o: t.txid for b in chain.blocks for t in b.txs for o in t.inputs if o in value}
    outputs = rows(exported["outputs"], "tx", "vout", "height", "value_sat", "address", "spent_by_tx")
    assert len(outputs) == len(value)
    for tx, vout, height, sat, address, by in outputs:
        outpoint = (txids[tx], vout)
        assert (sat, height) == (value[outpoint], chain.where[txids[tx]][0])
        if outpoint in chain.address:
            assert address == chain.address[outpoint]
        assert (None if by is None else txids[by]) == spender.get(outpoint)
    inputs = rows(exported["inputs"], "tx", "vin", "spent_output", "spent_tx", "value_sat", "address")
    places = {row: (txids[tx], vout) for row, (tx, vout, *_) in enumerate(outputs)}
    for tx, vin, spent, spent_tx, sat, address in inputs:
        outpoint = chain.tx(txids[tx]).inputs[vin]
        assert places.get(spent) == (outpoint if outpoint in value else None)
        assert sat == value.get(outpoint)
        if spent is not None:
            assert (txids[spent_tx], address) == (outpoint[0], outputs[spent][4])


def test_sums_and_fees_are_those_of_the_ledger(exported, embedded):
    table = exported["transactions"]
    fees = [embedded.ledger.fee_sat(tx) for tx in range(embedded.ledger.n_txs)]
    assert table["fee_sat"].to_pylist() == fees
    assert table["coinbase"].to_pylist() == [fee is None for fee in fees]
    assert sum(table["output_sat"].to_pylist()) == int(embedded.ledger.out_value.sum())


def test_scripts_are_those_of_the_ledger(exported, embedded):
    ledger = embedded.ledger
    for script, kind, address, payload in rows(exported["scripts"], "script", "type", "address", "payload"):
        assert kind == ScriptType(int(ledger.script_type[script])).label
        assert (address, payload) == (ledger.address(script), ledger.payload(script))


@pytest.mark.parametrize("kind", BULK_TYPES)
@pytest.mark.parametrize("network", list(NETWORKS))
def test_bulk_addresses_are_those_of_the_slow_encoder(kind, network):
    width = 32 if kind in (ScriptType.P2WSH, ScriptType.P2TR) else 20
    payloads = np.random.default_rng(7).integers(0, 256, (500, width), dtype=np.uint8)
    payloads[:200, : width // 2] = 0
    payloads[0], payloads[1] = 0, 255
    text, lengths = encode_column(kind, payloads, NETWORKS[network])
    for row, payload in enumerate(payloads):
        expected = encode(kind, payload.tobytes(), NETWORKS[network])
        assert text[row].tobytes() == expected.encode().ljust(text.shape[1], b"\0")
        assert lengths[row] == len(expected)


def digests(folder):
    return {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in folder.iterdir()}


def test_the_bytes_depend_on_the_ledger_alone_and_row_groups_stay_small(embedded, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "GROUP_ROWS", 1000)
    export_parquet(embedded.ledger, tmp_path / "one")
    export_parquet(Ledger(embedded.ledger.folder), tmp_path / "two")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    file = pq.ParquetFile(tmp_path / "one" / "outputs.parquet")
    groups = [file.metadata.row_group(n) for n in range(file.num_row_groups)]
    assert {g.num_rows for g in groups[:-1]} == {1000}
    lowest = [g.column(file.schema_arrow.get_field_index("height")).statistics.min for g in groups]
    assert lowest == sorted(lowest)
    assert lowest[-1] > lowest[0]


def test_groups_join_to_the_same_tables(embedded, exported, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "GROUP_ROWS", 777)
    export_parquet(embedded.ledger, tmp_path / "small")
    for table in TABLES:
        assert pq.read_table(tmp_path / "small" / f"{table.name}.parquet").equals(exported[table.name])


def test_an_export_is_refused_where_it_would_overwrite_or_mislead(embedded, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(UsageError, match="not an export"):
        export_parquet(embedded.ledger, tmp_path / "mine")
    with pytest.raises(UsageError, match="no table 'wallets'"):
        export_parquet(embedded.ledger, tmp_path / "out", ["wallets"])
    assert not (tmp_path / "out").exists()
    export_parquet(embedded.ledger, tmp_path / "out", ["blocks"])
    assert list(open_export(embedded.ledger, tmp_path / "out")) == ["blocks"]
    with (tmp_path / "out" / "blocks.parquet").open("ab") as file:
        file.write(b"x")
    with pytest.raises(GeldspurError, match="blocks is not whole"):
        open_export(embedded.ledger, tmp_path / "out")


def test_a_path_that_is_no_text_is_refused(embedded, tmp_path):
    with pytest.raises(UsageError, match="no UTF-8"):
        export_parquet(embedded.ledger, tmp_path / os.fsdecode(b"x\xff"))


def test_an_export_that_fails_leaves_nothing_behind(embedded, tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "rows_of", full)
    with pytest.raises(GeldspurError, match="No space left"):
        export_parquet(embedded.ledger, tmp_path / "out")
    assert not list(tmp_path.iterdir())
