"""Block headers: the 80 bytes that chain blocks together and carry their work."""

import hashlib
import struct
from dataclasses import dataclass

from geldspur.bitcoin.networks import Network

HEADER_SIZE = 80


def double_sha256(data: bytes) -> bytes:
    """Bitcoin's hash, in the byte order of the wire."""
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def target_of(bits: int) -> int:
    """The 256-bit target that a header's compact `bits` stand for; 0 where they stand for none.

    Source: Bitcoin Core, arith_uint256::SetCompact.
    """
    size, mantissa = bits >> 24, bits & 0x7FFFFF
    if bits & 0x800000 or not mantissa:
        return 0
    target = mantissa >> 8 * (3 - size) if size <= 3 else mantissa << 8 * (size - 3)
    return target if target < 1 << 256 else 0


@dataclass(frozen=True, slots=True)
class Header:
    """A block header and its hash. Hashes are in the byte order of the wire."""

    raw: bytes
    hash: bytes
    version: int
    previous: bytes
    merkle_root: bytes
    time: int
    bits: int
    nonce: int

    @property
    def work(self) -> int:
        """The expected number of hashes that stand behind the header (Core's GetBlockProof)."""
        return (1 << 256) // (target_of(self.bits) + 1)

    def has_work(self, network: Network) -> bool:
        """Is the hash below the header's own target, and that target within the network's limit?"""
        target = target_of(self.bits)
        return 0 < target <= network.pow_limit and int.from_bytes(self.hash, "little") <= target


def parse_header(raw: bytes) -> Header:
    """Read 80 bytes as a header; ValueError for any other length."""
    if len(raw) != HEADER_SIZE:
        raise ValueError(f"a block header has {HEADER_SIZE} bytes, not {len(raw)}")
    version, previous, root, time, bits, nonce = struct.unpack("<i32s32sIII", raw)
    return Header(raw, double_sha256(raw), version, previous, root, time, bits, nonce)
