"""The memory of a simulated economy: what its kernels work on."""

import struct
from typing import Any, NamedTuple

import numpy as np

from geldspur.accuracy.chain.shapes import WAITS, Shape
from geldspur.accuracy.chain.wire.kernels import HUBS
from geldspur.bitcoin.headers import double_sha256
from geldspur.bitcoin.message_kernels import QUEUE_BYTES

MATURITY = 100
MOST_INPUTS = 512
MOST_OUTPUTS = 512
TOGETHER = 32
"""Transactions whose ids are worked out together. None spends another of them."""
BODY = 4 << 20
UNDO = 3 << 20
"""A spent output takes 90 bytes at most, and a full block has fewer than 32,768."""
SLACK = 4096
_TX_ROOM = 16_384
_INPUT_ROOM = 32_768
MINED_OUTPUTS = 25
"""Outputs of each coinbase while there are no other transactions yet."""

# `World.count`
OWNERS, TXS, INPUTS, OUTPUTS, BOOKED, FEES, SPENT, SPENT_SAT, PAID_SAT, SALT, WITNESS_TXS, LINKSUM = range(12)
COUNTS = 12
# Rows of `World.pools`
FIRST, SIZE, TARGET, SHARE, END = range(5)


class World(NamedTuple):
    """Everything that lasts from block to block.

    A coin is an unspent output that will be spent, in 8 words: 4 of txid, vout and owner (high half), value,
    output row, height * 2 + is coinbase.
    """

    coins: Any
    """uint64[C,8]: in one range of rows for each of three waiting times."""
    pools: Any
    """int64[5,3]: of each range FIRST row, SIZE in use, TARGET size, SHARE of the outputs in 1/100, END row."""
    young: Any
    """uint64[MATURITY,K,8]: coins of the last coinbases, which can't be spent yet."""
    young_size: Any
    """int64[MATURITY]."""
    book: Any
    """uint32[B]: owners of a sample of outputs; who is drawn from it is paid again."""
    random: Any
    """uint64[1]: the generator's state."""
    count: Any
    """int64[COUNTS]."""
    hubs: Any
    """int64[HUBS,3]: outputs, received, balance of the first owners."""
    types: Any
    """int64[10]: outputs by script type."""
    in_steps: Any
    out_steps: Any
    scripts: Any
    op_return: int
    short: bool


class Draft(NamedTuple):
    """A block in the making: all but its header."""

    body: Any
    """uint8[BODY + SLACK]: the transactions behind the coinbase."""
    coinbase: Any
    """uint8[SLACK]: the first transaction."""
    txids: Any
    """uint8[T,32]."""
    links: Any
    """uint64[I]: output row that each input of the block spends."""
    scratch: Any
    """uint8[...]: a transaction without witness on its way to its place."""
    work: Any
    """uint8[QUEUE_BYTES]: transactions that wait to be hashed."""
    inputs: Any
    """uint64[MOST_INPUTS,3]: owner, script type, key of each input of a transaction."""
    outputs: Any
    """int64[MOST_OUTPUTS,3]: owner, value, does it wait to be spent."""
    undo: Any
    """uint8[UNDO + SLACK]: undo data of all but the coinbase; uint8[0] where none are wanted."""
    fresh: Any
    """uint64[TOGETHER * MOST_OUTPUTS,8]: coins that wait for their txid; its row in the block stands for it."""
    sizes: Any
    """int64[5]: transactions, inputs, bytes of the body, of the coinbase and of the undo data."""


def new_world(txs: int, seed: int, shape: Shape) -> World:
    """An empty economy that is large enough for `txs` transactions; its memory does not grow beyond."""
    target = [min(max(txs // 10, 2000) * share // 100, most) for _, share, most in WAITS]
    room = [wait * 3 // 2 + 1024 for wait in target]
    ends = np.cumsum(room)
    pools = np.array([ends - room, [0, 0, 0], target, [share for share, _, _ in WAITS], ends], np.int64)
    count = np.zeros(COUNTS, np.int64)
    genesis = [OWNERS, TXS, INPUTS, OUTPUTS]
    count[genesis] = HUBS, 1, 1, 1
    random = np.array([seed], np.uint64)
    count[SALT] = int.from_bytes(double_sha256(struct.pack("<Q", seed))[:7], "little")
    return World(
        coins=np.zeros((sum(room), 8), np.uint64), pools=pools,
        young=np.zeros((MATURITY, MINED_OUTPUTS, 8), np.uint64),
        young_size=np.zeros(MATURITY, np.int64),
        book=np.zeros(min(1 << 20, max(1 << 12, 1 << (txs // 4).bit_length())), np.uint32),
        random=random, count=count, hubs=np.zeros((HUBS, 3), np.int64), types=np.zeros(10, np.int64),
        in_steps=shape.steps(shape.inputs), out_steps=shape.steps(shape.outputs), scripts=shape.script_steps,
        op_return=shape.op_return, short=shape.short_signatures,
    )  # fmt: skip


def new_draft(undo: bool) -> Draft:
    """Room for one block, and where wanted for its undo data."""
    return Draft(
        body=np.empty(BODY + SLACK, np.uint8), coinbase=np.empty(SLACK, np.uint8),
        txids=np.empty((_TX_ROOM, 32), np.uint8), links=np.empty(_INPUT_ROOM, np.uint64),
        scratch=np.empty(1 << 20, np.uint8), work=np.empty(QUEUE_BYTES, np.uint8),
        inputs=np.empty((MOST_INPUTS, 3), np.uint64),
        outputs=np.empty((MOST_OUTPUTS, 3), np.int64),
        undo=np.empty(UNDO + SLACK if undo else 0, np.uint8),
        fresh=np.empty((TOGETHER * MOST_OUTPUTS, 8), np.uint64), sizes=np.zeros(5, np.int64),
    )  # fmt: skip
