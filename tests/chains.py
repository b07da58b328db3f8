"""Small regtest chains of any shape, mined in plain Python, and what a ledger of them must say.

Nothing here is shared with the program: transactions, blocks and the coins left over are worked out anew.
"""

import hashlib
import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MAGIC = b"\xfa\xbf\xb5\xda"
EASY, HARDER = 0x207FFFFF, 0x203FFFFF
"""Targets: a block of the second kind carries twice the work of one of the first."""
COIN = 100_000_000
NULL = (bytes(32), 0xFFFFFFFF)
Outpoint = tuple[bytes, int]
Output = tuple[int, bytes]

GENESIS = bytes.fromhex(
    "01000000" + "00" * 32 + "3ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000"
    "01" "01000000" "01" + "00" * 32 + "ffffffff"
    "4d04ffff001d0104455468652054696d65732030332f4a616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f6620"
    "7365636f6e64206261696c6f757420666f722062616e6b73ffffffff"
    "01" "00f2052a01000000" "43" "4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4"
    "f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac" "00000000"
)  # fmt: skip


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def compact(n: int) -> bytes:
    if n < 253:
        return bytes([n])
    return b"\xfd" + struct.pack("<H", n) if n < 1 << 16 else b"\xfe" + struct.pack("<I", n)


@dataclass(frozen=True)
class Tx:
    """A transaction: what it spends, what it pays, and its bytes."""

    inputs: tuple[Outpoint, ...]
    outputs: tuple[Output, ...]
    raw: bytes
    id: bytes

    @property
    def hex(self) -> str:
        return self.id[::-1].hex()


def tx(
    inputs: Sequence[Outpoint], outputs: Sequence[Output], sig: bytes = b"", witness: bytes = b"", locktime: int = 0
) -> Tx:
    """A transaction; with `witness` it has the segwit form, that one item for each input."""
    ins = b"".join(i + struct.pack("<I", n) + compact(len(sig)) + sig + b"\xff\xff\xff\xff" for i, n in inputs)
    outs = b"".join(struct.pack("<q", v) + compact(len(s)) + s for v, s in outputs)
    middle = compact(len(inputs)) + ins + compact(len(outputs)) + outs
    begin, end = struct.pack("<i", 2), struct.pack("<I", locktime)
    base = begin + middle + end
    items = (b"\x01" + compact(len(witness)) + witness) * len(inputs)
    raw = begin + b"\x00\x01" + middle + items + end if witness else base
    return Tx(tuple(inputs), tuple(outputs), raw, sha256d(base))


def coinbase(tag: object, outputs: Sequence[Output] = ((50 * COIN, b"\x51"),)) -> Tx:
    """A coinbase: equal tags and outputs make equal transactions, as before BIP34."""
    text = repr(tag).encode()
    return tx([NULL], outputs, sig=compact(len(text)) + text)


def key_hash(name: object) -> bytes:
    """The P2WPKH script of a made-up key."""
    return b"\x00\x14" + hashlib.sha256(repr(name).encode()).digest()[:20]


@dataclass(frozen=True)
class Block:
    """A block: 80 bytes of header and its transactions."""

    header: bytes
    txs: tuple[Tx, ...]

    @property
    def hash(self) -> bytes:
        return sha256d(self.header)

    @property
    def raw(self) -> bytes:
        return self.header + compact(len(self.txs)) + b"".join(t.raw for t in self.txs)


def _genesis() -> Block:
    script, coin = GENESIS[-72 + 1 : -4], GENESIS[81:]
    made = Tx((NULL,), ((50 * COIN, script),), coin, sha256d(coin))
    assert made.id == GENESIS[36:68] and len(script) == 67
    return Block(GENESIS[:80], (made,))


def merkle_root(leaves: list[bytes]) -> bytes:
    while len(leaves) > 1:
        leaves += leaves[-1:] * (len(leaves) % 2)
        leaves = [sha256d(a + b) for a, b in zip(leaves[::2], leaves[1::2], strict=True)]
    return leaves[0]


def mine(before: Block, txs: Sequence[Tx], bits: int = EASY) -> Block:
    """A block on top of another: a few tries find its nonce."""
    time = struct.unpack_from("<I", before.header, 68)[0] + 600
    start = struct.pack("<i", 4) + before.hash + merkle_root([t.id for t in txs]) + struct.pack("<II", time, bits)
    target = (bits & 0xFFFFFF) << 8 * ((bits >> 24) - 3)
    nonce = 0
    while int.from_bytes(sha256d(start + struct.pack("<I", nonce)), "little") > target:
        nonce += 1
    return Block(start + struct.pack("<I", nonce), tuple(txs))


