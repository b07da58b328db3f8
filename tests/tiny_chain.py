"""A second, tiny reader of block files for tests: it shares no code with the program.

What it can't read off the blocks (addresses, which tip won) it takes from a case's truth.
"""

import csv
import hashlib
import struct
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def shown(digest: bytes) -> str:
    return digest[::-1].hex()


@dataclass
class TinyTx:
    raw: bytes
    txid: str
    inputs: list[tuple[str, int]]
    outputs: list[tuple[int, bytes]]


@dataclass
class TinyBlock:
    header: bytes
    txs: list[TinyTx]

    @property
    def hash(self) -> str:
        return shown(sha256d(self.header))

    @property
    def root(self) -> bytes:
        return self.header[36:68]

    @property
    def leaves(self) -> list[bytes]:
        return [bytes.fromhex(tx.txid)[::-1] for tx in self.txs]

    @property
    def seconds(self) -> int:
        return struct.unpack_from("<I", self.header, 68)[0]


class _Cursor:
    def __init__(self, data: bytes, at: int = 0) -> None:
        self.data, self.at = data, at

    def bytes(self, n: int) -> bytes:
        self.at += n
        assert self.at <= len(self.data)
        return self.data[self.at - n : self.at]

    def int(self, n: int) -> int:
        return int.from_bytes(self.bytes(n), "little")

    def varint(self) -> int:
        n = self.int(1)
        return n if n < 253 else self.int(1 << n - 252)


def read_tx(c: _Cursor) -> TinyTx:
    start = c.at
    version = c.bytes(4)
    witness = c.data[c.at : c.at + 2] == b"\x00\x01"
    if witness:
        c.bytes(2)
    body = c.at
    inputs = []
    for _ in range(c.varint()):
        inputs.append((shown(c.bytes(32)), c.int(4)))
        c.bytes(c.varint())
        c.bytes(4)
    outputs = []
    for _ in range(c.varint()):
        value = c.int(8)
        outputs.append((value, c.bytes(c.varint())))
    middle = c.data[body : c.at]
    if witness:
        for _ in inputs:
            for _ in range(c.varint()):
                c.bytes(c.varint())
    locktime = c.bytes(4)
    return TinyTx(c.data[start : c.at], shown(sha256d(version + middle + locktime)), inputs, outputs)


def read_block(data: bytes) -> TinyBlock:
    c = _Cursor(data)
    header = c.bytes(80)
    block = TinyBlock(header, [read_tx(c) for _ in range(c.varint())])
    assert c.at == len(data)
    return block


def read_block_file(data: bytes, magic: bytes) -> list[TinyBlock]:
    blocks, at = [], 0
    while data[at : at + 4] == magic:
        size = struct.unpack_from("<I", data, at + 4)[0]
        blocks.append(read_block(data[at + 8 : at + 8 + size]))
        at += 8 + size
    return blocks


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class TinyChain:
    """The best chain of a regtest case, with what its truth says about addresses and owners."""

    def __init__(self, case: Path) -> None:
        truth = case / "truth"
        found = {b.hash: b for b in read_block_file((case / "blocks/blk00000.dat").read_bytes(), b"\xfa\xbf\xb5\xda")}
        order = {int(row["height"]): row["hash"] for row in table(truth / "chain.csv")}
        genesis = next(h for h, b in found.items() if b.header[4:36] == bytes(32))
        self.blocks = [found[order.get(height, genesis)] for height in range(max(order) + 1)]
        self.where = {tx.txid: (h, i) for h, b in enumerate(self.blocks) for i, tx in enumerate(b.txs)}
        self.truth = truth
        outputs = table(truth / "outputs.csv")
        self.address = {(r["txid"], int(r["vout"])): r["address"] or None for r in outputs}
        self.time = {int(r["height"]): r["iso"] for r in table(truth / "chain.csv")}
        self.co_spends = self._single_owner_spends()

    @property
    def tip(self) -> int:
        return max(height for height, _ in self.where.values())

    def tx(self, txid: str) -> TinyTx:
        height, position = self.where[txid]
        return self.blocks[height].txs[position]

    def spent_addresses(self, txid: str) -> list[str | None]:
        return [self.address.get(outpoint) for outpoint in self.tx(txid).inputs]

    def _single_owner_spends(self) -> dict[str, list[tuple[str, str]]]:
        """Neighbours of each address: (address, transaction that spends both), where one actor signs alone."""
        found = defaultdict(list)
        self.single_owner = set()
        for row in table(self.truth / "transactions.csv"):
            if row["input_actors"] and ";" not in row["input_actors"]:
                self.single_owner.add(row["txid"])
                own = sorted({a for a in self.spent_addresses(row["txid"]) if a})
                for a in own:
                    found[a] += [(b, row["txid"]) for b in own if b != a]
        return found

    def chain_between(self, sources: list[str], targets: list[str]) -> tuple[list[str], list[str]] | None:
        """The shortest (addresses, transactions) from a source to a target by co-spends; None if there is none."""
        before: dict[str, tuple[str, str] | None] = dict.fromkeys(sources)
        queue = list(sources)
        for address in queue:
            if address in targets:
                addresses, txids = [address], []
                while (step := before[addresses[-1]]) is not None:
                    addresses.append(step[0])
                    txids.append(step[1])
                return addresses[::-1], txids[::-1]
            for other, txid in self.co_spends.get(address, []):
                if other not in before:
                    before[other] = (address, txid)
                    queue.append(other)
        return None
