"""Block files as Bitcoin Core writes them: headers chained and worked for, frames, obfuscation."""

import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from geldspur.bitcoin.headers import double_sha256, target_of
from geldspur.bitcoin.kernels import merkle_root
from geldspur.bitcoin.networks import Network
from geldspur.ledger.columns import Array

FILE_SIZE = 128 << 20
"""Core's MAX_BLOCKFILE_SIZE (src/node/blockstorage.h)."""
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
    """Appends blocks to `blk*.dat` files in a folder."""

    def __init__(self, folder: Path, network: Network, key: bytes) -> None:
        self._folder, self._magic = folder, network.magic
        self._mask: Array | None = None
        if key:
            (folder / "xor.dat").write_bytes(key)
            self._mask = np.frombuffer(key * ((5 << 20) // 8), np.uint8)
        self._file: BinaryIO | None = None
        self._buf = np.empty(5 << 20, np.uint8)
        self.number = 0
        self.position = 0
        self.bytes = 0

    def append(self, parts: list[Array | bytes]) -> None:
        """Write one block, given in parts, behind its frame."""
        size = sum(len(part) for part in parts)
        at = 0
        for part in (self._magic, struct.pack("<I", size), *parts):
            self._buf[at : at + len(part)] = np.frombuffer(part, np.uint8) if isinstance(part, bytes) else part
            at += len(part)
        if self._file is None:
            self._file = self._open()
        elif self.position + at >= FILE_SIZE:
            self._file.close()
            self.number += 1
            self._file, self.position = self._open(), 0
        framed = self._buf[:at]
        if self._mask is not None:
            shift = self.position % 8
            np.bitwise_xor(framed, self._mask[shift : shift + at], out=framed)
        self._file.write(framed.data)
        self.position += at
        self.bytes += at

    def _open(self) -> BinaryIO:
        return (self._folder / f"blk{self.number:05}.dat").open("wb")

    def close(self) -> None:
        """Close the last file."""
        if self._file is not None:
            self._file.close()


def root_of(txids: Array, level: Array) -> bytes:
    """The Merkle root of a block's transaction ids, uint8[T,32]; `level` is scratch, uint8[T+1,32] at least."""
    root = np.empty(32, np.uint8)
    merkle_root(txids, 0, len(txids), root, level)
    return root.tobytes()
