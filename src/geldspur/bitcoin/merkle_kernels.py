"""Merkle roots of many blocks, two pairs of hashes side by side.

All blocks climb together, level by level, so that small blocks fill the gaps of each other.
"""

from numba import njit

from geldspur.bitcoin.message_kernels import QUEUE_BYTES
from geldspur.bitcoin.sha256_kernels import WORK_BYTES, double_two_pairs
from geldspur.bitcoin.words import address_of, copy_bytes, load_u64

ROOTS = QUEUE_BYTES
"""Where in `work` the roots begin, 32 bytes a block."""
_PAIR = WORK_BYTES


def work_bytes(n_tx: int, n_blocks: int) -> int:
    """How many bytes `work` must have for so many transactions in so many blocks."""
    # A block of three has the most nodes above it: two thirds of its number, then two thirds of these.
    return ROOTS + 32 * n_blocks + 36 * n_tx + 128


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
def _climb(engine, source, at, count, work, target, waiting, to_waiting, spare):
    """Hash the `count` nodes at byte `at` of `source` to the next level, from byte `target` of `work` on.

    `waiting` is the address of a pair that waits for another one to be hashed beside it (0: none), `to_waiting` where
    its hash goes; returns the same two of the pair that waits then. `spare` is the one of two places, 0 or 1, that a
    last hash may be doubled in.
    """
    nodes = (count + 1) >> 1
    pair, to = address_of(source, at, 32 * count), address_of(work, target, 32 * nodes)
    whole = count >> 1
    done = 0
    if waiting != 0 and whole > 0:
        double_two_pairs(engine, work, waiting, pair, to_waiting, to)
        waiting, done = 0, 1
    while done + 1 < whole:
        a, to_a = pair + 64 * done, to + 32 * done
        double_two_pairs(engine, work, a, a + 64, to_a, to_a + 32)
        done += 2
    if done < whole:
        waiting, to_waiting = pair + 64 * done, to + 32 * done
    if count & 1:
        place = _PAIR + 64 * spare
        copy_bytes(work, place, source, at + 32 * (count - 1), 32)
        copy_bytes(work, place + 32, source, at + 32 * (count - 1), 32)
        last, to_last = address_of(work, place, 64), to + 32 * whole
        if waiting != 0:
            double_two_pairs(engine, work, waiting, last, to_waiting, to_last)
            return 0, 0
        return last, to_last
    return waiting, to_waiting


@njit(cache=True)
def roots_of(engine, txids, block_tx, blocks, work):
    """Merkle roots of the first `blocks` blocks, each of at least one transaction, to ROOTS of `work`.

    `txids` is a window of 32 bytes a row, `block_tx` int64[blocks + 1] says where the blocks' rows begin.

    Returns the number of the first block in which two equal hashes stand side by side as a pair on any level, else
    `blocks`: such a block has a twin with the same root (CVE-2012-2459) and is refused by Core.
    """
    first_twin = blocks
    near = ROOTS + 32 * blocks
    far = near + 32 * (2 * (block_tx[blocks] - block_tx[0]) // 3 + 1)
    for b in range(blocks):
        if block_tx[b + 1] - block_tx[b] == 1:
            copy_bytes(work, ROOTS + 32 * b, txids, 32 * block_tx[b], 32)
    level, busy = 0, True
    while busy:
        busy = False
        source = txids if level == 0 else work
        read, write = far, near
        waiting, to_waiting, odd = 0, 0, 0
        for b in range(blocks):
            count = (block_tx[b + 1] - block_tx[b] + (1 << level) - 1) >> level
            if count < 2:
                continue
            busy = True
            at = 32 * block_tx[b] if level == 0 else read
            read += 32 * count
            if b < first_twin and _has_equal_pair(source, at, count):
                first_twin = b
            target = ROOTS + 32 * b if count == 2 else write
            if count > 2:
                write += 32 * ((count + 1) >> 1)
            waiting, to_waiting = _climb(engine, source, at, count, work, target, waiting, to_waiting, odd)
            odd ^= count & 1
        if waiting != 0:
            double_two_pairs(engine, work, waiting, 0, to_waiting, 0)
        near, far = far, near
        level += 1
    return first_twin
