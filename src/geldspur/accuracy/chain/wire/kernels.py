"""Kernels that draw numbers and write the parts of a transaction and of its undo data.

Only whole numbers are drawn, so that a seed gives the same chain on every machine. `random` is the window of the
generator's state, 8 bytes. A `put_` kernel takes a buffer's window and an offset and returns the offset behind what
it wrote; it may spoil up to 8 bytes further on, which the next one writes over, so that buffers need room to spare.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import load_u8, load_u64, store_u8, store_u32, store_u64

_P2PK, _P2PKH, _P2SH, _P2WPKH, _P2WSH, _P2TR, _MULTISIG = 1, 2, 3, 4, 5, 6, 7
HUBS = 8
"""The first owners are hubs: paid very often, as exchanges are."""
_HUB_TYPES = np.array([_P2PKH, _P2SH, _P2WPKH, _P2TR, _P2PKH, _P2SH, _P2WPKH, _P2WSH], np.int64)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@njit(cache=True, nogil=True)
def mix(z):
    """The finishing step of splitmix64: every bit of the result depends on every bit of `z`."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


@njit(cache=True, nogil=True)
def draw(random):
    """The next 64 random bits (splitmix64; Steele, Lea, Flood 2014)."""
    state = load_u64(random, 0) + _GOLDEN
    store_u64(random, 0, state)
    return mix(state)


