"""Undo data give what Core's own library says that each block spends, and nothing where they are not the block's."""

import random
import shutil

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from geldspur.bitcoin.scripts import ScriptType, classify, script_of
from geldspur.errors import GeldspurError
from geldspur.ledger import undo_kernels as kernels
from geldspur.ledger.core_files import CoreFiles
from geldspur.ledger.undo import decode_undo
from plain_undo import NotUndo, PlainCoin, read_undo, write_undo

FORMS = ("A", "A-xor", "A-ooo", "A-multi")
GENERATOR = bytes.fromhex(
    "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
    "483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"
)


@pytest.fixture(scope="module")
def engine(unpacked, tmp_path_factory):
    """A node's folder that Core itself filled with case A, and what Core says that each block spends."""
    from core_engine import open_engine, spent_by_block

    folder = tmp_path_factory.mktemp("engine")
    core = open_engine(folder)
    core.import_blocks([unpacked("A") / "blocks" / "blk00000.dat"])
    spent = spent_by_block(core)
    del core  # flushes the files
    return folder, spent


def coins_of(spent):
    """Coins as Core tells them: (height, coinbase, value, script)."""
    return [
        (
            int(spent.height[c]),
            bool(spent.coinbase[c]),
            int(spent.value[c]),
            script_of(ScriptType(int(spent.script_type[c])), payload(spent, c)),
        )
        for c in range(len(spent))
    ]


def payload(spent, c):
    return spent.payload[spent.payload_at[c] : spent.payload_at[c + 1]].tobytes()


@pytest.mark.parametrize("form", [*FORMS, "written by Core's library"])
def test_every_block_spends_what_core_says(engine, unpacked, form):
    folder, core = engine
    source = CoreFiles(unpacked(form) if form in FORMS else folder)
    chain, undo = source.chain(), source.undo()
    assert undo
    inputs = 0
    for ref in chain.refs(0, len(chain)):
        spent = undo.spent(ref)
        assert coins_of(spent) == core[ref.header.hash]
        inputs += len(spent)
    assert inputs == 51_554
    assert not undo.notes


def test_the_coins_from_before_a_height_are_counted(engine, unpacked):
    source = CoreFiles(unpacked("A-xor"))
    chain, undo = source.chain(), source.undo()
    last = chain.refs(len(chain) - 300, len(chain))
    from_height = len(chain) - 300
    expected = sum(coin[0] < from_height for ref in last for coin in engine[1][ref.header.hash])
    assert undo.count_before(last, from_height) == expected > 100


def test_blocks_may_be_asked_for_in_any_order(engine, unpacked):
    source = CoreFiles(unpacked("A-ooo"))
    chain, undo = source.chain(), source.undo()
    refs = random.Random(1).sample(chain.refs(0, len(chain)), 500)
    for ref in [*refs, *refs[:50]]:
        assert coins_of(undo.spent(ref)) == engine[1][ref.header.hash]


@pytest.fixture
def copy(unpacked, tmp_path):
    shutil.copytree(unpacked("A") / "blocks", tmp_path / "blocks")
    return tmp_path / "blocks"


@pytest.fixture
def busy(engine):
    """Hash of a block that spends much."""
    return max(engine[1], key=lambda name: len(engine[1][name]))


def refused(folder, name):
    source = CoreFiles(folder)
    chain, undo = source.chain(), source.undo()
    (ref,) = [r for r in chain.refs(0, len(chain)) if r.header.hash == name]
    with pytest.raises(GeldspurError) as caught:
        undo.spent(ref)
    assert name[::-1].hex() in caught.value.what
    assert caught.value.todo
    return caught.value


def record_at(folder, coins):
    """Where the record of a block lies that spends exactly these coins."""
    data = (folder / "rev00000.dat").read_bytes()
    at = 0
    while data[at : at + 4] == b"\xfa\xbf\xb5\xda":
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        record = [c for tx in read_undo(data[at + 8 : at + 8 + size]) for c in tx]
        if [(c.height, c.coinbase, c.value, c.script) for c in record] == coins:
            return at + 8, size
        at += 8 + size + 32
    raise AssertionError("no such record")


