"""Double SHA-256 of many messages, two side by side.

Messages wait in a queue until there are enough of them to pair those of equal length: such a pair goes through the
processor's registers from its first block to its last hash. All memory is a part of one window, `work`, that the
caller allocates: QUEUE_BYTES bytes.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.sha256_kernels import (
    SECOND,
    STATE,
    WORK_BYTES,
    begin,
    compress_two,
    double_four,
    double_two,
    finish,
    store_big_u32,
)
from geldspur.bitcoin.words import address_of, copy_bytes, load_u64, store_u8, store_u64

QUEUE = 256
"""How many messages wait until they are hashed together."""
COPIED_BLOCKS = 16
"""Up to how many blocks a message is copied together with its padding; longer ones are hashed where they lie."""

# Each waiting message is up to three runs of blocks, (address, number of blocks) each. A copied one is only a third.
_PARTS = 3
_JOB = 16 * _PARTS
_ENDS = WORK_BYTES + 128  # behind what the Merkle kernels use
_JOBS = _ENDS + 8 * (COPIED_BLOCKS + 2)
_ORDER = _JOBS + _JOB * QUEUE
_OWN = _ORDER + 8 * QUEUE
QUEUE_BYTES = _OWN + 64 * COPIED_BLOCKS * QUEUE + 64

OWN = _OWN
"""`free` of an empty queue: from where on `work` holds copies."""


@njit(cache=True)
def _get(work, at):
    return np.int64(load_u64(work, at))


@njit(cache=True)
def _put(work, k, part, address, blocks):
    store_u64(work, _JOBS + _JOB * k + 16 * part, address)
    store_u64(work, _JOBS + _JOB * k + 16 * part + 8, blocks)


@njit(cache=True)
def _pad(work, start, rest, length):
    """End a message of `length` bytes whose last `rest` lie at `start` of `work`; returns the blocks from there on.

    Up to 64 bytes behind the message are cleared, the next message's room or the slack behind the last one included:
    to clear as many as needed would be a loop whose end is mispredicted.
    """
    blocks = (rest + 9 + 63) >> 6
    at, end = start + rest, start + 64 * blocks
    for k in range(0, 64, 8):
        store_u64(work, at + k, 0)
    store_u8(work, at, 0x80)
    store_big_u32(address_of(work, end - 8, 4), length >> 29)
    store_big_u32(address_of(work, end - 4, 4), length << 3)
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
def _ordered(work, at):
    """Which message comes at this place of the order."""
    return _get(work, _ORDER + 8 * at)


@njit(cache=True)
def _copied(work, k):
    """Where the only run of blocks of a message lies that was copied whole."""
    return _get(work, _JOBS + _JOB * k + 32)


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
        at = begin_at
        while at + 4 <= end:
            k, m, p, q = _ordered(work, at), _ordered(work, at + 1), _ordered(work, at + 2), _ordered(work, at + 3)
            double_four(
                engine, work, _copied(work, k), _copied(work, m), _copied(work, p), _copied(work, q), kind,
                rows + 32 * k, rows + 32 * m, rows + 32 * p, rows + 32 * q,
            )  # fmt: skip
            at += 4
        if at + 2 <= end:
            k, m = _ordered(work, at), _ordered(work, at + 1)
            double_two(engine, work, _copied(work, k), _copied(work, m), kind, rows + 32 * k, rows + 32 * m)
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