@dataclass
class Branch:
    """A chain from the genesis block on that can be grown and forked."""

    blocks: list[Block] = field(default_factory=lambda: [_genesis()])

    def add(self, *txs: Tx, tag: object = None, bits: int = EASY, base: Tx | None = None) -> Tx:
        """Mine a block with a coinbase of its own before the transactions; returns the coinbase."""
        first = base or coinbase((len(self.blocks), tag))
        self.blocks.append(mine(self.blocks[-1], [first, *txs], bits))
        return first

    def fork(self, height: int) -> "Branch":
        """A branch that shares the blocks up to a height."""
        return Branch(self.blocks[: height + 1])

    def coins(self) -> dict[Outpoint, Output]:
        """What can be spent at the tip, as Core's set of coins would have it."""
        coins: dict[Outpoint, Output] = {}
        for block in self.blocks:
            for t in block.txs:
                for spent in t.inputs:
                    coins.pop(spent, None)
                coins |= {(t.id, n): (v, s) for n, (v, s) in enumerate(t.outputs) if spendable(s)}
        return coins

    def grow(self, rng: random.Random, blocks: int, txs: int = 3, bits: int = EASY) -> "Branch":
        """Mine blocks of random payments among a few known and many new keys; returns itself."""
        coins = [(point, value) for point, (value, _) in self.coins().items()]
        for _ in range(blocks):
            made = []
            for _ in range(rng.randrange(txs + 1)):
                picked = [coins.pop(rng.randrange(len(coins))) for _ in range(min(len(coins), rng.randint(1, 3)))]
                if not picked:
                    continue
                total = sum(value for _, value in picked)
                outs = [(total // 4, some_script(rng)) for _ in range(rng.randint(1, 4))]
                new = tx([p for p, _ in picked], outs, sig=rng.randbytes(9), witness=rng.choice([b"", b"w" * 64]))
                made.append(new)
                coins += [((new.id, n), v) for n, (v, s) in enumerate(outs) if spendable(s)]
            first = self.add(*made, tag=rng.random(), bits=bits)
            coins.append(((first.id, 0), first.outputs[0][0]))
        return self


def some_script(rng: random.Random) -> bytes:
    """A script: one that many pay, or a new one, of any type."""
    if rng.random() < 0.4:
        return key_hash(rng.randrange(12))
    return rng.choice([
        b"\x00\x14" + rng.randbytes(20), b"\x76\xa9\x14" + rng.randbytes(20) + b"\x88\xac",
        b"\xa9\x14" + rng.randbytes(20) + b"\x87", b"\x51\x20" + rng.randbytes(32),
        b"\x21\x02" + rng.randbytes(32) + b"\xac", b"\x6a\x08" + rng.randbytes(8), rng.randbytes(rng.randint(0, 70)),
    ])  # fmt: skip


def spendable(script: bytes) -> bool:
    """Not so of scripts that begin with OP_RETURN or are longer than 10,000 bytes."""
    return not script.startswith(b"\x6a") and len(script) <= 10_000


def write_blocks(folder: Path, blocks: Iterable[Block], name: str = "blk00000.dat") -> Path:
    """Write a block file; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    frames = [MAGIC + struct.pack("<I", len(block.raw)) + block.raw for block in blocks]
    (folder / name).write_bytes(b"".join(frames))
    return folder


def write_branches(folder: Path, *branches: Branch) -> Path:
    """Write all blocks of some branches, each once, in the order in which the branches are given."""
    return write_blocks(folder, {block.hash: block for branch in branches for block in branch.blocks}.values())


@dataclass
class Expected:
    """What the ledger of a branch must hold, by row. None: no output, no spender, no script; GONE: overwritten."""

    txids: list[bytes]
    prevout: list[int | None]
    spender: list[int | str | None]
    script: list[int | None]
    scripts: list[bytes]
    values: list[int]
    balances: list[int]


GONE = "gone"


def expected_of(branch: Branch) -> Expected:
    """Work out by plain dictionaries what the ledger must say."""
    e = Expected([], [], [], [], [], [], [])
    latest: dict[bytes, int] = {}
    ids: dict[bytes, int] = {}
    coins = branch.coins()
    for block in branch.blocks:
        for t in block.txs:
            for spent, vout in t.inputs:
                row = None if (spent, vout) == NULL else latest[spent] + vout
                if row is not None:
                    assert e.spender[row] is None, "the test's own chain spends an output twice"
                    e.spender[row] = len(e.prevout)
                e.prevout.append(row)
            if t.id in latest:
                old = range(latest[t.id], latest[t.id] + len(t.outputs))
                for row in old:
                    e.spender[row] = GONE if e.spender[row] is None else e.spender[row]
            latest[t.id] = len(e.values)
            e.txids.append(t.id)
            for value, script in t.outputs:
                e.values.append(value)
                e.spender.append(None)
                e.script.append(ids.setdefault(script, len(ids)) if spendable(script) else None)
    e.scripts = list(ids)
    e.balances = [0] * len(ids)
    for value, script in coins.values():
        e.balances[ids[script]] += value
    return e
