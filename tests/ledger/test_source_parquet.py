"""Blocks rebuilt from Parquet tables hash to the same headers and txids as those that the tables were made from."""

import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from geldspur.bitcoin.networks import REGTEST
from geldspur.bitcoin.transactions import parse_transaction
from geldspur.errors import GeldspurError
from geldspur.ledger import index
from geldspur.ledger.doctor import examine
from geldspur.ledger.parquet_source import ParquetTables
from geldspur.ledger.sources import read_block, reopen
from parquet_tables import write_aws, write_bitcoin_etl
from tiny_chain import TinyChain
from tiny_chain import read_block as tiny_block

WRITERS = {"bitcoin-etl": write_bitcoin_etl, "aws": write_aws}


@pytest.fixture(scope="module")
def blocks(unpacked):
    return TinyChain(unpacked("A")).blocks


@pytest.fixture(scope="module")
def tables(blocks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    return {name: write(blocks, folder / name) for name, write in WRITERS.items()}


@pytest.fixture(scope="module")
def small(blocks, tmp_path_factory):
    """The first 1,200 blocks, as AWS has them: enough for damage, quickly written."""
    return write_aws(blocks[:1200], tmp_path_factory.mktemp("small"))


@pytest.fixture
def copy(small, tmp_path):
    return shutil.copytree(small, tmp_path / "tables")


@pytest.mark.parametrize("layout", WRITERS)
def test_every_block_hashes_to_what_it_was(tables, blocks, layout):
    source = ParquetTables(tables[layout])
    chain = source.chain()
    assert [h.tobytes()[::-1].hex() for h in chain.hash] == [block.hash for block in blocks]
    refs = chain.refs(0, len(chain))
    starts = np.cumsum([0] + [ref.size for ref in refs])
    buf = np.zeros(int(starts[-1]), np.uint8)
    written = source.read(refs, buf, starts[:-1])
    for block, start, size in zip(blocks, starts, written, strict=False):
        rebuilt = tiny_block(buf[start : start + size].tobytes())
        assert rebuilt.header == block.header
        assert [tx.txid for tx in rebuilt.txs] == [tx.txid for tx in block.txs]
        for ours, theirs in zip(rebuilt.txs, block.txs, strict=True):
            assert (ours.inputs, ours.outputs) == (theirs.inputs, theirs.outputs)
    assert source.sizes(refs).tolist() == [len(tx.raw) for block in blocks for tx in block.txs]
    assert written.sum() < sum(ref.size for ref in refs), "case A has witnesses, which tables have not"


def test_blocks_are_found_again_from_the_description(small):
    source = ParquetTables(small)
    ref = source.chain().ref(1000)
    assert read_block(reopen(source.describe()), ref) == read_block(source, ref)


def test_what_the_caller_knows_is_left_out(small):
    source = ParquetTables(small)
    whole = source.chain()
    rest = source.chain(to_height=1100, known=whole.hash[:1000])
    assert (rest.first_height, len(rest)) == (1000, 101)
    assert "no witnesses" in source.notes[0]


def test_a_part_of_the_tables_needs_no_genesis_block(copy, small):
    whole = ParquetTables(small).chain()
    first = pq.read_table(day_of(copy, "blocks", 600), columns=["number"], partitioning=None)["number"].to_pylist()
    for path in sorted((copy / "blocks").rglob("*.parquet")):
        if max(pq.read_table(path, columns=["number"], partitioning=None)["number"].to_pylist()) < min(first):
            path.unlink()
    source = ParquetTables(copy, REGTEST)
    chain = source.chain(from_height=620, to_height=1000)
    assert (chain.hash == whole.hash[620:1001]).all()
    assert read_block(source, chain.ref(5)) == read_block(ParquetTables(small), whole.ref(625))
    with pytest.raises(GeldspurError, match="network"):
        ParquetTables(copy)


def edit(path, change):
    """Write a table again with some of its rows changed."""
    table = pq.read_table(path, partitioning=None)
    rows = table.to_pylist()
    pq.write_table(pa.Table.from_pylist(change(rows), table.schema), path)


def day_of(copy, table, height):
    key = "number" if table == "blocks" else "block_number"
    for path in sorted((copy / table).rglob("*.parquet")):
        if height in pq.read_table(path, columns=[key], partitioning=None)[key].to_pylist():
            return path
    raise AssertionError


def test_a_day_that_is_there_twice_counts_once(copy, blocks):
    path = day_of(copy, "transactions", 500)
    shutil.copy(path, path.with_name("500.snappy.parquet"))
    source = ParquetTables(copy)
    rebuilt = tiny_block(read_block(source, source.chain().ref(500)))
    assert [tx.txid for tx in rebuilt.txs] == [tx.txid for tx in blocks[500].txs]


def busy(blocks):
    """A height below 1,200 with several transactions."""
    return max(range(1200), key=lambda height: len(blocks[height].txs))


def test_a_lost_transaction_is_noticed(copy, blocks):
    height = busy(blocks)

    def lose(rows):
        return [row for row in rows if (row["block_number"], row["index"]) != (height, 1)]

    edit(day_of(copy, "transactions", height), lose)
    source = ParquetTables(copy)
    with pytest.raises(GeldspurError, match="some of its transactions are missing") as caught:
        read_block(source, source.chain().ref(height))
    assert blocks[height].hash in caught.value.what


def test_a_changed_amount_changes_the_txid(copy, blocks):
    height = busy(blocks)

    def cheat(rows):
        for row in rows:
            if (row["block_number"], row["index"]) == (height, 1):
                row["outputs"][0]["value"] += 0.00000001
        return rows

    edit(day_of(copy, "transactions", height), cheat)
    source = ParquetTables(copy)
    rebuilt = tiny_block(read_block(source, source.chain().ref(height)))
    differ = [a.txid != b.txid for a, b in zip(rebuilt.txs, blocks[height].txs, strict=True)]
    assert differ == [False, True] + [False] * (len(differ) - 2)


@pytest.mark.parametrize("sequence", [0, 0xFFFFFFFE])
def test_a_coinbase_with_another_sequence_is_rebuilt_by_its_hash(copy, blocks, sequence):
    from tiny_chain import sha256d, shown

    raw = bytearray(blocks[700].txs[0].raw)
    at = raw.index(b"\xff" * 4, raw.index(b"\xff" * 4) + 4)
    raw[at : at + 4] = sequence.to_bytes(4, "little")
    wanted = parse_transaction(bytes(raw))

    def rename(rows):
        for row in rows:
            if (row["block_number"], row["index"]) == (700, 0):
                row["hash"] = shown(wanted.wtxid)
        return rows

    edit(day_of(copy, "transactions", 700), rename)
    source = ParquetTables(copy)
    coinbase = tiny_block(read_block(source, source.chain().ref(700))).txs[0]
    assert sha256d(coinbase.raw) == wanted.txid


def change(**fields):
    def apply(rows):
        for row in rows:
            row.update(fields if row.get("index", 0) == 0 and row.get("inputs") is None else {})
        return rows

    return apply


def spoil(field, value):
    def apply(rows):
        for row in rows:
            for item in row["outputs" if field in ("value", "script_hex") else "inputs"] or []:
                item[field] = value
        return rows

    return apply


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("script_hex", "6a0", "not hexadecimal"), ("script_hex", "zz", "not hexadecimal"),
        ("value", -0.5, "out of range"), ("value", float("nan"), "out of range"), ("value", None, "out of range"),
        ("spent_transaction_hash", "ab", "64 hexadecimal"), ("spent_transaction_hash", "g" * 64, "64 hexadecimal"),
        ("spent_output_index", 1 << 32, "out of range"), ("sequence", None, "out of range"),
    ],
)  # fmt: skip
def test_a_field_that_cannot_be_is_named(copy, blocks, field, value, words):
    height = busy(blocks)
    edit(day_of(copy, "transactions", height), spoil(field, value))
    source = ParquetTables(copy)
    with pytest.raises(GeldspurError, match=words) as caught:
        read_block(source, source.chain().ref(height))
    assert "transaction" in caught.value.where


