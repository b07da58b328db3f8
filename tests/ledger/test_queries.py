"""An address's history, balances and neighbours are what a second reader counts off the blocks."""

import re
from collections import Counter, defaultdict
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from geldspur.bitcoin.networks import NETWORKS
from geldspur.errors import GeldspurError, UsageError
from geldspur.ledger import Ledger
from geldspur.ledger.history import AddressHistory, EntryKind
from geldspur.ledger.neighbours import Side, neighbours
from geldspur.ledger.views import address_view, amount, block_view, transaction_view
from tiny_chain import TinyChain


@pytest.fixture(scope="module")
def chain(embedded):
    return TinyChain(embedded.case.root)


@pytest.fixture(scope="module")
def counted(chain):
    """Address -> its entries in ledger order, counted without the program."""
    spent_in = {o: (t.txid, n) for b in chain.blocks for t in b.txs for n, o in enumerate(t.inputs)}
    value = {(t.txid, n): v for b in chain.blocks for t in b.txs for n, (v, _) in enumerate(t.outputs)}
    found = defaultdict(list)
    for height, block in enumerate(chain.blocks):
        for tx in block.txs:
            for vin, outpoint in enumerate(tx.inputs):
                if address := chain.address.get(outpoint):
                    found[address].append(("spend", height, tx.txid, vin, -value[outpoint], outpoint))
            for vout, (sat, _) in enumerate(tx.outputs):
                if address := chain.address.get((tx.txid, vout)):
                    other = spent_in.get((tx.txid, vout), (None, None))
                    found[address].append(("receipt", height, tx.txid, vout, sat, other))
    return found


def busiest(counted, count):
    return sorted(counted, key=lambda a: (-len(counted[a]), a))[:count]


