"""Merkle branches, addresses and difficulty against real blocks and the truth of a regtest case."""

import gzip
import json

import pytest

from geldspur.bitcoin.networks import NETWORKS
from geldspur.proof import merkle, verifier
from tiny_chain import read_block, read_block_file, shown, table
from tiny_package import branch, root

MAINNET = b"\xf9\xbe\xb4\xd9"
SINGLE = ["227835", "227836", "300025", "413567", "481815", "481829"]
FRAMED = ["mainnet_403617.blk", "mainnet_482253_482202.blk", "mainnet_556977.blk"]


def unpacked(path):
    return gzip.decompress(path.read_bytes())


def real_blocks(shared):
    folder = shared / "real/blocks"
    found = [read_block((folder / f"mainnet_{height}.raw").read_bytes()) for height in SINGLE]
    for name in FRAMED:
        found += read_block_file((folder / name).read_bytes(), MAINNET)
    for height in (928828, 928848, 928849, 1087400):
        found.append(read_block((folder / f"testnet3_{height}.raw").read_bytes()))
    return found


def test_roots_of_real_blocks_are_those_of_their_headers(shared):
    blocks = real_blocks(shared)
    assert sum(len(block.txs) for block in blocks) > 10_000
    for block in blocks:
        assert merkle.root(block.leaves) == block.root


