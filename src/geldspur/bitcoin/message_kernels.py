"""Double SHA-256 of many messages, and of the pairs of a Merkle tree, two side by side."""

import numpy as np
from numba import njit

from geldspur.bitcoin.sha256_kernels import address_of, begin, compress_two, finish
from geldspur.bitcoin.words import copy_bytes, load_u64, store_u64

QUEUE = 256
"""How many messages wait until they are hashed together."""
COPIED = 512
"""Bytes, padding included, up to which a message that isn't in one piece is copied together."""
QUEUE_BYTES = QUEUE * COPIED
"""Size of the `own` array (uint8): room for what of each waiting message can't be hashed where it lies."""

# A waiting message is up to three runs of 64-byte blocks: (address, number of blocks) each.
_PARTS = 3


@njit(cache=True)
def new_work():
    """Arrays for `hash_queue` and `check_root`: (jobs int64[QUEUE,6], blocks uint8[64 * QUEUE + 128], state)."""
    jobs = np.empty((QUEUE, 2 * _PARTS), np.int64)
    blocks = np.zeros(64 * QUEUE + 128, np.uint8)
    for k in range(QUEUE):
        blocks[64 * k + 32] = 0x80
        blocks[64 * k + 62] = 1  # 256 bits
    blocks[64 * QUEUE] = 0x80
    blocks[64 * QUEUE + 62] = 2  # 512 bits
    return jobs, blocks, np.empty(80, np.uint32)


@njit(cache=True)
def _pad(own, start, rest, length):
    """End a message of `length` bytes whose last `rest` lie at `start` in `own`; returns the blocks from there on."""
    blocks = (rest + 9 + 63) >> 6
    end = start + 64 * blocks
    own[start + rest] = 0x80
    for at in range(start + rest + 1, end - 8):
        own[at] = 0
    bits = np.uint64(length) << np.uint64(3)
    for k in range(8):
        own[end - 1 - k] = np.uint8((bits >> np.uint64(8 * k)) & np.uint64(0xFF))
    return blocks


@njit(cache=True)
def queue_message(jobs, k, own, free, buf, at, length):
    """Let message `buf[at : at + length]` wait as number `k`; `own` is free from `free` on. Returns what is free then."""
    whole = length >> 6
    rest = length & 63
    jobs[k, 0], jobs[k, 1] = 0, 0
    jobs[k, 2], jobs[k, 3] = address_of(buf, at, 64 * whole), whole
    copy_bytes(own, free, buf, at + 64 * whole, rest)
    blocks = _pad(own, free, rest, length)
    jobs[k, 4], jobs[k, 5] = address_of(own, free, 64 * blocks), blocks
    return free + 64 * blocks


@njit(cache=True)
def queue_stripped(jobs, k, own, free, buf, begin_at, body, body_end, end):
    """Let a transaction without its marker, flag and witnesses wait as number `k`; else like `queue_message`.

    Version at `begin_at`, inputs and outputs in `body .. body_end`, lock time in the 4 bytes before `end`.
    """
    length = body_end - body + 8
    copy_bytes(own, free, buf, begin_at, 4)
    if length + 9 <= COPIED:
        copy_bytes(own, free + 4, buf, body, length - 8)
        copy_bytes(own, free + length - 4, buf, end - 4, 4)
        blocks = _pad(own, free, length, length)
        jobs[k, 0], jobs[k, 1] = 0, 0
        jobs[k, 2], jobs[k, 3] = 0, 0
        jobs[k, 4], jobs[k, 5] = address_of(own, free, 64 * blocks), blocks
        return free + 64 * blocks
    # From the second block on, the message lies in one piece from 4 bytes before the body until its lock time.
    copy_bytes(own, free + 4, buf, body, 60)
    jobs[k, 0], jobs[k, 1] = address_of(own, free, 64), 1
    free += 64
    whole = (length - 4) >> 6
    rest = length - 64 * whole
    jobs[k, 2], jobs[k, 3] = address_of(buf, body + 60, 64 * (whole - 1)), whole - 1
    copy_bytes(own, free, buf, body - 4 + 64 * whole, rest - 4)
    copy_bytes(own, free + rest - 4, buf, end - 4, 4)
    blocks = _pad(own, free, rest, length)
    jobs[k, 4], jobs[k, 5] = address_of(own, free, 64 * blocks), blocks
    return free + 64 * blocks


@njit(cache=True)
def _advance(jobs, count, job, part, upcoming, state, lane, blocks):
    """Give a lane its next run of blocks: (job, part, address, number of blocks, next job that waits)."""
    if job >= 0:
        part += 1
        while part < _PARTS and jobs[job, 2 * part + 1] == 0:
            part += 1
        if part < _PARTS:
            return job, part, jobs[job, 2 * part], jobs[job, 2 * part + 1], upcoming
        finish(state, lane, address_of(blocks, 64 * job, 32))
    if upcoming == count:
        return -1, 0, 0, 0, upcoming
    begin(state, lane)
    part = 0
    while jobs[upcoming, 2 * part + 1] == 0:
        part += 1
    return upcoming, part, jobs[upcoming, 2 * part], jobs[upcoming, 2 * part + 1], upcoming + 1


