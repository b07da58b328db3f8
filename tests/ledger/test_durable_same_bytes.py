"""The bytes of a ledger depend on the blocks alone, not on files, threads, memory, batches or the way of linking."""

import random

import pytest

from chains import Branch, spendable, write_blocks, write_branches
from geldspur.ledger import NO_SCRIPT, Ledger, index
from geldspur.ledger.build import by_disk, first
from geldspur.ledger.build.memory import LEAST, Budget
from geldspur.ledger.build.tables import Tables, TablesTooLarge
from geldspur.ledger.lookup import make
from ledger_facts import bytes_of, check, differing
from tiny_chain import TinyChain, table


@pytest.fixture
def chain(tmp_path):
    branch = Branch().grow(random.Random(11), 150, txs=6)
    return branch, write_branches(tmp_path / "blocks", branch)


def test_threads_memory_batches_and_ways_of_linking(tmp_path, chain, monkeypatch):
    branch, blocks = chain
    index(blocks, tmp_path / "plain")
    check(tmp_path / "plain", branch)
    whole = bytes_of(tmp_path / "plain")

    def same(name, **options):
        index(blocks, tmp_path / name, **options)
        assert differing(bytes_of(tmp_path / name), whole) == [], name

    for threads in (1, 2, 4):
        same(f"threads-{threads}", threads=threads, memory=LEAST)
    for size in (300, 5_000, 50_000):
        monkeypatch.setattr(Budget, "batch_bytes", property(lambda self, size=size: size))
        same(f"batch-{size}")
    for rows in (1, 7, 300):  # sorted in many passes
        monkeypatch.setattr(Budget, "tables", property(lambda self, rows=rows: 16 * rows))
        monkeypatch.setattr(first, "Tables", lambda draft, runs, budget: Tables(draft, runs, 1 << 30))
        monkeypatch.setattr(make, "_CHUNK", 50 + rows)
        same(f"passes-{rows}")
    monkeypatch.undo()

    def refuse(*_):
        raise TablesTooLarge

    monkeypatch.setattr(first, "Tables", refuse)
    for partitions in (2, 16, 128):
        monkeypatch.setattr(by_disk, "PARTITIONS", partitions)
        same(f"disk-{partitions}", threads=2)
    monkeypatch.setattr(Budget, "tables", property(lambda self: 64))
    same("disk-in-little-memory")


def test_tables_that_turn_out_too_large_on_the_way(tmp_path, chain, monkeypatch):
    _, blocks = chain
    index(blocks, tmp_path / "plain")
    monkeypatch.setattr(Budget, "batch_bytes", property(lambda self: 5_000))

    class Few(Tables):
        def link(self, *args):
            if self._draft.rows("block") > 60:
                raise TablesTooLarge
            return super().link(*args)

    monkeypatch.setattr(first, "Tables", Few)
    index(blocks, tmp_path / "ledger")
    assert differing(bytes_of(tmp_path / "ledger"), bytes_of(tmp_path / "plain")) == []


def test_files_in_any_order_cut_and_obfuscated(tmp_path, chain):
    branch, blocks = chain
    index(blocks, tmp_path / "plain")
    rng = random.Random(4)
    shuffled = rng.sample(branch.blocks, len(branch.blocks))
    folder, key = tmp_path / "parts", rng.randbytes(8)
    for part in range(3):
        write_blocks(folder, shuffled[part::3], f"blk{part:05}.dat")
        path = folder / f"blk{part:05}.dat"
        path.write_bytes(bytes(b ^ key[k % 8] for k, b in enumerate(path.read_bytes())) + bytes(500))
    (folder / "xor.dat").write_bytes(key)
    index(folder, tmp_path / "ledger")
    assert differing(bytes_of(tmp_path / "ledger"), bytes_of(tmp_path / "plain")) == []


def test_the_four_forms_of_one_chain(tmp_path, unpacked):
    index(unpacked("A"), tmp_path / "A")
    whole = bytes_of(tmp_path / "A")
    for form in ("A-xor", "A-ooo", "A-multi"):
        index(unpacked(form), tmp_path / form, threads=1)
        assert differing(bytes_of(tmp_path / form), whole) == [], form


def test_odd_transactions_are_linked_as_they_say(tmp_path, unpacked):
    case = unpacked("A")
    index(case, tmp_path / "A")
    ledger, chain = Ledger(tmp_path / "A"), TinyChain(case)
    odd = [row["txid"] for row in table(case / "truth" / "odd_txs.csv") if row["txid"] in chain.where]
    assert len(odd) > 20
    scripts = {}
    for txid in odd:
        row, plain = ledger.tx_index(txid), chain.tx(txid)
        first, end = int(ledger.tx_out[row]), int(ledger.tx_out[row + 1])
        assert [(ledger.txid(of), vout) for of, vout in ledger.prevouts(row)] == plain.inputs
        assert ledger.out_value[first:end].tolist() == [value for value, _ in plain.outputs]
        for script, (_, raw) in zip(ledger.out_script[first:end].tolist(), plain.outputs, strict=True):
            assert (script != NO_SCRIPT) == spendable(raw)
            assert scripts.setdefault(raw, script) == script
    spent = [script for raw, script in scripts.items() if spendable(raw)]
    assert len(set(spent)) == len(spent) > 20
