"""Block files as Bitcoin Core writes them: headers chained and worked for, frames, obfuscation."""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from geldspur.bitcoin.headers import double_sha256, target_of
from geldspur.bitcoin.networks import Network
from geldspur.ledger.columns import Array

FILE_SIZE = 128 << 20
"""Core's MAX_BLOCKFILE_SIZE (src/node/blockstorage.h)."""
_ROOM = 5 << 20
REGTEST_BITS = 0x207FFFFF
GENESIS_TIME = 1_296_688_602
SPACING = 600
REGTEST_GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61"
    "7fc81bc3888a51323a9fb8aa4b1e5e4adae5494dffff7f20020000000101000000010000000000000000000000000000000000"
    "000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a616e2f323030392043"
    "68616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff01"
    "00f2052a01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4"
    "f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac00000000"
)
"""The regtest genesis block, as Core makes it (src/kernel/chainparams.cpp)."""


def mine(previous: bytes, root: bytes, height: int) -> bytes:
    """A header of 80 bytes with regtest's work. Times rise by ten minutes, give or take two."""
    time = GENESIS_TIME + SPACING * height + height * 2_654_435_761 % 241 - 120
    target = target_of(REGTEST_BITS)
    start = struct.pack("<i32s32sII", 0x20000000, previous, root, time, REGTEST_BITS)
    nonce = 0
    while int.from_bytes(double_sha256(header := start + struct.pack("<I", nonce)), "little") > target:
        nonce += 1
    return header


class BlockFiles:
    """Appends blocks to `blk*.dat` files in a folder, and what they spent to the `rev*.dat` files beside them."""

    def __init__(self, folder: Path, network: Network, key: bytes) -> None:
        self._folder, self._magic = folder, network.magic
        self._mask = np.frombuffer(key * (_ROOM // 8), np.uint8) if key else None
        if key:
            (folder / "xor.dat").write_bytes(key)
        self._blk: BinaryIO | None = None
        self._rev: BinaryIO | None = None
        self._buf = np.empty(_ROOM, np.uint8)
        self._at, self._rev_at = 0, 0
        self.number = 0
        self.bytes = 0

    def append(self, *parts: Array | bytes) -> None:
        """Write one block, given in parts, behind its frame. A full file is followed by the next."""
        framed = self._joined(self._frame(parts), *parts)
        if self._blk is not None and self._at + len(framed) >= FILE_SIZE:
            self.close()
            self.number += 1
        if self._blk is None:
            self._blk = (self._folder / f"blk{self.number:05}.dat").open("wb")
        self._write(self._blk, self._at, framed)
        self._at += len(framed)
        self.bytes += len(framed)

    def append_undo(self, previous: bytes, *parts: Array | bytes) -> None:
        """Write the undo data of the block that was appended last; `previous` is the hash of the one before it."""
        checksum = double_sha256(self._joined(previous, *parts).tobytes())
        if self._rev is None:
            self._rev = (self._folder / f"rev{self.number:05}.dat").open("wb")
        framed = self._joined(self._frame(parts), *parts, checksum)
        self._write(self._rev, self._rev_at, framed)
        self._rev_at += len(framed)

    def close(self) -> None:
        """Close the files that are open."""
        for file in (self._blk, self._rev):
            if file is not None:
                file.close()
        self._blk, self._rev, self._at, self._rev_at = None, None, 0, 0

    def _frame(self, parts: tuple[Array | bytes, ...]) -> bytes:
        return self._magic + struct.pack("<I", sum(len(part) for part in parts))

    def _joined(self, *parts: Array | bytes) -> Array:
        at = 0
        for part in parts:
            self._buf[at : at + len(part)] = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part
            at += len(part)
        return self._buf[:at]

    def _write(self, file: BinaryIO, position: int, data: Array) -> None:
        if self._mask is not None:
            shift = position % 8
            np.bitwise_xor(data, self._mask[shift : shift + len(data)], out=data)
        file.write(data.data)
