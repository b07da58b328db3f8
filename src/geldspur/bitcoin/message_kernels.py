"""Double SHA-256 of many messages, and of the pairs of a Merkle tree, two side by side.

Messages wait in a queue until there are enough of them to pair those of equal length: such a pair goes through the
processor's registers from its first block to its last hash. All memory is a part of one window, `work`, that the
caller allocates: QUEUE_BYTES bytes, and 16 bytes for each hash of a Merkle tree and one more.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.sha256_kernels import (
    SECOND,
    STATE,
    WORK_BYTES,
    begin,
    compress_two,
    double_two,
    double_two_pairs,
    finish,
)
from geldspur.bitcoin.words import address_of, copy_bytes, load_u64, store_u8, store_u64

QUEUE = 128
"""How many messages wait until they are hashed together."""
COPIED_BLOCKS = 16
"""Up to how many blocks a message is copied together with its padding; longer ones are hashed where they lie."""

# Each waiting message is up to three runs of blocks, (address, number of blocks) each. A copied one is only a third.
_PARTS = 3
_JOB = 16 * _PARTS
_PAIR = WORK_BYTES
_ENDS = _PAIR + 64
_JOBS = _ENDS + 8 * (COPIED_BLOCKS + 2)
_ORDER = _JOBS + _JOB * QUEUE
_OWN = _ORDER + 8 * QUEUE
QUEUE_BYTES = _OWN + 64 * COPIED_BLOCKS * QUEUE
_LEVEL = QUEUE_BYTES

OWN = _OWN
"""`free` of an empty queue: from where on `work` holds copies."""
ROOT = _LEVEL
"""Where `root_of` leaves the root."""


@njit(cache=True)
def _get(work, at):
    return np.int64(load_u64(work, at))


@njit(cache=True)
def _put(work, k, part, address, blocks):
    store_u64(work, _JOBS + _JOB * k + 16 * part, address)
    store_u64(work, _JOBS + _JOB * k + 16 * part + 8, blocks)


@njit(cache=True)
def _pad(work, start, rest, length):
    """End a message of `length` bytes whose last `rest` lie at `start` of `work`; returns the blocks from there on."""
    blocks = (rest + 9 + 63) >> 6
    at, end = start + rest, start + 64 * blocks
    while at < end - 8:
        store_u64(work, at, 0)
        at += 8
    store_u8(work, start + rest, 0x80)
    bits = np.uint64(length) << np.uint64(3)
    for k in range(8):
        store_u8(work, end - 1 - k, bits >> np.uint64(8 * k))
    return blocks


@njit(cache=True)
def queue_message(work, k, free, buf, at, length):
    """Let message `buf[at : at + length]` wait as number `k`. Returns from where on `work` is free then."""
    whole = (length >> 6) if length + 9 > 64 * COPIED_BLOCKS else 0
    rest = length - 64 * whole
    copy_bytes(work, free, buf, at + 64 * whole, rest)
    blocks = _pad(work, free, rest, length)
    _put(work, k, 0, 0, 0)
    _put(work, k, 1, address_of(buf, at, 64 * whole), whole)
    _put(work, k, 2, address_of(work, free, 64 * blocks), blocks)
    return free + 64 * blocks


@njit(cache=True)
def queue_stripped(work, k, free, buf, first, body, body_end, end):
    """Let a transaction without its marker, flag and witnesses wait as number `k`, as `queue_message` does.

    Its version stands at `first`, inputs and outputs in `body .. body_end`, its lock time in the 4 bytes before `end`.
    """
    length = body_end - body + 8
    copy_bytes(work, free, buf, first, 4)
    if length + 9 <= 64 * COPIED_BLOCKS:
        copy_bytes(work, free + 4, buf, body, length - 8)
        copy_bytes(work, free + length - 4, buf, end - 4, 4)
        blocks = _pad(work, free, length, length)
        _put(work, k, 0, 0, 0)
        _put(work, k, 1, 0, 0)
        _put(work, k, 2, address_of(work, free, 64 * blocks), blocks)
        return free + 64 * blocks
    # Behind its version the message lies in one piece until the lock time: only its ends are copied.
    copy_bytes(work, free + 4, buf, body, 60)
    _put(work, k, 0, address_of(work, free, 64), 1)
    free += 64
    whole = (length - 4) >> 6
    rest = length - 64 * whole
    _put(work, k, 1, address_of(buf, body + 60, 64 * (whole - 1)), whole - 1)
    copy_bytes(work, free, buf, body - 4 + 64 * whole, rest - 4)
    copy_bytes(work, free + rest - 4, buf, end - 4, 4)
    blocks = _pad(work, free, rest, length)
    _put(work, k, 2, address_of(work, free, 64 * blocks), blocks)
    return free + 64 * blocks


@njit(cache=True)
def _kind(work, k):
    """The blocks of a message that lies in one piece, 0 for one in several."""
    job = _JOBS + _JOB * k
    in_pieces = load_u64(work, job + 8) + load_u64(work, job + 24) > 0
    return 0 if in_pieces else _get(work, job + 40)


@njit(cache=True)
def _sort(work, count):
    """Write the numbers of the waiting messages in order of `_kind`; where each kind ends is written to _ENDS."""
    for at in range(_ENDS, _ENDS + 8 * (COPIED_BLOCKS + 2), 8):
        store_u64(work, at, 0)
    for k in range(count):
        place = _ENDS + 8 * _kind(work, k) + 8
        store_u64(work, place, _get(work, place) + 1)
    for at in range(_ENDS + 8, _ENDS + 8 * (COPIED_BLOCKS + 2), 8):
        store_u64(work, at, _get(work, at) + _get(work, at - 8))
    for k in range(count):
        place = _ENDS + 8 * _kind(work, k)
        store_u64(work, _ORDER + 8 * _get(work, place), k)
        store_u64(work, place, _get(work, place) + 1)


@njit(cache=True)
def hash_queue(engine, work, count, rows):
    """Hash the `count` waiting messages twice, to 32 bytes each from address `rows` on."""
    if count == 0:
        return
    _sort(work, count)
    left = _get(work, _ENDS)
    begin_at = left
    for kind in range(1, COPIED_BLOCKS + 1):
        end = _get(work, _ENDS + 8 * kind)
        for at in range(begin_at, end - 1, 2):
            k, m = _get(work, _ORDER + 8 * at), _get(work, _ORDER + 8 * at + 8)
            a, b = _get(work, _JOBS + _JOB * k + 32), _get(work, _JOBS + _JOB * m + 32)
            double_two(engine, work, a, b, kind, rows + 32 * k, rows + 32 * m)
        if (end - begin_at) & 1:
            store_u64(work, _ORDER + 8 * left, _get(work, _ORDER + 8 * end - 8))
            left += 1
        begin_at = end
    _hash_unequal(engine, work, left, rows)


@njit(cache=True)
def _advance(work, count, lane, k, part, upcoming, rows):
    """What a lane hashes next: (message, part, address, blocks, the next message that waits)."""
    state = STATE + 32 * lane
    while True:
        if k >= 0 and part == _PARTS:
            finish(work, state, rows + 32 * k)
        elif k >= 0:
            part += 1
            if part == _PARTS:
                second = address_of(work, SECOND + 64 * lane, 64)
                finish(work, state, second)
                begin(work, state)
                return k, part, second, 1, upcoming
            at = _JOBS + _JOB * k + 16 * part
            if load_u64(work, at + 8) > 0:
                return k, part, _get(work, at), _get(work, at + 8), upcoming
            continue
        if upcoming == count:
            return -1, 0, 0, 0, upcoming
        k, part = _get(work, _ORDER + 8 * upcoming), -1
        upcoming += 1
        begin(work, state)


@njit(cache=True)
def _hash_unequal(engine, work, count, rows):
    """Hash the first `count` messages of the order; a lane whose message ends goes on with the next one."""
    k, k_part, a, a_left, upcoming = _advance(work, count, 0, -1, 0, 0, rows)
    m, m_part, b, b_left, upcoming = _advance(work, count, 1, -1, 0, upcoming, rows)
    while k >= 0 or m >= 0:
        n = b_left if k < 0 else (a_left if m < 0 else min(a_left, b_left))
        compress_two(engine, work, a, b, n)
        a_left -= n
        b_left -= n
        if k >= 0:
            a += 64 * n
            if a_left == 0:
                k, k_part, a, a_left, upcoming = _advance(work, count, 0, k, k_part, upcoming, rows)
        if m >= 0:
            b += 64 * n
            if b_left == 0:
                m, m_part, b, b_left, upcoming = _advance(work, count, 1, m, m_part, upcoming, rows)


@njit(cache=True)
def _has_equal_pair(level, at, count):
    """Do two equal hashes stand side by side as a pair among the `count` at byte `at`?"""
    for pair in range(at, at + 32 * (count - 1), 64):
        if (
            load_u64(level, pair) == load_u64(level, pair + 32)
            and load_u64(level, pair + 8) == load_u64(level, pair + 40)
            and load_u64(level, pair + 16) == load_u64(level, pair + 48)
            and load_u64(level, pair + 24) == load_u64(level, pair + 56)
        ):
            return True
    return False


@njit(cache=True)
def _hash_level(engine, source, at, count, work):
    """Hash the `count` nodes at byte `at` of `source` to the next level, at _LEVEL; returns how many nodes it has."""
    nodes = (count + 1) // 2
    place, target = address_of(source, at, 32 * count), address_of(work, _LEVEL, 32 * nodes)
    last = place + 64 * (nodes - 1)
    if count % 2 == 1:
        copy_bytes(work, _PAIR, source, at + 32 * (count - 1), 32)
        copy_bytes(work, _PAIR + 32, source, at + 32 * (count - 1), 32)
        last = address_of(work, _PAIR, 64)
    for k in range(0, nodes - 2, 2):
        a, to = place + 64 * k, target + 32 * k
        double_two_pairs(engine, work, a, a + 64, to, to + 32)
    to = target + 32 * (nodes - 1)
    if nodes % 2 == 0:
        double_two_pairs(engine, work, place + 64 * (nodes - 2), last, to - 32, to)
    else:
        double_two_pairs(engine, work, last, 0, to, 0)
    return nodes


@njit(cache=True)
def root_of(engine, txids, first, count, work):
    """Merkle root of rows `first .. first + count` (>= 1) of `txids` (window, 32 bytes a row), to _LEVEL of `work`.

    Returns True where two equal hashes stand side by side as a pair on any level: such a block has a twin with the
    same root (CVE-2012-2459) and is refused by Core.
    """
    if count == 1:
        copy_bytes(work, ROOT, txids, 32 * first, 32)
        return False
    twin = _has_equal_pair(txids, 32 * first, count)
    n = _hash_level(engine, txids, 32 * first, count, work)
    while n > 1:
        twin = twin or _has_equal_pair(work, _LEVEL, n)
        n = _hash_level(engine, work, _LEVEL, n, work)
    return twin