@njit(cache=True, nogil=True)
def below(random, n):
    """A random number below n, which is less than 2**31."""
    return np.int64(((draw(random) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(cache=True, nogil=True)
def size(random, steps):
    """A size drawn from steps of (chance up to here, low, high)."""
    chance = below(random, 10_000)
    row = 0
    while row < len(steps) - 1 and chance >= steps[row, 0]:
        row += 1
    low, high = steps[row, 1], steps[row, 2]
    octaves = 1
    while low << octaves <= high:
        octaves += 1
    low <<= below(random, octaves)
    return min(low + below(random, low), high) if high > steps[row, 1] else low


# Scripts. An owner's key is 64 bits, from which its type, hashes and public keys follow.


@njit(cache=True, nogil=True)
def key_of(owner, salt):
    """The 64 bits that an owner's scripts are made from."""
    return mix(np.uint64(salt) + (np.uint64(owner) + np.uint64(1)) * _GOLDEN)


@njit(cache=True, nogil=True)
def type_of(owner, key, script_steps):
    """The script type of an owner."""
    if owner < HUBS:
        return _HUB_TYPES[owner]
    chance = np.int64(key >> np.uint64(40)) % 10_000
    row = 0
    while row < len(script_steps) - 1 and chance >= script_steps[row, 0]:
        row += 1
    return script_steps[row, 1]


@njit(cache=True, nogil=True)
def _put_known(buf, at, key, part, count):
    """`count` bytes that follow from a key."""
    for k in range((count + 7) // 8):
        store_u64(buf, at + 8 * k, mix(key + np.uint64(8 * part + k + 1) * _GOLDEN))
    return at + count


@njit(cache=True, nogil=True)
def put_random(buf, at, count, random):
    """`count` random bytes."""
    for k in range((count + 7) // 8):
        store_u64(buf, at + 8 * k, draw(random))
    return at + count


@njit(cache=True, nogil=True)
def put_key(buf, at, key, part):
    """The push of a public key, compressed."""
    store_u8(buf, at, 33)
    _put_known(buf, at + 2, key, part, 32)
    store_u8(buf, at + 1, 2 + (load_u8(buf, at + 33) & 1))
    return at + 34


@njit(cache=True, nogil=True)
def _put_keys(buf, at, key, needed, total):
    """needed-of-total keys, OP_CHECKMULTISIG."""
    store_u8(buf, at, 0x50 + needed)
    at += 1
    for k in range(total):
        at = put_key(buf, at, key, k + 1)
    store_u8(buf, at, 0x50 + total)
    store_u8(buf, at + 1, 0xAE)
    return at + 2


@njit(cache=True, nogil=True)
def put_script(buf, at, kind, key):
    """The scriptPubKey of an owner, without its length."""
    if kind == _P2PKH:
        store_u8(buf, at, 0x76)
        store_u8(buf, at + 1, 0xA9)
        store_u8(buf, at + 2, 20)
        at = _put_known(buf, at + 3, key, 0, 20)
        store_u8(buf, at, 0x88)
        store_u8(buf, at + 1, 0xAC)
        return at + 2
    if kind == _P2SH:
        store_u8(buf, at, 0xA9)
        store_u8(buf, at + 1, 20)
        at = _put_known(buf, at + 2, key, 0, 20)
        store_u8(buf, at, 0x87)
        return at + 1
    if kind == _P2WPKH:
        store_u8(buf, at, 0)
        store_u8(buf, at + 1, 20)
        return _put_known(buf, at + 2, key, 0, 20)
    if kind in (_P2WSH, _P2TR):
        store_u8(buf, at, 0x51 if kind == _P2TR else 0)
        store_u8(buf, at + 1, 32)
        return _put_known(buf, at + 2, key, 0, 32)
    if kind == _MULTISIG:
        return _put_keys(buf, at, key, 1, 2)
    at = put_key(buf, at, key, 1)
    store_u8(buf, at, 0xAC)
    return at + 1


@njit(cache=True, nogil=True)
def _put_signature(buf, at, random, short):
    """The push of an ECDSA signature in DER, for SIGHASH_ALL; s is low, r high every second time."""
    r = 32
    if short:
        r = 1
    bits = draw(random)
    high = 0 if short else np.int64(bits & np.uint64(1))
    start = at + 1
    store_u8(buf, start, 0x30)
    store_u8(buf, start + 1, 2 * r + 4 + high)
    store_u8(buf, start + 2, 2)
    store_u8(buf, start + 3, r + high)
    store_u8(buf, start + 4, 0)
    at = put_random(buf, start + 4 + high, r, random)
    top = start + 4 + high
    store_u8(buf, top, load_u8(buf, top) | 0x80 if high else (load_u8(buf, top) & 0x7F) | 1)
    store_u8(buf, at, 2)
    store_u8(buf, at + 1, r)
    top = at + 2
    at = put_random(buf, top, r, random)
    store_u8(buf, top, (load_u8(buf, top) & 0x7F) | 1)
    store_u8(buf, at, 1)
    at += 1
    store_u8(buf, start - 1, at - start)
    return at


@njit(cache=True, nogil=True)
def _is_nested(kind, key):
    """Does a P2SH owner hold a P2WPKH in it (seven of ten), or a 2-of-2?"""
    return kind == _P2SH and np.int64(key >> np.uint64(33)) % 10 < 7


@njit(cache=True, nogil=True)
def has_witness(kind, key):
    """Is an owner's input signed in the witness?"""
    return kind in (_P2WPKH, _P2WSH, _P2TR) or _is_nested(kind, key)


@njit(cache=True, nogil=True)
def put_script_sig(buf, at, kind, key, random, short):
    """What an input shows in its scriptSig, with its length, which is below 253."""
    length_at = at
    at += 1
    if _is_nested(kind, key):
        store_u8(buf, at, 22)
        store_u8(buf, at + 1, 0)
        store_u8(buf, at + 2, 20)
        at = _put_known(buf, at + 3, key, 4, 20)
    elif kind == _P2SH:
        store_u8(buf, at, 0)
        at = _put_signature(buf, at + 1, random, short)
        at = _put_signature(buf, at, random, short)
        store_u8(buf, at, 76)
        store_u8(buf, at + 1, 71)
        at = _put_keys(buf, at + 2, key, 2, 2)
    elif kind == _MULTISIG:
        store_u8(buf, at, 0)
        at = _put_signature(buf, at + 1, random, short)
    elif kind == _P2PK:
        at = _put_signature(buf, at, random, short)
    elif kind == _P2PKH:
        at = _put_signature(buf, at, random, short)
        at = put_key(buf, at, key, 1)
    store_u8(buf, length_at, at - length_at - 1)
    return at


@njit(cache=True, nogil=True)
def put_witness(buf, at, kind, key, random, short):
    """The witness of one input."""
    if kind == _P2TR:
        store_u8(buf, at, 1)
        store_u8(buf, at + 1, 64)
        return put_random(buf, at + 2, 64, random)
    if kind == _P2WSH:
        store_u8(buf, at, 4)
        store_u8(buf, at + 1, 0)
        at = _put_signature(buf, at + 2, random, short)
        at = _put_signature(buf, at, random, short)
        store_u8(buf, at, 105)
        return _put_keys(buf, at + 1, key, 2, 3)
    if not has_witness(kind, key):
        store_u8(buf, at, 0)
        return at + 1
    store_u8(buf, at, 1 if short else 2)
    at = _put_signature(buf, at + 1, random, short)
    return at if short else put_key(buf, at, key, 1)


@njit(cache=True, nogil=True)
def put_count(buf, at, n):
    """A CompactSize of at most 16 bits."""
    if n < 253:
        store_u8(buf, at, n)
        return at + 1
    store_u8(buf, at, 253)
    store_u8(buf, at + 1, n & 0xFF)
    store_u8(buf, at + 2, n >> 8)
    return at + 3


@njit(cache=True, nogil=True)
def put_u32(buf, at, value):
    """Four bytes, the lowest first."""
    store_u32(buf, at, value)
    return at + 4


# Undo data: what Core keeps of each spent output (src/undo.h, src/compressor.cpp, VARINT in src/serialize.h)


@njit(cache=True, nogil=True)
def put_varint(buf, at, n):
    """Core's VARINT: seven bits a byte, the highest first, each further byte counted from one."""
    length = 1
    rest = n
    while rest > 0x7F:
        rest = (rest >> 7) - 1
        length += 1
    for k in range(length - 1, -1, -1):
        store_u8(buf, at + k, (n & 0x7F) | (0 if k == length - 1 else 0x80))
        n = (n >> 7) - 1
    return at + length


@njit(cache=True, nogil=True)
def compressed_amount(n):
    """An amount of satoshi as undo data hold it: round ones become small (CompressAmount)."""
    if n == 0:
        return np.int64(0)
    zeros = 0
    while n % 10 == 0 and zeros < 9:
        n //= 10
        zeros += 1
    if zeros < 9:
        return 1 + (n // 10 * 9 + n % 10 - 1) * 10 + zeros
    return 1 + (n - 1) * 10 + 9


@njit(cache=True, nogil=True)
def put_spent(buf, at, origin, value, kind, key):
    """A spent output: `origin` (height * 2 + is coinbase, above the genesis block), value and script."""
    at = put_varint(buf, at, origin)
    store_u8(buf, at, 0)
    at = put_varint(buf, at + 1, compressed_amount(value))
    if kind in (_P2PKH, _P2SH):
        store_u8(buf, at, 0 if kind == _P2PKH else 1)
        return _put_known(buf, at + 1, key, 0, 20)
    if kind == _P2PK:
        put_key(buf, at, key, 1)
        for k in range(33):
            store_u8(buf, at + k, load_u8(buf, at + k + 1))
        return at + 33
    end = put_script(buf, at + 1, kind, key)
    store_u8(buf, at, end - at - 1 + 6)
    return end