@pytest.mark.parametrize("name", ["zz", "ab", None])
def test_a_transaction_whose_hash_is_none_is_rebuilt_all_the_same(copy, blocks, name):
    """The hash only helps to find a coinbase's sequence; the Merkle root decides."""
    edit(day_of(copy, "transactions", 700), change(hash=name))
    source = ParquetTables(copy)
    rebuilt = tiny_block(read_block(source, source.chain().ref(700)))
    assert [tx.txid for tx in rebuilt.txs] == [tx.txid for tx in blocks[700].txs]


@pytest.mark.parametrize("size", [None, -1, 1 << 32])
def test_a_size_that_cannot_be_is_refused(copy, size):
    edit(day_of(copy, "transactions", 700), change(size=size))
    source = ParquetTables(copy)
    with pytest.raises(GeldspurError, match="size is missing or impossible"):
        source.sizes([source.chain().ref(700)])


@pytest.mark.parametrize("height", [None, -1, 1 << 40])
def test_a_height_that_cannot_be_is_refused(copy, height):
    edit(day_of(copy, "blocks", 600), change(number=height))
    with pytest.raises(GeldspurError, match="no block's height"):
        ParquetTables(copy).chain()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"nonce": 1}, "does not hash to"), ({"merkle_root": "00"}, "does not hash to"), ({"bits": None}, "no header"),
        ({"hash": "xyz"}, "no block hash"), ({"hash": None}, "no block hash"), ({"version": None}, "no header"),
    ],
)  # fmt: skip
def test_a_row_that_is_no_header_is_named(copy, fields, words):
    edit(day_of(copy, "blocks", 600), change(**fields))
    with pytest.raises(GeldspurError, match=words) as caught:
        ParquetTables(copy).chain()
    assert "block " in caught.value.where