@njit(cache=True)
def hash_queue(engine, jobs, count, blocks, state, out, first):
    """Hash the `count` waiting messages twice into rows `first ..` of `out` (uint8[T,32])."""
    upcoming = 0
    a_job, a_part, a, a_left, upcoming = _advance(jobs, count, -1, 0, upcoming, state, 0, blocks)
    b_job, b_part, b, b_left, upcoming = _advance(jobs, count, -1, 0, upcoming, state, 8, blocks)
    while a_job >= 0 or b_job >= 0:
        if a_job < 0:
            n = b_left
        elif b_job < 0:
            n = a_left
        else:
            n = min(a_left, b_left)
        compress_two(engine, state, a, b, n)
        if a_job >= 0:
            a += 64 * n
            a_left -= n
            if a_left == 0:
                a_job, a_part, a, a_left, upcoming = _advance(jobs, count, a_job, a_part, upcoming, state, 0, blocks)
        if b_job >= 0:
            b += 64 * n
            b_left -= n
            if b_left == 0:
                b_job, b_part, b, b_left, upcoming = _advance(jobs, count, b_job, b_part, upcoming, state, 8, blocks)
    digests = address_of(blocks, 0, 64 * count)
    rows = address_of(out, 32 * first, 32 * count)
    for k in range(0, count, 2):
        two = k + 1 < count
        begin(state, 0)
        begin(state, 8)
        compress_two(engine, state, digests + 64 * k, digests + 64 * k + 64 if two else 0, 1)
        finish(state, 0, rows + 32 * k)
        if two:
            finish(state, 8, rows + 32 * k + 32)


@njit(cache=True)
def _hash_pairs(engine, source, target, count, blocks, state):
    """Hash `count` pairs (64 bytes each) at address `source` twice, to `target` (32 bytes each), which may be `source`."""
    padding = address_of(blocks, 64 * QUEUE, 64)
    second = address_of(blocks, 0, 128)
    for k in range(0, count, 2):
        two = k + 1 < count
        begin(state, 0)
        begin(state, 8)
        compress_two(engine, state, source + 64 * k, source + 64 * k + 64 if two else 0, 1)
        compress_two(engine, state, padding, padding if two else 0, 1)
        finish(state, 0, second)
        finish(state, 8, second + 64)
        begin(state, 0)
        begin(state, 8)
        compress_two(engine, state, second, second + 64 if two else 0, 1)
        finish(state, 0, target + 32 * k)
        if two:
            finish(state, 8, target + 32 * k + 32)


@njit(cache=True)
def _has_equal_pair(level, at, count):
    """Do two equal hashes stand side by side as a pair among the `count` at byte `at`?"""
    for k in range(0, count - 1, 2):
        pair = at + 32 * k
        if (
            load_u64(level, pair) == load_u64(level, pair + 32)
            and load_u64(level, pair + 8) == load_u64(level, pair + 40)
            and load_u64(level, pair + 16) == load_u64(level, pair + 48)
            and load_u64(level, pair + 24) == load_u64(level, pair + 56)
        ):
            return True
    return False


@njit(cache=True)
def _hash_level(engine, source, at, target, count, blocks, state):
    """Hash the `count` nodes at byte `at` of `source` to the next level, at the start of `target`."""
    pairs = count // 2
    if pairs > 0:
        to = address_of(target, 0, 32 * pairs)
        _hash_pairs(engine, address_of(source, at, 64 * pairs), to, pairs, blocks, state)
    if count % 2 == 1:
        last = 64 * QUEUE + 64
        copy_bytes(blocks, last, source, at + 64 * pairs, 32)
        copy_bytes(blocks, last + 32, source, at + 64 * pairs, 32)
        to = address_of(target, 32 * pairs, 32)
        _hash_pairs(engine, address_of(blocks, last, 64), to, 1, blocks, state)
    return pairs + count % 2


@njit(cache=True)
def root_of(engine, txids, first, count, root, level, blocks, state):
    """Merkle root of `txids[first : first + count]` (uint8[T,32], count >= 1) into `root` (uint8[>= 32]).

    `level` uint8[>= 16 * (count + 1)] is scratch. Returns True where two equal hashes stand side by side as a pair on
    any level: such a block has a twin with the same root (CVE-2012-2459) and is refused by Core.
    """
    if count == 1:
        copy_bytes(root, 0, txids, 32 * first, 32)
        return False
    twin = _has_equal_pair(txids, 32 * first, count)
    n = _hash_level(engine, txids, 32 * first, level, count, blocks, state)
    while n > 1:
        twin = twin or _has_equal_pair(level, 0, n)
        n = _hash_level(engine, level, 0, level, n, blocks, state)
    copy_bytes(root, 0, level, 0, 32)
    return twin
