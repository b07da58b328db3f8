"""Appending and reorgs: a ledger that was kept current answers as one that is built afresh."""

import random

import pytest

from chains import EASY, HARDER, Branch, tx, write_branches
from geldspur.bitcoin.networks import TESTNET3
from geldspur.errors import GeldspurError
from geldspur.ledger import Ledger, index, opening
from geldspur.ledger.build.compact import compact
from ledger_facts import bytes_of, check, differing, facts_of

pytestmark = pytest.mark.usefixtures("small_steps")


def rebuilt(tmp_path, branch, name="fresh"):
    """A fresh ledger of a branch."""
    folder = tmp_path / name
    index(write_branches(tmp_path / f"{name}-blocks", branch), folder)
    return folder


def same_when_compacted(folder, fresh):
    compact(folder)
    assert differing(bytes_of(folder), bytes_of(fresh)) == []


@pytest.mark.parametrize("seed", range(3))
def test_appending_in_steps_gives_the_answers_of_a_fresh_build(tmp_path, seed):
    rng = random.Random(seed)
    branch, ledger = Branch(), tmp_path / "ledger"
    for _ in range(6):
        branch.grow(rng, rng.choice([1, 2, 7, 30]))
        index(write_branches(tmp_path / "blocks", branch), ledger)
        check(ledger, branch)
    fresh = rebuilt(tmp_path, branch)
    assert len(Ledger(ledger).runs) > 1
    assert differing(bytes_of(ledger, runs=False), bytes_of(fresh, runs=False)) == []
    assert facts_of(Ledger(ledger)) == facts_of(Ledger(fresh))
    assert Ledger(ledger).manifest_sha256 == Ledger(fresh).manifest_sha256
    same_when_compacted(ledger, fresh)


def test_a_reader_may_open_the_ledger_while_an_append_merges_runs(tmp_path, monkeypatch):
    rng, branch, ledger = random.Random(7), Branch(), tmp_path / "ledger"
    for blocks in (20, 1):
        index(write_branches(tmp_path / "blocks", branch.grow(rng, blocks)), ledger)
    merged = Ledger(ledger).runs[1].name
    really = opening.open_run

    def open_late(folder, entry):
        monkeypatch.setattr(opening, "open_run", really)
        index(write_branches(tmp_path / "blocks", branch.grow(rng, 3)), ledger)
        return really(folder, entry)

    monkeypatch.setattr(opening, "open_run", open_late)
    opened = Ledger(ledger)
    assert not (ledger / "lookup" / merged).exists()
    assert (opened.tip_height, len(opened.runs)) == (24, 2)
    (ledger / "lookup" / opened.runs[1].name / "outputs.bin").unlink()
    with pytest.raises(GeldspurError, match="damaged"):
        Ledger(ledger)


@pytest.mark.parametrize("seed", range(3))
def test_reorgs_forward_and_back(tmp_path, seed):
    rng = random.Random(100 + seed)
    ledger = tmp_path / "ledger"
    branch = Branch().grow(rng, 110)
    index(write_branches(tmp_path / "blocks", branch), ledger)
    for depth in rng.sample([1, 2, 3, 10, 40, 100], 4):
        fork = branch.fork(len(branch.blocks) - 1 - depth).grow(rng, depth + rng.randint(1, 3))
        report = index(write_branches(tmp_path / "blocks", branch, fork), ledger)
        assert (report.blocks_rolled_back, report.stale) == (depth, depth)
        check(ledger, fork)
        branch = branch.grow(rng, len(fork.blocks) - len(branch.blocks) + 1) if rng.random() < 0.5 else fork
        index(write_branches(tmp_path / "blocks", fork, branch), ledger)
        check(ledger, branch)
    same_when_compacted(ledger, rebuilt(tmp_path, branch))


def test_a_transaction_moves_to_another_block_and_its_older_coins_are_spent_once(tmp_path):
    ledger, trunk = tmp_path / "ledger", Branch()
    paid = trunk.add()
    trunk.grow(random.Random(5), 5, txs=0)
    move = tx([(paid.id, 0)], [(7, b"\x51"), (8, b"\x52")])
    follow = tx([(move.id, 1)], [(8, b"\x53")])
    one, two = trunk.fork(6), trunk.fork(6)
    one.add(move, tag="one")
    one.add(follow, tag="one")
    two.add(tag="two")
    two.add(tag="two")
    two.add(move, follow, tag="two")
    index(write_branches(tmp_path / "blocks", one), ledger)
    check(ledger, one)
    index(write_branches(tmp_path / "blocks", one, two), ledger)
    assert check(ledger, two).tx_height(check(ledger, two).tx_index(move.hex)) == 9
    one.add(tag="one")
    one.add(tag="one")
    index(write_branches(tmp_path / "blocks", two, one), ledger)
    check(ledger, one)
    same_when_compacted(ledger, rebuilt(tmp_path, one))


def test_coins_that_only_the_other_branch_spends_are_free_again(tmp_path):
    ledger, trunk = tmp_path / "ledger", Branch()
    paid = trunk.add()
    one, two = trunk.fork(1), trunk.fork(1)
    one.add(tx([(paid.id, 0)], [(1, b"\x51")]), tag="one")
    two.add(tag="two")
    two.add(tag="two")
    index(write_branches(tmp_path / "blocks", one), ledger)
    assert Ledger(ledger).spender_of(1) is not None
    index(write_branches(tmp_path / "blocks", one, two), ledger)
    assert check(ledger, two).spender_of(1) is None