@pytest.mark.parametrize("part", ["in the record", "in the checksum"])
def test_a_flipped_bit_is_no_blocks_record(engine, copy, busy, part):
    at, size = record_at(copy, engine[1][busy])
    path = copy / "rev00000.dat"
    data = bytearray(path.read_bytes())
    data[at + (size // 2 if part == "in the record" else size + 3)] ^= 1
    path.write_bytes(data)
    refused(copy, busy)


def test_a_cut_file_lacks_what_was_behind(engine, copy, busy):
    at, size = record_at(copy, engine[1][busy])
    path = copy / "rev00000.dat"
    path.write_bytes(path.read_bytes()[: at + size + 31])
    assert "rev00000.dat holds no undo record from offset" in refused(copy, busy).where


def test_a_removed_record_is_missing_and_the_others_are_found(engine, copy, busy):
    at, size = record_at(copy, engine[1][busy])
    path = copy / "rev00000.dat"
    data = path.read_bytes()
    path.write_bytes(data[: at - 8] + data[at + size + 32 :])
    refused(copy, busy)
    source = CoreFiles(copy)
    chain, undo = source.chain(), source.undo()
    for ref in chain.refs(0, len(chain)):
        if ref.header.hash != busy:
            assert coins_of(undo.spent(ref)) == engine[1][ref.header.hash]


@pytest.mark.parametrize("foreign", [b"", b"not undo data" * 50, b"\xfa\xbf\xb5\xda\xff\xff\xff\xff" * 9])
def test_a_foreign_file_holds_no_record(copy, busy, foreign):
    (copy / "rev00000.dat").write_bytes(foreign)
    refused(copy, busy)


def test_another_chains_undo_data_are_not_taken(copy, busy, unpacked):
    shutil.copy(unpacked("S") / "blocks" / "rev00000.dat", copy)
    refused(copy, busy)


def test_no_rev_file_is_said(copy, busy):
    (copy / "rev00000.dat").unlink()
    assert not CoreFiles(copy).undo()
    assert "no rev*.dat file" in refused(copy, busy).what


# The decoder against the second reader

COIN = st.builds(
    PlainCoin,
    st.one_of(st.integers(0, 300), st.integers(0, 2**31 - 1)),
    st.booleans(),
    st.one_of(st.integers(0, 21_000_000 * 10**8), st.sampled_from([0, 1, 10**8, 50 * 10**8, 21_000_000 * 10**8])),
    st.one_of(
        st.binary(max_size=80),
        st.binary(min_size=20, max_size=20).map(lambda h: b"\x76\xa9\x14" + h + b"\x88\xac"),
        st.binary(min_size=20, max_size=20).map(lambda h: b"\xa9\x14" + h + b"\x87"),
        st.binary(min_size=32, max_size=32).map(lambda h: b"\x51\x20" + h),
        st.binary(min_size=20, max_size=20).map(lambda h: b"\x00\x14" + h),
        st.binary(min_size=32, max_size=32).map(lambda x: b"\x21\x02" + x + b"\xac"),
        st.binary(min_size=64, max_size=64).map(lambda p: b"\x41\x04" + p + b"\xac"),
        st.just(b"\x41\x04" + GENERATOR + b"\xac"),
        st.sampled_from([b"", b"\x51" * 10_000, b"\x51" * 10_001, b"\x6a\x02\x01\x02"]),
    ),
)


@given(st.lists(st.lists(COIN, max_size=6), max_size=6))
def test_written_coins_are_read_back(txs):
    spent = decode_undo(write_undo(txs), "a test")
    coins = [coin for tx in txs for coin in tx]
    assert np.diff(spent.tx_coin).tolist() == [len(tx) for tx in txs]
    assert spent.value.tolist() == [coin.value for coin in coins]
    assert spent.height.tolist() == [coin.height for coin in coins]
    assert spent.coinbase.tolist() == [coin.coinbase for coin in coins]
    for c, coin in enumerate(coins):
        kind, expected = classify(coin.script)
        assert int(spent.script_type[c]) == kind
        assert payload(spent, c) == (b"" if kind == ScriptType.OP_RETURN else expected)


@pytest.mark.parametrize("name", ["mainnet_300025", "testnet3_928828", "testnet3_928848", "testnet3_1087400"])
def test_real_coins_survive(shared, name):
    """Values and scripts that real blocks spent, which another node wrote down in a form of its own."""
    data = (shared / "real" / "blocks" / f"{name}-undo.raw").read_bytes()
    at, coins = 0, []
    while at < len(data):
        value, length, at = int.from_bytes(data[at : at + 8], "little"), data[at + 8], at + 9
        if length == 253:
            length, at = int.from_bytes(data[at : at + 2], "little"), at + 2
        coins.append(PlainCoin(300_000, False, value, data[at : at + length]))
        at += length
    assert len(coins) > 200
    record = write_undo([coins[k : k + 200] for k in range(0, len(coins), 200)])
    assert [coin for tx in read_undo(record) for coin in tx] == coins
    assert coins_of(decode_undo(record, name)) == [(c.height, c.coinbase, c.value, c.script) for c in coins]
    assert len(record) < len(data)


RECORD = write_undo(
    [[PlainCoin(7, True, 50 * 10**8, b"\x41\x04" + GENERATOR + b"\xac"), PlainCoin(300, False, 12_345, b"\x51" * 9)]]
)


def outcome(read, data):
    try:
        return read(data)
    except (NotUndo, GeldspurError):
        return None


def figures(spent):
    scripts = [(int(t), payload(spent, c)) for c, t in enumerate(spent.script_type)]
    return [
        np.diff(spent.tx_coin).tolist(),
        spent.height.tolist(),
        spent.coinbase.tolist(),
        spent.value.tolist(),
        scripts,
    ]


def plain_figures(txs):
    coins = [coin for tx in txs for coin in tx]
    kinds = [classify(coin.script) for coin in coins]
    scripts = [(int(k), b"" if k == ScriptType.OP_RETURN else p) for k, p in kinds]
    columns = [[c.height for c in coins], [c.coinbase for c in coins], [c.value for c in coins]]
    return [[len(tx) for tx in txs], *columns, scripts]


@settings(max_examples=500)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.tuples(st.integers(0, len(RECORD) - 1), st.binary(min_size=1, max_size=9), st.integers(0, 9)).map(
            lambda cut: RECORD[: cut[0]] + cut[1] + RECORD[cut[0] + cut[2] :]
        ),
    )
)
@example(b"\xff" + b"\x00" * 7 + b"\x80")
@example(b"\xff" * 9)
@example(b"\x01\xff" + b"\xff" * 8)
@example(b"\x01\xfe\x00\x00\x00\x02" + b"\x00" * 40)
@example(b"\x01\x01\x00\x00\x80\xfe\xfe\xfe\x7f" + b"\x00" * 40)
def test_any_bytes_are_read_alike_or_refused_alike(data):
    ours = outcome(lambda d: figures(decode_undo(d, "a test")), data)
    assert ours == outcome(lambda d: plain_figures(read_undo(d)), data)


@given(
    st.binary(max_size=40), st.integers(0, 60), st.binary(min_size=40, max_size=40), st.binary(min_size=40, max_size=40)
)
def test_what_lies_behind_a_record_does_not_matter(data, cut, behind, other):
    record = (data + RECORD)[: len(data) + cut]

    def measured(tail):
        buf = np.frombuffer(record + tail, np.uint8)
        return kernels.measure_undo(buf, 0, len(record), 100)

    assert measured(behind) == measured(other)
