"""Bitcoin Core's own library as an oracle: it validates the blocks given to it and tells what they spend.

It writes into the folder that it opens, so it only ever gets a folder of its own.
"""

import struct
from pathlib import Path
from typing import Any

import pytest

from tiny_chain import sha256d

pbk = pytest.importorskip("pbk")


def open_engine(folder: Path) -> Any:
    """A chain of Core's in a new folder."""
    options = pbk.ContextOptions()
    options.set_chainparams(pbk.ChainParameters(pbk.ChainType.REGTEST))
    blocks = folder / "blocks"
    blocks.mkdir(parents=True, exist_ok=True)
    return pbk.ChainstateManager(pbk.ChainstateManagerOptions(pbk.Context(options), str(folder), str(blocks)))


def spent_by_block(engine: Any) -> dict[bytes, list[tuple[int, bool, int, bytes]]]:
    """Of each block by hash: (height, coinbase, value in satoshi, script) of what it spends, in order."""
    result = {}
    for entry in engine.get_active_chain().block_tree_entries:
        txs = engine.block_spent_outputs[entry].transactions if entry.height else []
        result[bytes(entry.block_hash)] = [
            (c.confirmation_height, bool(c.is_coinbase), c.output.amount, bytes(c.output.script_pubkey))
            for tx in txs
            for c in tx.coins
        ]
    return result


def mine(previous: bytes, height: int, seconds: int, tag: bytes = b"") -> bytes:
    """A regtest block with nothing but its coinbase, on top of the block with hash `previous`."""
    assert 128 <= height < 32_768, "the height is pushed in two bytes (BIP34)"
    push = b"\2" + height.to_bytes(2, "little") + bytes([len(tag) + 1]) + tag + b"\0"
    coinbase = (
        b"\1\0\0\0\1" + bytes(32) + b"\xff" * 4 + bytes([len(push)]) + push + b"\xff" * 4
        + b"\1" + bytes(8) + b"\1\x51" + bytes(4)
    )  # fmt: skip
    root = sha256d(coinbase)
    for nonce in range(1 << 20):
        header = struct.pack("<i32s32sIII", 4, previous, root, seconds, 0x207FFFFF, nonce)
        if sha256d(header)[31] < 0x7F:
            return header + b"\1" + coinbase
    raise AssertionError
