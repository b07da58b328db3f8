"""The keyed hashes of the kernels in plain Python, for looking up one key without numba."""

from functools import cache
from struct import Struct

from geldspur.bitcoin.scripts import ScriptType

_A = 0x9E3779B97F4A7C15
_B = 0xFF51AFD7ED558CCD
_C = 0xC4CEB9FE1A85EC53
_MASK = (1 << 64) - 1

Key = tuple[int, int]


def key_of(block_hash: bytes) -> Key:
    """The key that a block's hash (in the byte order of the wire, whose first bytes vary most) makes."""
    return int.from_bytes(block_hash[:8], "little"), int.from_bytes(block_hash[8:16], "little")


def _mix(h: int) -> int:
    h ^= h >> 33
    h = h * _B & _MASK
    h ^= h >> 33
    h = h * _C & _MASK
    return h ^ h >> 33


def txid_hash(key: Key, txid: bytes) -> int:
    """Keyed hash of a txid in the byte order of the wire."""
    h = (int.from_bytes(txid[:8], "little") ^ key[0]) * _A & _MASK
    h ^= h >> 32
    return _mix(h ^ int.from_bytes(txid[8:16], "little") ^ key[1])


def script_hash(key: Key, script_type: ScriptType, payload: bytes) -> int:
    """Keyed hash of a script by its type and payload."""
    length = len(payload)
    h = key[0] ^ int(script_type) << 32 ^ length
    *whole, rest = _words(length // 8).unpack(payload.ljust(length // 8 * 8 + 8, b"\0"))
    for word in whole:
        h = (h ^ word) * _A & _MASK
        h ^= h >> 32
    return _mix(((h ^ rest) * _A & _MASK) ^ key[1])


@cache
def _words(whole: int) -> Struct:
    return Struct(f"<{whole + 1}Q")