def test_of_tips_with_equal_work_the_one_that_is_there_stays(tmp_path):
    rng = random.Random(1)
    trunk = Branch().grow(rng, 5)
    one, two = trunk.fork(5).grow(rng, 2), trunk.fork(5).grow(rng, 2)
    ledger = tmp_path / "ledger"
    for branch in (one, two):
        index(write_branches(tmp_path / "blocks", branch), ledger)
        report = index(write_branches(tmp_path / "blocks", one, two), ledger)
        assert report.blocks_rolled_back == 0
        check(ledger, one)
    assert report.tip_hash == one.blocks[-1].hash[::-1].hex()


def test_a_shorter_chain_with_more_work_wins(tmp_path):
    rng = random.Random(2)
    trunk = Branch().grow(rng, 5)
    long, short = trunk.fork(5).grow(rng, 5, bits=EASY), trunk.fork(5).grow(rng, 3, bits=HARDER)
    ledger = tmp_path / "ledger"
    index(write_branches(tmp_path / "blocks", long), ledger)
    report = index(write_branches(tmp_path / "blocks", long, short), ledger)
    assert (report.blocks_rolled_back, report.tip_height) == (5, 8)
    check(ledger, short)
    same_when_compacted(ledger, rebuilt(tmp_path, short))


def test_an_older_copy_of_the_files_changes_nothing(tmp_path):
    branch = Branch().grow(random.Random(3), 30)
    ledger = tmp_path / "ledger"
    index(write_branches(tmp_path / "blocks", branch), ledger)
    before = bytes_of(ledger)
    report = index(write_branches(tmp_path / "older", branch.fork(20)), ledger)
    assert (report.blocks_added, report.blocks_rolled_back, report.tip_height) == (0, 0, 30)
    fork = branch.fork(20).grow(random.Random(4), 2)
    report = index(write_branches(tmp_path / "fork", fork), ledger)
    assert (report.blocks_added, report.blocks_rolled_back, report.tip_height) == (0, 0, 30)
    assert differing(before, bytes_of(ledger)) == []


def test_another_network_is_refused(tmp_path):
    branch = Branch().grow(random.Random(3), 3)
    source, ledger = write_branches(tmp_path / "blocks", branch), tmp_path / "ledger"
    index(source, ledger)
    before = bytes_of(ledger)
    manifest = (ledger / "manifest.json").read_text()
    (ledger / "manifest.json").write_text(manifest.replace('"regtest"', '"testnet4"'))
    with pytest.raises(GeldspurError, match="testnet4, the blocks are of regtest"):
        index(source, ledger)
    (ledger / "manifest.json").write_text(manifest)
    with pytest.raises(GeldspurError, match="testnet3"):
        index(source, ledger, network=TESTNET3)
    assert differing(before, bytes_of(ledger)) == []


def test_a_branch_that_comes_back_to_the_same_tip(tmp_path):
    """The run that is made then has the name of one that is in use."""
    rng = random.Random(7)
    branch, ledger = Branch().grow(rng, 40), tmp_path / "ledger"
    blocks = write_branches(tmp_path / "blocks", branch)
    index(blocks, ledger, to_height=20)
    index(blocks, ledger)
    fork = branch.fork(38).grow(rng, 1, bits=0x2007FFFF)
    index(write_branches(tmp_path / "fork", branch, fork), ledger)
    check(ledger, fork)
    branch.grow(rng, 40)
    index(write_branches(tmp_path / "blocks", branch), ledger)
    check(ledger, branch)
    same_when_compacted(ledger, rebuilt(tmp_path, branch))


def test_a_range_whose_tables_are_too_large_is_appended_in_parts(tmp_path, monkeypatch):
    from geldspur.ledger.build import append
    from geldspur.ledger.build.tables import Tables, TablesTooLarge

    class Few(Tables):
        def link(self, piece, share_done, *edges):
            if self._draft.rows("block") - self._draft.range_start["block"] > 5:
                raise TablesTooLarge
            return super().link(piece, share_done, *edges)

    branch, ledger = Branch().grow(random.Random(3), 40), tmp_path / "ledger"
    blocks = write_branches(tmp_path / "blocks", branch)
    index(blocks, ledger, to_height=10)
    monkeypatch.setattr(append, "Tables", Few)
    index(blocks, ledger)
    check(ledger, branch)
    same_when_compacted(ledger, rebuilt(tmp_path, branch))


def test_appends_in_little_memory(tmp_path, monkeypatch):
    """Runs are then sorted in many passes."""
    from geldspur.ledger.build import append
    from geldspur.ledger.build.memory import Budget
    from geldspur.ledger.build.tables import Tables

    branch = Branch().grow(random.Random(3), 60)
    blocks = write_branches(tmp_path / "blocks", branch)
    folders = [tmp_path / name for name in ("much", "little")]
    for folder in folders:
        index(blocks, folder, to_height=20)
        index(blocks, folder)
        monkeypatch.setattr(Budget, "tables", property(lambda self: 1_500))
        monkeypatch.setattr(append, "Tables", lambda draft, runs, budget: Tables(draft, runs, 1 << 30))
        if folder == folders[0]:
            monkeypatch.setattr("geldspur.ledger.build.first.Tables", lambda d, r, budget: Tables(d, r, 1 << 30))
    check(folders[1], branch)
    assert differing(bytes_of(folders[0]), bytes_of(folders[1])) == []
