"""Chains made to mislead: duplicate transactions, double spends, odd sizes, row numbers that outgrow their type."""

import random
import struct

import numpy as np
import pytest

from chains import COIN, NULL, Branch, coinbase, key_hash, tx, write_branches
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index, layout
from geldspur.ledger.build import append, draft
from geldspur.ledger.build.compact import compact
from ledger_facts import bytes_of, check, differing

pytestmark = pytest.mark.usefixtures("small_steps")


@pytest.fixture(params=["memory", "disk"])
def both_ways(request, by_way_of_disk):
    if request.param == "disk":
        by_way_of_disk()


def build(tmp_path, branch, name="ledger", **options):
    index(write_branches(tmp_path / f"{name}-blocks", branch), tmp_path / name, **options)
    return tmp_path / name


def same_when_appended(tmp_path, branch, steps):
    """Build up to each height of `steps` in turn, then the rest; compacted it is what a fresh build gives."""
    fresh = build(tmp_path, branch, "at-once")
    blocks = tmp_path / "at-once-blocks"
    ledger = tmp_path / f"by-steps-{'-'.join(map(str, steps))}"
    for height in (*steps, None):
        index(blocks, ledger, to_height=height)
    check(ledger, branch)
    compact(ledger)
    assert differing(bytes_of(ledger), bytes_of(fresh)) == []


# Duplicate transactions (BIP30)


def twins(spend_first=None, spend_last=True, between=3):
    """A coinbase that comes twice; spent before the second comes (vout 0, where asked for), and after it (vout 1)."""
    branch = Branch()
    twin = coinbase("twin", [(30 * COIN, b"\x51"), (20 * COIN, key_hash("twin")), (0, b"\x52")])
    branch.add(base=twin)
    branch.grow(random.Random(1), between, txs=0)
    if spend_first is not None:
        branch.add(tx([(twin.id, spend_first)], [(1, key_hash("early"))]))
    branch.grow(random.Random(2), between, txs=0)
    branch.add(base=twin)
    branch.grow(random.Random(3), between, txs=0)
    if spend_last:
        branch.add(tx([(twin.id, 1)], [(2, key_hash("late"))]))
    branch.grow(random.Random(4), 2, txs=0)
    return branch, twin


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("spend_first", [None, 0, 1])
@pytest.mark.parametrize("spend_last", [False, True])
def test_a_later_duplicate_overwrites_what_is_unspent_of_the_earlier(tmp_path, spend_first, spend_last):
    branch, _ = twins(spend_first, spend_last)
    check(build(tmp_path, branch), branch)


@pytest.mark.parametrize("step", [1, 4, 5, 8, 9, 10, 12])
def test_duplicates_across_appends(tmp_path, step):
    same_when_appended(tmp_path, twins(0)[0], [step])


def test_duplicates_in_one_append_and_in_three(tmp_path):
    branch, _ = twins(0)
    same_when_appended(tmp_path, branch, [0])
    same_when_appended(tmp_path, branch, [6, 8, 9])


@pytest.mark.parametrize("height", [3, 8, 9, 11, 13])
@pytest.mark.parametrize("first", [None, 5])
def test_a_reorg_over_a_duplicate_gives_its_outputs_back(tmp_path, height, first):
    branch, _ = twins(0)
    blocks = write_branches(tmp_path / "blocks", branch)
    ledger = tmp_path / "ledger"
    for to_height in [None] if first is None else [first, None]:
        index(blocks, ledger, to_height=to_height)
    fork = branch.fork(height)
    while len(fork.blocks) <= len(branch.blocks):
        fork.add(tag="fork")
    index(write_branches(tmp_path / "blocks", branch, fork), ledger)
    check(ledger, fork)
    back = branch.grow(random.Random(9), 6)
    index(write_branches(tmp_path / "blocks", fork, back), ledger)
    check(ledger, back)
    fresh = build(tmp_path, back, "fresh")
    compact(ledger)
    assert differing(bytes_of(ledger), bytes_of(fresh)) == []


@pytest.mark.usefixtures("both_ways")
def test_three_of_a_kind(tmp_path):
    branch, twin = twins()
    branch.add(base=twin)
    branch.add(tx([(twin.id, 0)], [(3, b"\x53")]))
    check(build(tmp_path, branch), branch)
    same_when_appended(tmp_path, branch, [9, 14])


# What no valid chain holds


def refused(tmp_path, good, bad, match, where=""):
    """A ledger of `good` refuses to go on with `bad`, says where, and stays as it was; so does a fresh build."""
    ledger = build(tmp_path, good)
    before = bytes_of(ledger)
    blocks = write_branches(tmp_path / "bad-blocks", bad)
    for _ in range(2):
        with pytest.raises(GeldspurError, match=match) as caught:
            index(blocks, ledger)
        assert where in (caught.value.where or "")
        assert caught.value.where
        check(ledger, good)
    better = good.fork(len(good.blocks) - 1).grow(random.Random(8), 5)
    index(write_branches(tmp_path / "better-blocks", better), ledger)
    check(ledger, better)
    assert before
    with pytest.raises(GeldspurError, match=match) as caught:
        index(blocks, tmp_path / "new")
    assert where in (caught.value.where or "")


