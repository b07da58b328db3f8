"""A simulated chain is a chain: read again by the tests' own reader, and by the ledger."""

import json
import struct
from collections import Counter

import numpy as np
import pytest
from typer.testing import CliRunner

from geldspur.accuracy.chain import simulate_blocks
from geldspur.bitcoin.addresses import decode
from geldspur.bitcoin.networks import REGTEST
from geldspur.bitcoin.scripts import ScriptType, classify, script_of
from geldspur.cli.app import app
from geldspur.errors import UsageError
from geldspur.ledger import Ledger, index
from tiny_chain import TinyTx, read_block_file, sha256d

TXS = 5000
NO_LINK = (1 << 64) - 1


class Simulated:
    """A chain that was simulated, as the tests' own reader finds it."""

    def __init__(self, folder, **options):
        self.folder = folder / "chain"
        self.truth = simulate_blocks(self.folder, links=folder / "links.bin", **options)
        self.links = np.fromfile(folder / "links.bin", "<u8")
        self.blocks = [b for path in sorted(self.folder.glob("blk*.dat")) for b in self.read(path)]
        self.outputs: list[tuple[int, bytes]] = []
        self.row: dict[tuple[str, int], int] = {}
        self.born: list[int] = []
        for height, block in enumerate(self.blocks):
            for tx in block.txs:
                for vout, output in enumerate(tx.outputs):
                    self.row[tx.txid, vout] = len(self.outputs)
                    self.outputs.append(output)
                    self.born.append(height)

    def plain(self, path):
        data = path.read_bytes()
        key = self.folder / "xor.dat"
        if not key.exists():
            return data
        mask = key.read_bytes() * (len(data) // 8 + 1)
        return (np.frombuffer(data, np.uint8) ^ np.frombuffer(mask, np.uint8)[: len(data)]).tobytes()

    def read(self, path):
        return read_block_file(self.plain(path), REGTEST.magic)

    def spent(self, tx: TinyTx) -> list[int]:
        return [self.row[outpoint] for outpoint in tx.inputs]

    def value(self, rows) -> int:
        return sum(self.outputs[row][0] for row in rows)


@pytest.fixture(scope="module")
def chain(tmp_path_factory):
    return Simulated(tmp_path_factory.mktemp("usual"), txs=TXS, seed=1, undo=True)


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    return Simulated(tmp_path_factory.mktemp("lean"), txs=20_000, seed=2, lean=True, xor=True, undo=True)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A chain with enough transactions for its shares to come out as they should, as the ledger sees it."""
    folder = tmp_path_factory.mktemp("large")
    truth = simulate_blocks(folder / "chain", 100_000, seed=3)
    index(folder / "chain", folder / "ledger")
    return Ledger(folder / "ledger"), truth


@pytest.fixture(scope="module", params=["chain", "lean"])
def either(request):
    return request.getfixturevalue(request.param)


def root(leaves):
    while len(leaves) > 1:
        leaves = [*leaves, *leaves[-1:]] if len(leaves) % 2 else leaves
        leaves = [sha256d(a + b) for a, b in zip(leaves[::2], leaves[1::2], strict=True)]
    return leaves[0]


def test_headers_chain_up_with_work_and_roots_of_their_blocks(either):
    assert either.blocks[0].hash == REGTEST.genesis_id
    target = 0x7FFFFF << 8 * 29
    for before, block in zip(either.blocks, either.blocks[1:], strict=False):
        assert block.header[4:36][::-1].hex() == before.hash
        assert struct.unpack("<I", block.header[72:76])[0] == 0x207FFFFF
        assert int(block.hash, 16) <= target
        assert 300 < block.seconds - before.seconds < 900
        assert block.root == root(block.leaves)
    assert (either.truth.tip_height, either.truth.tip_hash) == (len(either.blocks) - 1, either.blocks[-1].hash)


def test_core_takes_the_headers(chain, tmp_path):
    pbk = pytest.importorskip("pbk")
    options = pbk.ContextOptions()
    options.set_chainparams(pbk.ChainParameters(pbk.ChainType.REGTEST))
    manager = pbk.ChainstateManager(
        pbk.ChainstateManagerOptions(pbk.Context(options), str(tmp_path), str(tmp_path / "blocks"))
    )
    for block in chain.blocks[1:]:
        manager.process_block_header(pbk.BlockHeader(block.header))
    assert manager.best_entry.height == chain.truth.tip_height


def test_every_input_spends_an_output_that_was_there_once_and_every_satoshi_is_accounted_for(either):
    spent, fees = set(), 0
    for height, block in enumerate(either.blocks[1:], start=1):
        block_fees, next_row = 0, either.row[block.txs[0].txid, 0]
        for tx in block.txs[1:]:
            next_row = either.row[tx.txid, 0]
            rows = either.spent(tx)
            assert max(rows) < next_row
            assert spent.isdisjoint(rows)
            assert len(set(rows)) == len(rows)
            spent.update(rows)
            fee = either.value(rows) - sum(value for value, _ in tx.outputs)
            assert fee >= 0
            block_fees += fee
        subsidy = 5_000_000_000 >> height // 150
        assert sum(value for value, _ in block.txs[0].outputs) == subsidy + block_fees
        fees += block_fees
    unspent = [
        row for row, (_, script) in enumerate(either.outputs) if row and row not in spent and script[:1] != b"\x6a"
    ]
    assert (fees, len(unspent), either.value(unspent)) == (
        either.truth.fees_sat, either.truth.unspent_outputs, either.truth.unspent_sat,
    )  # fmt: skip


def test_coins_of_a_coinbase_wait_a_hundred_blocks_and_some_coins_are_spent_in_their_own(chain):
    ages = Counter()
    coinbases = {tx.txid for block in chain.blocks for tx in block.txs[:1]}
    for height, block in enumerate(chain.blocks):
        for tx in block.txs[1:]:
            for txid, vout in tx.inputs:
                age = height - chain.born[chain.row[txid, vout]]
                assert txid not in coinbases or age >= 100
                ages[age] += 1
    assert ages[0] > 500
    assert max(ages) > 100


def test_the_true_links_are_those_of_the_blocks(either):
    links = [
        NO_LINK if tx is block.txs[0] else row
        for block in either.blocks
        for tx in block.txs
        for row in (either.spent(tx) if tx is not block.txs[0] else [0])
    ]
    assert either.links.tolist() == links
    checksum = sum((row + 1) * (2 * i + 1) for i, row in enumerate(links) if row != NO_LINK)
    assert either.truth.link_checksum == checksum % (1 << 64)


def test_the_ledger_finds_what_is_true(either, tmp_path):
    index(either.folder, tmp_path / "ledger")
    ledger, truth = Ledger(tmp_path / "ledger"), either.truth
    assert (ledger.n_txs, ledger.n_inputs) == (truth.transactions, truth.inputs)
    assert (ledger.n_outputs, ledger.n_scripts) == (truth.outputs, truth.scripts)
    linked = either.links != NO_LINK
    assert np.array_equal(ledger.in_prevout[linked], either.links[linked])
    assert len(truth.hubs) > 5
    for hub in truth.hubs:
        key = decode(hub.address, ledger.network)
        assert key.script_type.label == hub.script_type
        script = ledger.script_index(key.script_type, key.payload)
        rows = ledger.outputs_of(script)
        assert (len(rows), int(ledger.out_value[rows].sum())) == (hub.outputs, hub.received_sat)
        assert ledger.balance_sat(script) == hub.balance_sat


def test_undo_files_hold_every_spent_output(either):
    undo = either.plain(either.folder / "rev00000.dat")
    at = 0
    for height, block in enumerate(either.blocks[1:], start=1):
        assert undo[at : at + 4] == REGTEST.magic
        size = struct.unpack_from("<I", undo, at + 4)[0]
        data, checksum = undo[at + 8 : at + 8 + size], undo[at + 8 + size : at + 40 + size]
        assert checksum == sha256d(sha256d(either.blocks[height - 1].header) + data)
        reader = UndoReader(data)
        assert reader.count() == len(block.txs) - 1
        for tx in block.txs[1:]:
            rows = either.spent(tx)
            assert reader.count() == len(rows)
            for row in rows:
                born, coinbase, value, script = reader.coin()
                assert (born, value, script) == (either.born[row], *either.outputs[row])
                assert coinbase == (row < either.row[either.blocks[born].txs[1].txid, 0] if born > 100 else True)
        assert reader.at == size
        at += 40 + size
    assert at == len(undo)


class UndoReader:
    """Core's undo data, from the description in src/undo.h and src/compressor.cpp."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        self.at += n
        return self.data[self.at - n : self.at]

    def count(self):
        n = self.take(1)[0]
        return n if n < 253 else int.from_bytes(self.take(1 << n - 252), "little")

    def varint(self):
        n = 0
        while True:
            byte = self.take(1)[0]
            n = n << 7 | byte & 0x7F
            if byte < 0x80:
                return n
            n += 1

    def coin(self):
        code = self.varint()
        assert self.take(1) == b"\0"
        value, kind = amount(self.varint()), self.varint()
        if kind < 2:
            script = script_of((ScriptType.P2PKH, ScriptType.P2SH)[kind], self.take(20))
        elif kind < 6:
            script = bytes([33, kind]) + self.take(32) + b"\xac"
        else:
            script = self.take(kind - 6)
        return code >> 1, bool(code & 1), value, script


def amount(x):
    if x == 0:
        return 0
    x, zeros = divmod(x - 1, 10)
    if zeros < 9:
        x, digit = divmod(x, 9)
        return (10 * x + digit + 1) * 10**zeros
    return (x + 1) * 10**9


def test_scripts_are_mixed_and_counted(chain, large):
    kinds = Counter(classify(script)[0].label for _, script in chain.outputs)
    assert kinds == chain.truth.outputs_by_type
    assert len({script for _, script in chain.outputs if script[:1] != b"\x6a"}) == chain.truth.scripts
    _, truth = large
    share = {kind: count / truth.outputs for kind, count in truth.outputs_by_type.items()}
    assert 0.3 < share["p2wpkh"] < 0.45
    assert 0.2 < share["p2pkh"] < 0.4
    assert 0.1 < share["p2sh"] < 0.25
    assert 0.1 < share["p2tr"] < 0.2
    assert 0.02 < share["p2wsh"] < 0.06
    assert 0.002 < share["p2pk"] < 0.02
    assert 0.002 < share["multisig"] < 0.02
    assert 0.045 < truth.outputs_by_type["op_return"] / truth.transactions < 0.055
    assert 0.6 < truth.witness_transactions / truth.transactions < 0.9


def test_sizes_are_like_mainnets(large):
    ledger, truth = large
    assert truth.transactions == ledger.n_txs == 100_000
    assert 400 < ledger.tx_size[:].mean() < 450
    assert 1.95 < truth.inputs / truth.transactions < 2.25
    assert 2.45 < truth.outputs / truth.transactions < 2.8
    inputs, outputs = np.diff(ledger.tx_in), np.diff(ledger.tx_out)
    assert np.count_nonzero((inputs > 100) & (outputs <= 3)) > 5
    assert np.count_nonzero(outputs > 100) > 5
    assert 0.2 < np.mean((inputs == 1) & (outputs == 2)) < 0.6
    weight = 3 * ledger.tx_base_size.astype(np.int64) + ledger.tx_size
    assert np.add.reduceat(weight, ledger.block_tx[:-1].astype(np.int64)).max() < 3_990_000


def test_few_addresses_are_paid_very_often_and_most_once(large):
    ledger, truth = large
    assert 2.2 < truth.outputs / truth.scripts < 2.6
    hubs = [hub.outputs for hub in truth.hubs]
    assert 0.02 < max(hubs) / truth.outputs < 0.06
    assert 0.03 < sum(hubs) / truth.outputs < 0.12
    paid = np.sort(np.bincount(ledger.out_script[ledger.out_script < ledger.n_scripts]))[::-1]
    assert paid[0] > 10 * paid[20] > 20 * paid[1000] > 0
    assert 0.6 < np.mean(paid == 1) < 0.85


def test_most_outputs_are_spent_soon_few_late_and_a_quarter_never(large):
    ledger, truth = large
    assert 0.2 < truth.unspent_outputs / truth.outputs < 0.3
    rows = np.flatnonzero(ledger.in_prevout < ledger.n_outputs)
    spender = np.searchsorted(ledger.tx_in, rows, side="right")
    spent = np.searchsorted(ledger.tx_out, ledger.in_prevout[rows].astype(np.int64), side="right")
    age = spender - spent
    assert np.median(age) < 2500
    assert 0.01 < np.mean(age > 30_000) < 0.2


def test_lean_transactions_are_small(lean):
    assert lean.truth.bytes / lean.truth.transactions <= 200
    assert lean.truth.inputs / lean.truth.transactions > 1.4


@pytest.mark.parametrize("options", [{}, {"lean": True, "xor": True, "undo": True}])
def test_equal_arguments_give_equal_bytes_and_another_seed_another_chain(tmp_path, options):
    made = {}
    for name, seed in (("first", 5), ("second", 5), ("other", 6)):
        simulate_blocks(tmp_path / name, 2000, seed=seed, **options)
        made[name] = {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
    assert made["first"] == made["second"]
    assert made["first"]["blk00000.dat"] != made["other"]["blk00000.dat"]


def test_a_seed_gives_the_chain_that_it_always_gave(tmp_path):
    """The same on every machine and with every engine of SHA-256; a wanted change of the simulation changes it."""
    assert simulate_blocks(tmp_path / "chain", 2000).tip_hash == TIP_OF_SEED_0


TIP_OF_SEED_0 = "640aeb4b498d0cc32195fe071c9a6387859c5555e7635d9a0eade7906ad279d0"


def test_a_second_file_begins_where_the_first_is_full(tmp_path, monkeypatch):
    monkeypatch.setattr("geldspur.accuracy.chain.files.FILE_SIZE", 1 << 20)
    made = Simulated(tmp_path, txs=TXS, seed=1, undo=True)
    sizes = [path.stat().st_size for path in sorted(made.folder.glob("blk*.dat"))]
    assert len(sizes) == made.truth.files == len(list(made.folder.glob("rev*.dat"))) > 1
    assert all(size < 1 << 20 for size in sizes)
    assert index(made.folder, tmp_path / "ledger").tip_hash == made.truth.tip_hash


def test_blocks_can_be_asked_for(tmp_path):
    truth = simulate_blocks(tmp_path / "chain", 2000, blocks=400)
    assert (truth.blocks, truth.transactions) == (400, 2000)


@pytest.mark.parametrize(("txs", "blocks"), [(50, None), (2000, 90), (300, 400)])
def test_a_chain_that_cannot_be_is_refused(tmp_path, txs, blocks):
    with pytest.raises(UsageError):
        simulate_blocks(tmp_path / "chain", txs, blocks=blocks)
    assert not (tmp_path / "chain").exists()


def test_a_folder_that_holds_something_is_refused_and_left_alone(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    result = CliRunner().invoke(app, ["simulate", "blocks", "--out", str(tmp_path), "--txs", "1000"])
    assert isinstance(result.exception, UsageError)
    assert [path.name for path in tmp_path.iterdir()] == ["note.txt"]


def test_the_command_prints_and_writes_the_truth(tmp_path):
    out = tmp_path / "chain"
    result = CliRunner().invoke(app, ["simulate", "blocks", "--out", str(out), "--txs", "500", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout) == json.loads((out / "truth.json").read_text())
