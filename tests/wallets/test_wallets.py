"""Which transactions join addresses, which are refused, and whether the reasons given hold."""

import numpy as np
import pytest

from geldspur.rules import RULES
from geldspur.tags import open_tags
from geldspur.wallets import JoinSearch, Verdict, Wallets, build_wallets, kernels
from geldspur.wallets.why import explain


@pytest.fixture(scope="module")
def wallets(embedded):
    return Wallets(embedded.ledger, open_tags(embedded.ledger.folder))


@pytest.fixture(scope="module")
def kinds(embedded):
    return {row["txid"]: row["kind"] for row in embedded.case.table("transactions")}


def coinjoin(n_in, values, scripts=None):
    script = np.arange(100, 100 + len(values), dtype=np.uint32) if scripts is None else np.array(scripts, np.uint32)
    return kernels.looks_like_coinjoin(
        np.arange(n_in, dtype=np.uint32), np.array(values, np.int64), script, 2730, 3, 10
    )


def test_whirlpool_joinmarket_and_wasabi_shapes_are_seen():
    assert coinjoin(5, [1_000_000] * 5)
    assert coinjoin(4, [5_000_000] * 4 + [11_111, 22_222, 33_333, 44_444])
    assert coinjoin(60, [10_003_217] * 20 + list(range(3_000, 3_051)))
    assert coinjoin(60, [5_000_000] * 9 + [2_500_000] * 9 + [1_250_000] * 9 + list(range(20_000, 20_020)))


def test_ordinary_shapes_are_not_taken_for_coinjoins():
    assert not coinjoin(1, [1_000_000] * 5)
    assert not coinjoin(2, [1_000_000] * 40)
    assert not coinjoin(5, [1_000_000, 2_000_000])
    assert not coinjoin(8, [546] * 8)
    assert not coinjoin(5, [1_000_000] * 5, scripts=[7] * 5)


def payjoin(in_value, out_value, in_type=None, out_type=(4, 4), sequence=None):
    n = len(in_value)
    return kernels.looks_like_payjoin(
        np.array(in_type or [4] * n, np.uint8), np.array(in_value, np.int64),
        np.array(sequence or [0xFFFFFFFD] * n, np.uint32), np.array(out_type, np.uint8),
        np.array(out_value, np.int64), 10_000, 1_000_000, 4,
    )  # fmt: skip


def test_the_four_signs_of_a_payjoin():
    assert payjoin([50_000_000, 20_000_000], [43_000_123, 26_999_000], in_type=[4, 3], out_type=(4, 3))
    assert payjoin([50_000_000, 20_000_000], [43_000_123, 26_999_000], sequence=[1, 2])
    assert payjoin([8_123_456, 3_001_234], [5_001_234, 6_122_000])
    assert payjoin([90_000_000, 20_000_123], [80_000_777, 29_998_000])


def test_an_ordinary_payment_of_two_coins_is_no_payjoin():
    assert not payjoin([8_123_456, 3_001_234], [10_500_000, 623_456])


def test_no_coinjoin_of_the_case_joins_anything(embedded, wallets, kinds):
    for txid in (t for t, kind in kinds.items() if kind == "coinjoin"):
        assert wallets.verdict[embedded.ledger.tx_index(txid)] == Verdict.COINJOIN


def test_wallets_do_not_depend_on_when_they_are_built(embedded, wallets):
    before = {p.name: p.read_bytes() for p in (embedded.ledger.folder / "wallets" / wallets.edition).iterdir()}
    report = build_wallets(embedded.ledger)
    assert report.edition == wallets.edition
    assert {p.name: p.read_bytes() for p in (embedded.ledger.folder / "wallets" / report.edition).iterdir()} == before


def test_every_chain_of_joins_holds_on_the_ledger(embedded, wallets):
    """Neighbours in a chain must both have signed the transaction that is said to join them."""
    ledger = embedded.ledger
    search = JoinSearch(ledger, wallets)
    sizes = np.bincount(wallets.wallet)
    largest = int(np.argmax(sizes))
    members = np.flatnonzero(wallets.wallet == largest).tolist()
    assert len(members) > 20
    chains = search.between([members[0]], members)
    assert set(chains) == set(members)
    for target, chain in chains.items():
        assert (chain.scripts[0], chain.scripts[-1]) == (members[0], target)
        for k, tx in enumerate(chain.transactions):
            assert {chain.scripts[k], chain.scripts[k + 1]} <= set(wallets.input_scripts(tx))
            assert wallets.verdict[tx] == Verdict.CO_SPEND


def test_why_names_joining_transactions_or_says_that_there_are_none(embedded, wallets):
    ledger, tags = embedded.ledger, open_tags(embedded.ledger.folder)
    sizes = np.bincount(wallets.wallet)
    members = np.flatnonzero(wallets.wallet == int(np.argmax(sizes))).tolist()
    addresses = [a for a in map(ledger.address, members) if a]
    a, b = addresses[0], addresses[-1]
    answer = explain(ledger, tags, a, b)
    assert answer.same_wallet
    assert answer.steps[0].from_name == a
    assert answer.steps[-1].to_name == b
    assert (answer.rule, answer.error_rate) == ("co-spend", RULES["co-spend"].error_rate)
    stranger = next(tag.address for tag in tags.tags if tag.label == "merchant")
    assert not explain(ledger, tags, a, stranger).same_wallet


def test_wallets_of_different_services_are_never_joined(embedded, wallets):
    tags = open_tags(embedded.ledger.folder)
    named = {}
    for tag in tags.tags:
        script = embedded.ledger.script_index(tag.script_type, tag.payload)
        if script is not None:
            named.setdefault(int(wallets.wallet[script]), set()).add(tags.service_of(tag))
    assert len(named) > 5
    assert all(len(services) == 1 for services in named.values())