@pytest.fixture
def paid():
    """A chain in which one coin was spent and another was not: (chain, spent outpoint, free outpoint)."""
    branch = Branch()
    spent, free = branch.add(), branch.add()
    branch.add(tx([(spent.id, 0)], [(5, b"\x51")]))
    return branch, (spent.id, 0), (free.id, 0)


def follows(branch, *blocks):
    bad = branch.fork(len(branch.blocks) - 1)
    for txs in blocks:
        bad.add(*txs)
    bad.grow(random.Random(6), 3, txs=0)
    return bad


@pytest.mark.usefixtures("both_ways")
class TestRefused:
    def test_a_coin_that_an_older_range_spent(self, tmp_path, paid):
        branch, spent, _ = paid
        refused(tmp_path, branch, follows(branch, [tx([spent], [(1, b"\x52")])]), "spent before")

    def test_a_coin_spent_twice_in_a_block(self, tmp_path, paid):
        branch, _, free = paid
        second = tx([free], [(2, b"\x53")])
        bad = follows(branch, [tx([free], [(1, b"\x52")]), second])
        refused(tmp_path, branch, bad, "spent before", f"input 0 of transaction {second.id[::-1].hex()}")

    def test_a_coin_spent_twice_by_one_transaction(self, tmp_path, paid):
        branch, _, free = paid
        refused(tmp_path, branch, follows(branch, [tx([free, free], [(1, b"\x52")])]), "spent before")

    def test_a_coin_spent_in_two_blocks_of_one_range(self, tmp_path, paid):
        branch, _, free = paid
        bad = follows(branch, [tx([free], [(1, b"\x52")])], [tx([free], [(2, b"\x53")])])
        refused(tmp_path, branch, bad, "spent before")

    def test_a_new_coin_spent_twice(self, tmp_path, paid):
        branch, _, free = paid
        new = tx([free], [(9, b"\x52")])
        bad = follows(branch, [new, tx([(new.id, 0)], [(1, b"\x53")])], [tx([(new.id, 0)], [(2, b"\x54")])])
        refused(tmp_path, branch, bad, "spent before")

    @pytest.mark.parametrize("vout", [1, 2, 0x7FFFFFFF, 0xFFFFFFFF])
    def test_an_output_that_is_not_there(self, tmp_path, paid, vout):
        branch, _, (free, _) = paid
        refused(tmp_path, branch, follows(branch, [tx([(free, vout)], [(1, b"\x52")])]), "does not have")

    def test_a_transaction_that_comes_later_in_the_block(self, tmp_path, paid):
        branch, _, free = paid
        later = tx([free], [(9, b"\x52")])
        bad = follows(branch, [tx([(later.id, 0)], [(1, b"\x53")]), later])
        refused(tmp_path, branch, bad, "no earlier block")

    def test_a_transaction_that_nobody_made(self, tmp_path, paid):
        branch, _, _ = paid
        refused(tmp_path, branch, follows(branch, [tx([(b"\x07" * 32, 0)], [(1, b"\x53")])]), "no earlier block")

    def test_a_txid_that_differs_in_its_last_byte(self, tmp_path, paid):
        branch, _, (free, _) = paid
        almost = free[:31] + bytes([free[31] ^ 1])
        refused(tmp_path, branch, follows(branch, [tx([(almost, 0)], [(1, b"\x53")])]), "no earlier block")


# Sizes and values at their edges


@pytest.mark.usefixtures("both_ways")
def test_scripts_and_values_at_their_edges(tmp_path):
    branch = Branch()
    first = branch.add()
    lengths = [0, 1, 252, 253, 254, 255, 256, 9_999, 10_000, 10_001]
    outs = [(n, b"\x52" * n) for n in lengths] + [(n, b"\x53" * n) for n in lengths]
    outs += [(0, b"\x51"), (21_000_000 * COIN, b"\x51"), (1, b"\x6a"), (2, b"\x6a" + b"x" * 9_000), (3, b"")]
    wide = tx([(first.id, 0)], outs)
    branch.add(wide)
    spends = [n for n, (_, script) in enumerate(outs) if len(script) <= 10_000 and not script.startswith(b"\x6a")]
    branch.add(tx([(wide.id, n) for n in spends], [(1, b"\x54"), *outs]))
    branch.grow(random.Random(1), 3)
    check(build(tmp_path, branch), branch)
    same_when_appended(tmp_path, branch, [2])


@pytest.mark.usefixtures("both_ways")
def test_very_many_outputs_and_inputs_in_one_transaction(tmp_path):
    branch = Branch()
    first = branch.add()
    wide = tx([(first.id, 0)], [(1, key_hash(n % 15_000)) for n in range(20_000)])
    branch.add(wide)
    branch.add(tx([(wide.id, n) for n in reversed(range(20_000))], [(20_000, b"\x51")]))
    for _ in range(3):
        branch.add()
    check(build(tmp_path, branch), branch)


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("count", [252, 253, 65_535, 65_536])
def test_counts_on_both_sides_of_a_longer_prefix(tmp_path, count):
    branch = Branch()
    first = branch.add()
    branch.add(tx([(first.id, 0)], [(1, b"")] * count))
    branch.add(tx([(branch.blocks[-1].txs[1].id, count - 1)], [(1, b"\x51")]))
    check(build(tmp_path, branch), branch)