def test_branches_lead_to_the_root_in_real_blocks_and_nowhere_else(shared):
    for block in real_blocks(shared):
        tree = merkle.levels(block.leaves)
        n = len(block.txs)
        for position in sorted({0, 1, 2, n // 2, n - 2, n - 1} & set(range(n))):
            siblings = merkle.branch_of(tree, position)
            leaf = block.leaves[position]
            assert merkle.climb(leaf, siblings, position) == block.root
            reached, low, high = verifier.climb(leaf, siblings, position)
            assert reached == block.root
            assert low < n <= high
            assert [shown(s) for s in siblings] == branch(block.leaves, position)
            assert merkle.climb(leaf, siblings[::-1], position) != block.root or len(siblings) < 2


def test_every_transaction_of_the_case_has_a_branch_to_its_root(chain):
    for block in chain.blocks:
        tree = merkle.levels(block.leaves)
        assert tree[-1] == [block.root]
        for position, leaf in enumerate(block.leaves):
            reached, low, high = verifier.climb(leaf, merkle.branch_of(tree, position), position)
            assert reached == block.root
            assert low < len(block.leaves) <= high


@pytest.mark.parametrize("n", [*range(1, 18), 31, 32, 33, 100])
def test_branches_of_trees_of_any_size_agree_with_the_definition(n):
    leaves = [bytes([i]) * 32 for i in range(n)]
    assert merkle.root(leaves) == root(leaves)
    for position in range(n):
        siblings = merkle.branch(leaves, position)
        assert [shown(s) for s in siblings] == branch(leaves, position)
        assert verifier.climb(leaves[position], siblings, position)[0] == root(leaves)


def test_there_is_no_tree_of_nothing_and_no_branch_beyond_its_leaves():
    with pytest.raises(ValueError, match="at least one transaction"):
        merkle.root([])
    for position in (-1, 3):
        with pytest.raises(IndexError):
            merkle.branch([bytes(32)] * 3, position)


def test_real_transactions_parse_to_their_ids(shared):
    for block in real_blocks(shared):
        for tx in block.txs[:200]:
            parsed = verifier.parse_transaction(tx.raw)
            assert parsed.txid == tx.txid
            assert [(i.txid, i.vout) for i in parsed.inputs] == tx.inputs
            assert [(o.value, o.script) for o in parsed.outputs] == tx.outputs
        assert verifier.parse_transaction(block.txs[0].raw).is_coinbase


@pytest.mark.parametrize(
    ("height", "carries"), [("227835", False), ("227836", True), ("300025", True), ("413567", True), ("481815", True)]
)
def test_real_coinbases_carry_their_height_where_they_must(shared, height, carries):
    """227,835 is of version 1 and need not; from 227,931 on each must."""
    raw = (shared / f"real/blocks/mainnet_{height}.raw").read_bytes()
    block = read_block(raw)
    entry = verifier.Block(int(height), block.hash, block.header, "", 0, 0, 0)
    coinbase = verifier.parse_transaction(block.txs[0].raw)

    assert verifier.check_height(entry, coinbase, "mainnet") is carries
    if int(height) > 227_931:
        entry.height += 1
        with pytest.raises(verifier.Refused, match="does not carry the height"):
            verifier.check_height(entry, coinbase, "mainnet")
        # A height from before the rule does not help: the header's time is later.
        entry.height = 100_000
        with pytest.raises(verifier.Refused):
            verifier.check_height(entry, coinbase, "mainnet")


def test_addresses_of_scripts_are_those_of_the_cases_truth(chain):
    regtest = verifier.NETWORKS["regtest"]
    outputs = [tx for block in chain.blocks[1:] for tx in block.txs]
    kinds = {r["script_type"] for r in table(chain.truth / "outputs.csv") if r["address"]}
    assert kinds == {"p2wpkh", "p2sh", "p2pkh", "p2tr", "p2wsh", "witness_unknown"}
    for tx in outputs:
        for vout, (_, script) in enumerate(tx.outputs):
            assert verifier.address_of(script, regtest) == chain.address[tx.txid, vout]


def test_headers_of_real_chains_have_the_difficulty_that_was_due(shared):
    folder = shared / "real/blocks"
    mainnet = verifier.Chain((folder / "mainnet_headers_40000-49999.raw").read_bytes(), "mainnet")
    mainnet.check_difficulty(40_000)
    assert len(set(mainnet.bits)) > 3
    with pytest.raises(verifier.Refused, match="the rule gives"):
        mainnet.check_difficulty(40_001)

    blocks = [bytes.fromhex(text) for text in json.loads(unpacked(folder / "testnet3_0-2016.json.gz"))]
    later = [bytes.fromhex(line) for line in unpacked(folder / "testnet3_1-4000.hex.txt.gz").decode().split()]
    testnet = verifier.Chain(b"".join(raw[:80] for raw in [blocks[0], *later]), "testnet3")
    assert testnet.from_genesis
    testnet.check_difficulty(0)

    signet = [bytes.fromhex(row["block"]) for row in json.loads(unpacked(folder / "signet_0-120.json.gz"))]
    chain = verifier.Chain(b"".join(raw[:80] for raw in signet), "signet")
    assert chain.from_genesis
    chain.check_difficulty(0)


@pytest.mark.parametrize(
    ("network", "late", "next_bits", "holds"),
    [
        # testnet3 and testnet4 allow the least difficulty after 20 minutes, and then go back to the real one.
        ("testnet3", 0x1D00FFFF, 0x1C00FFFF, True),
        ("testnet4", 0x1D00FFFF, 0x1C00FFFF, True),
        ("testnet3", 0x1C00FFFF, 0x1C00FFFF, False),
        ("testnet3", 0x1D00FFFF, 0x1D00FFFF, False),
        ("mainnet", 0x1D00FFFF, 0x1C00FFFF, False),
        ("mainnet", 0x1C00FFFF, 0x1C00FFFF, True),
    ],
)
def test_only_test_networks_ease_after_twenty_minutes(shared, network, late, next_bits, holds):
    chain = verifier.Chain((shared / "real/blocks/mainnet_headers_40000-49999.raw").read_bytes()[:800], "mainnet")
    chain.name = network
    chain.bits = [0x1C00FFFF] * 4 + [late] + [next_bits] * 5
    chain.times = [600 * i for i in range(4)] + [600 * i + 1201 for i in range(4, 10)]
    if holds:
        chain.check_difficulty(2016 * 20)
    else:
        with pytest.raises(verifier.Refused, match="the rule gives"):
            chain.check_difficulty(2016 * 20)


def test_a_cheap_header_at_the_end_of_a_real_chain_is_refused(shared):
    """Total work does not show it; the difficulty that was due does."""
    raw = (shared / "real/blocks/mainnet_headers_40000-49999.raw").read_bytes()
    chain = verifier.Chain(raw, "mainnet")
    chain.bits[-1] = 0x1D00FFFF

    with pytest.raises(verifier.Refused, match="header 9999 of the file: its bits are 1d00ffff"):
        chain.check_difficulty(40_000)


@pytest.mark.parametrize("bits", [0x1D00FFFF, 0x207FFFFF, 0x1B0404CB, 0x1E0377AE, 0x170331DB, 0x03123456])
def test_targets_and_their_compact_form_agree(bits):
    assert verifier.compact_of(verifier.target_of(bits)) == bits


@pytest.mark.parametrize("height", [0, 1, 16, 17, 127, 128, 255, 256, 32_767, 32_768, 65_535, 65_536, 8_388_608])
def test_heights_are_pushed_as_script_numbers(height):
    """By the definition: OP_0, OP_1 to OP_16, else the shortest little-endian number without a sign bit."""
    push = verifier.height_push(height)
    if height <= 16:
        assert push == (b"\x00" if height == 0 else bytes([0x50 + height]))
        return
    number = push[1:]
    assert push[0] == len(number)
    assert int.from_bytes(number, "little") == height
    assert number[-1] < 0x80
    assert len(number) == 1 or number[-1] or number[-2] >= 0x80


def test_networks_are_those_that_the_ledger_knows():
    assert set(verifier.NETWORKS) == set(NETWORKS)
    for name, network in NETWORKS.items():
        own = verifier.NETWORKS[name]
        assert own.genesis == network.genesis_id
        assert (own.p2pkh, own.p2sh, own.hrp) == (network.p2pkh_version, network.p2sh_version, network.bech32_hrp)
        assert own.limit == network.pow_limit
        assert own.limit_bits == verifier.compact_of(own.limit)