def test_a_missing_day_is_a_gap(copy):
    day_of(copy, "blocks", 600).unlink()
    with pytest.raises(GeldspurError, match="the chain has a gap"):
        ParquetTables(copy).chain()


def test_a_missing_day_of_transactions_names_the_block(copy, blocks):
    day_of(copy, "transactions", 600).unlink()
    source = ParquetTables(copy)
    with pytest.raises(GeldspurError, match="none of its transactions") as caught:
        read_block(source, source.chain().ref(600))
    assert blocks[600].hash in caught.value.what


def test_a_file_that_vanishes_or_is_damaged_is_named(copy):
    source = ParquetTables(copy)
    ref = source.chain().ref(600)
    path = day_of(copy, "transactions", 600)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(GeldspurError, match=r"can't be read as Parquet") as caught:
        read_block(source, ref)
    assert path.name in caught.value.what
    path.unlink()
    with pytest.raises(GeldspurError, match=r"can't be read as Parquet"):
        read_block(source, ref)


def test_foreign_tables_are_refused(tmp_path):
    (tmp_path / "transactions").mkdir()
    with pytest.raises(GeldspurError, match="no Parquet file of the table blocks"):
        ParquetTables(tmp_path)
    (tmp_path / "blocks").mkdir()
    pq.write_table(pa.table({"block_number": [1]}), tmp_path / "transactions" / "a.parquet")
    pq.write_table(pa.table({"number": [1]}), tmp_path / "blocks" / "a.parquet")
    with pytest.raises(GeldspurError, match="lacks hash, size"):
        ParquetTables(tmp_path)


def test_a_ledger_of_tables_is_what_they_say(small, tmp_path):
    index(small, tmp_path / "ledger")
    report = examine(tmp_path / "ledger", with_source=True)
    assert (report.sound, report.findings) == (True, [])
