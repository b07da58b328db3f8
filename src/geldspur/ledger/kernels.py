"""Keyed hashes of txids and scripts, for tables and indexes. `keyedhash` has the same in plain Python.

The key keeps others from choosing keys that pile up in one place: a table's is a secret of the process, an
index's is the hash of the last block that it covers, which nobody knew when the keys were written.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import load_u8, load_u32, load_u64

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xFF51AFD7ED558CCD)
_C = np.uint64(0xC4CEB9FE1A85EC53)


@njit(cache=True, nogil=True)
def mix(h):
    """Spread the bits of a 64-bit word (the finalizer of MurmurHash3)."""
    h ^= h >> np.uint64(33)
    h *= _B
    h ^= h >> np.uint64(33)
    h *= _C
    return h ^ (h >> np.uint64(33))


@njit(cache=True, nogil=True)
def _take(h, word):
    """Take eight more bytes of a key into its hash."""
    h = (h ^ word) * _A
    return h ^ (h >> np.uint64(32))


@njit(cache=True, nogil=True)
def txid_hash(k0, k1, window, at):
    """Keyed hash of the 32 bytes of a txid at byte `at` of a window; `k0`, `k1` uint64 are the key."""
    return mix(_take(k0, load_u64(window, at)) ^ load_u64(window, at + 8) ^ k1)


@njit(cache=True, nogil=True)
def link_hash(k0, k1, output, spender):
    """Keyed hash of a link: the row of an output and of the input that spends it, uint64."""
    return mix(_take(k0, output) ^ k1 ^ spender)


@njit(cache=True, nogil=True)
def script_hash(k0, k1, kind, window, at, length):
    """Keyed hash of a script's type and payload, the `length` bytes at byte `at` of a window."""
    h = k0 ^ (np.uint64(kind) << np.uint64(32)) ^ np.uint64(length)
    # The two usual lengths, written out: a loop's end is mispredicted wherever they alternate.
    if length == 20:
        h = _take(_take(h, load_u64(window, at)), load_u64(window, at + 8))
        return mix((h ^ np.uint64(load_u32(window, at + 16))) * _A ^ k1)
    if length == 32:
        h = _take(_take(h, load_u64(window, at)), load_u64(window, at + 8))
        h = _take(_take(h, load_u64(window, at + 16)), load_u64(window, at + 24))
        return mix(h * _A ^ k1)
    end = at + length
    while at + 8 <= end:
        h = _take(h, load_u64(window, at))
        at += 8
    word = np.uint64(0)
    for b in range(end - at):
        word |= np.uint64(load_u8(window, at + b)) << np.uint64(8 * b)
    return mix((h ^ word) * _A ^ k1)