def test_blocks_of_very_many_transactions(tmp_path):
    branch = Branch()
    last, made = (branch.add().id, 0), []
    for _ in range(300):
        made.append(tx([last], [(1, b"\x51")]))
        last = (made[-1].id, 0)
    branch.add(*made)
    branch.add(*[coinbase(n) for n in range(300)])
    check(build(tmp_path, branch), branch)


def test_known_scripts_fill_no_table_beyond_its_room(tmp_path, monkeypatch):
    """Outputs to scripts of an older range enter the table of the new one, though they are not new."""
    from geldspur.ledger.build import tables

    monkeypatch.setattr(tables, "_LEAST_SLOTS", 16)
    branch = Branch()
    coin = (branch.add().id, 0)
    many = tx([coin], [(1, key_hash(n)) for n in range(2_000)])
    branch.add(many)
    blocks = write_branches(tmp_path / "blocks", branch)
    index(blocks, tmp_path / "ledger")
    coin = (many.id, 0)
    for _ in range(40):  # few outputs by many bytes: the table is made for few
        pay = tx([coin], [(1, key_hash(0))], sig=b"x" * 3_000)
        branch.add(pay)
        coin = (pay.id, 0)
    for n in range(0, 2_000, 20):
        pay = tx([coin], [(1, key_hash(k)) for k in range(n, n + 20)])
        branch.add(pay)
        coin = (pay.id, 0)
    monkeypatch.setattr(append, "_RANGE_BYTES", 1 << 30)
    index(write_branches(tmp_path / "blocks", branch), tmp_path / "ledger")
    check(tmp_path / "ledger", branch)


# Row numbers of four and of eight bytes


@pytest.fixture
def narrow(monkeypatch):
    def limit(rows):
        monkeypatch.setattr(layout, "NARROW_LIMIT", rows)
        if hasattr(draft, "NARROW_LIMIT"):
            monkeypatch.setattr(draft, "NARROW_LIMIT", 1 << 31)

    return limit


@pytest.mark.usefixtures("both_ways")
@pytest.mark.parametrize("limit", [1, 60, 130, 200, 5_000])
def test_columns_are_wide_where_rows_outgrow_four_bytes(tmp_path, narrow, limit):
    narrow(limit)
    branch = Branch().grow(random.Random(1), 40)
    ledger = check(build(tmp_path, branch), branch)
    assert ledger.in_prevout.itemsize == (4 if ledger.n_outputs < limit else 8)
    assert ledger.tx_in.itemsize == ledger.out_spender.itemsize == (4 if ledger.n_inputs < limit else 8)
    assert ledger.script_at.itemsize == (4 if ledger.manifest["counts"]["payload_bytes"] < limit else 8)


@pytest.mark.parametrize("limit", [100, 150, 400, 700, 1_000, 3_000])
def test_columns_widen_in_an_append_and_are_as_fresh_ones_when_compacted(tmp_path, narrow, limit):
    narrow(limit)
    branch, _ = twins(0)
    branch.grow(random.Random(1), 40)
    same_when_appended(tmp_path, branch, [3, 5, 20])
    index(tmp_path / "at-once-blocks", tmp_path / "by-steps-3-5-20")
    more = branch.fork(45).grow(random.Random(5), 30)
    blocks = write_branches(tmp_path / "more", branch, more)
    index(blocks, tmp_path / "by-steps-3-5-20")
    check(tmp_path / "by-steps-3-5-20", more)


def test_wide_columns_become_narrow_again(tmp_path, narrow):
    branch = Branch().grow(random.Random(1), 40)
    ledger = build(tmp_path, branch)
    n_outputs = Ledger(ledger).n_outputs
    narrow(n_outputs + 5)
    one = branch.fork(len(branch.blocks) - 1).grow(random.Random(2), 1, txs=0)
    index(write_branches(tmp_path / "blocks", one), ledger)
    assert check(ledger, one).in_prevout.dtype == np.dtype("<u8")
    compact(ledger)
    assert check(ledger, one).in_prevout.dtype == np.dtype("<u4")
    assert differing(bytes_of(ledger), bytes_of(build(tmp_path, one, "fresh"))) == []


def test_the_null_outpoint_is_all_of_its_36_bytes(tmp_path):
    branch = Branch()
    branch.add()
    for almost in ((bytes(32), 0), (b"\x01" + bytes(31), NULL[1]), (bytes(31) + b"\x01", NULL[1])):
        bad = branch.fork(1)
        bad.add(tx([almost], [(1, b"\x51")]))
        with pytest.raises(GeldspurError, match="no earlier block"):
            build(tmp_path, bad, f"l{almost[0].hex()}{struct.pack('<I', almost[1]).hex()}")