def test_every_history_is_what_the_blocks_say(embedded, counted):
    assert len(counted) > 3000
    for address, expected in counted.items():
        history = AddressHistory.of(embedded.ledger, address)
        entries = history.page(1, 10_000)
        balances = np.cumsum([e[4] for e in expected]).tolist()
        assert [
            (e.kind, e.height, e.txid, e.index, e.amount_sat, (e.other_txid, e.other_index)) for e in entries
        ] == expected
        assert [e.balance_sat for e in entries] == balances
        assert (len(history), history.balance_sat) == (len(expected), balances[-1])


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("limit", [1, 7, 64])
def test_pages_cut_the_history_without_loss(embedded, counted, limit, newest_first):
    for address in busiest(counted, 6):
        history = AddressHistory.of(embedded.ledger, address)
        whole = history.page(1, 10_000)
        pages = [history.page(n, limit, newest_first=newest_first) for n in range(1, len(whole) // limit + 3)]
        joined = [entry for page in pages for entry in page]
        assert joined == (whole[::-1] if newest_first else whole)
        assert not pages[-1]


def test_balance_at_every_height(embedded, counted, chain):
    for address in busiest(counted, 3):
        history = AddressHistory.of(embedded.ledger, address)
        for height in range(0, chain.tip + 1, 17):
            expected = sum(e[4] for e in counted[address] if e[1] <= height)
            assert history.balance_at(height) == expected
    with pytest.raises(UsageError, match="not in this ledger"):
        history.balance_at(chain.tip + 1)


def counted_neighbours(chain, address, side):
    """Address -> (transactions, its satoshi, the address's satoshi), counted without the program."""
    value = {(t.txid, n): v for b in chain.blocks for t in b.txs for n, (v, _) in enumerate(t.outputs)}
    transactions, theirs, ours = Counter(), Counter(), Counter()
    for tx in (t for b in chain.blocks for t in b.txs):
        came = [(chain.address.get(o), value[o]) for o in tx.inputs if o in value]
        went = [(chain.address.get((tx.txid, n)), v) for n, (v, _) in enumerate(tx.outputs)]
        own, other = (went, came) if side is Side.PAYERS else (came, went)
        own_sat = sum(v for a, v in own if a == address)
        if any(a == address for a, _ in own):
            for a in {a for a, _ in other if a not in (address, None)}:
                transactions[a] += 1
                theirs[a] += sum(v for b, v in other if b == a)
                ours[a] += own_sat
    return {a: (n, theirs[a], ours[a]) for a, n in transactions.items()}


@pytest.mark.parametrize("side", list(Side))
def test_neighbours_are_what_the_blocks_say(embedded, chain, counted, side):
    for address in busiest(counted, 5):
        found = neighbours(embedded.ledger, address, side, limit=10_000)
        assert found.complete
        rows = {n.address: (n.transactions, n.neighbour_sat, n.address_sat) for n in found.neighbours if n.address}
        assert rows == counted_neighbours(chain, address, side)
        ranks = [n.transactions for n in found.neighbours]
        assert ranks == sorted(ranks, reverse=True)


def test_a_bounded_look_says_how_much_it_saw(embedded, counted):
    address = max(counted, key=lambda a: len({e[2] for e in counted[a]}))
    whole = neighbours(embedded.ledger, address, Side.PAYERS, limit=10_000)
    some = neighbours(embedded.ledger, address, Side.PAYERS, limit=10_000, look_at=5)
    last = neighbours(embedded.ledger, address, Side.PAYERS, limit=10_000, look_at=5, newest_first=True)
    assert (some.entries_looked_at, some.entries_total, some.complete) == (5, whole.entries_total, False)
    assert some.transactions_looked_at <= 5 < whole.transactions_looked_at
    assert some.neighbours != last.neighbours
    pages = [neighbours(embedded.ledger, address, Side.PAYERS, limit=3, page=p).neighbours for p in range(1, 40)]
    assert [n for page in pages for n in page] == whole.neighbours[: 3 * 39]


def test_an_address_that_nothing_pays_has_an_empty_history(embedded):
    view = address_view(embedded.ledger, "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", 10, 1, at_height=5, with_neighbours=True)
    assert (view["balance_sat"], view["entries_total"], view["history"], view["outputs"]) == (0, 0, [], [])
    assert view["balance_at"]["balance_sat"] == 0
    assert view["neighbours"]["payers"]["complete"]


def test_newly_mined_coins_have_no_payer(embedded, chain):
    mined = next(chain.address[(b.txs[0].txid, 0)] for b in chain.blocks[1:] if chain.address.get((b.txs[0].txid, 0)))
    assert neighbours(embedded.ledger, mined, Side.PAYERS).newly_mined > 0


@pytest.mark.parametrize(
    ("sat", "text"),
    [
        (0, "0.00000000 BTC"),
        (-1, "-0.00000001 BTC"),
        (2_100_000_000_000_001, "21,000,000.00000001 BTC"),
        (90_071_992_547_409_931, "900,719,925.47409931 BTC"),
    ],
)
def test_amounts_are_exact(sat, text):
    assert amount(sat).strip() == text


def period_ledger(monkeypatch):
    """A ledger of heights 100 and 101 with two outputs from before: one spent at 101, one of the same script kept.

    Block 100: coinbase tx 0 -> row 2 to script 1. Block 101: coinbase tx 1 -> row 3 to script 1; tx 2 spends
    rows 0 and 2 -> row 4 to script 0.
    """
    ledger = Ledger.__new__(Ledger)
    u4 = np.uint32
    spent = {0: 2, 2: 3}
    fields = {
        "network": NETWORKS["regtest"], "first_height": 100, "tip_height": 101, "n_edges": 2,
        "n_txs": 3, "n_inputs": 4, "n_outputs": 5, "n_scripts": 2,
        "block_tx": np.array([0, 1, 3], u4), "tx_in": np.array([0, 1, 2, 4], u4),
        "tx_out": np.array([2, 3, 4, 5], u4), "in_prevout": np.array([2**32 - 1, 2**32 - 1, 0, 2], u4),
        "out_value": np.array([70, 5, 50, 50, 110], np.int64), "out_script": np.array([0, 0, 1, 1, 0], u4),
        "out_spender": np.array([spent.get(row, 2**32 - 1) for row in range(5)], u4),
        "tx_id": np.arange(96, dtype=np.uint8).reshape(3, 32), "edge_txid": np.full((2, 32), 0xEE, np.uint8),
        "edge_vout": np.array([7, 8], u4), "edge_height": np.array([180, 183], u4),
        "block_time": np.array([1_600_000_000, 1_600_000_600], u4),
    }  # fmt: skip
    for name, value in fields.items():
        monkeypatch.setattr(Ledger, name, value, raising=False)
    monkeypatch.setattr(Ledger, "tx_height", lambda self, tx: 100 + int(tx >= 1))
    monkeypatch.setattr(Ledger, "tx_of_output", lambda self, row: -1 if row < 2 else row - 2)
    monkeypatch.setattr(Ledger, "address", lambda self, script: f"script {script}")
    monkeypatch.setattr(Ledger, "script_name", lambda self, script: f"script {script}")
    monkeypatch.setattr(Ledger, "script_index", lambda self, *key: 0)
    rows = [np.array([0, 1, 4]), np.array([2, 3])]
    monkeypatch.setattr(Ledger, "outputs_of", lambda self, script: rows[script])
    return ledger


def test_a_period_ledgers_edge_is_typed_not_guessed(monkeypatch):
    ledger = period_ledger(monkeypatch)
    history = AddressHistory(ledger, 0)
    entries = history.page(1, 10)
    assert [(e.kind, e.height, e.amount_sat, e.balance_sat, e.before_period) for e in entries] == [
        (EntryKind.RECEIPT, 90, 70, 70, True),
        (EntryKind.RECEIPT, 91, 5, 75, True),
        (EntryKind.SPEND, 101, -70, 5, False),
        (EntryKind.RECEIPT, 101, 110, 115, False),
    ]
    assert (entries[0].time, entries[0].txid, entries[0].index) == (None, "ee" * 32, 7)
    assert (entries[2].other_txid, entries[2].other_index) == ("ee" * 32, 7)
    assert [history.balance_at(h) for h in (100, 101)] == [75, 115]
    with pytest.raises(UsageError, match="height 99 is not in this ledger"):
        history.balance_at(99)


def test_a_period_ledgers_neighbours_leave_out_what_came_before(monkeypatch):
    ledger = period_ledger(monkeypatch)
    address = "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn"
    payers = neighbours(ledger, address, Side.PAYERS)
    assert (payers.entries_total, payers.itself_sat) == (1, 70)
    assert [(n.name, n.transactions, n.neighbour_sat) for n in payers.neighbours] == [("script 1", 1, 50)]
    assert neighbours(ledger, address, Side.PAID).itself_sat == 110


def test_a_hub_is_answered_in_whole_arrays(monkeypatch):
    """Half a million receipts, every second spent: a page takes few steps, whatever its place."""
    receipts = 1 << 19
    steps = Counter()
    rows = np.arange(receipts, dtype=np.uint32)
    fields = {
        "network": NETWORKS["regtest"], "tip_height": 0, "n_inputs": receipts // 2, "n_outputs": receipts,
        "out_value": np.ones(receipts, np.int64), "in_prevout": rows[::2].copy(),
        "out_spender": np.where(rows % 2 == 0, rows // 2, np.uint32(2**32 - 1)).astype(np.uint32),
        "tx_out": np.array([0, receipts], np.uint32), "first_height": 0, "n_edges": 0,
        "block_time": np.array([0], np.uint32), "tx_in": np.array([0, receipts // 2], np.uint32),
    }  # fmt: skip
    ledger = Ledger.__new__(Ledger)
    for name, value in fields.items():
        monkeypatch.setattr(Ledger, name, value, raising=False)

    def count(name, result):
        def method(self, *arguments):
            steps[name] += 1
            return result

        monkeypatch.setattr(Ledger, name, method)

    count("tx_of_input", 0)
    count("tx_of_output", 0)
    count("tx_height", 0)
    count("txid", "00")
    count("outpoint", ("00", 0))
    monkeypatch.setattr(Ledger, "outputs_of", lambda self, script: rows)
    history = AddressHistory(ledger, 0)
    assert history.balance_sat == receipts // 2
    assert len(history.page(300, 1000)) == 1000
    assert sum(steps.values()) < 10_000


def test_the_page_on_queries_names_what_exists():
    page = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()
    named = re.findall(r"`(views|history|neighbours|export|sql)\.(\w+)", page)
    assert len(named) >= 7
    for module, name in named:
        assert hasattr(import_module(f"geldspur.ledger.{module}"), name), (module, name)


def test_views_tell_the_same_as_the_history(embedded, counted):
    address = busiest(counted, 1)[0]
    view = address_view(embedded.ledger, address, 5, 2, newest_first=True)
    history = AddressHistory.of(embedded.ledger, address)
    assert [e["txid"] for e in view["history"]] == [e.txid for e in history.page(2, 5, newest_first=True)]
    assert view["outputs"][0]["txid"] == embedded.ledger.outpoint(int(history.receipts[-6]))[0]
    tx = transaction_view(embedded.ledger, view["history"][0]["txid"])
    block = block_view(embedded.ledger, str(tx["height"]))
    assert tx in block["tx"]
    with pytest.raises(GeldspurError):
        history.page(0, 5)
