"""Kernels that join inputs to the outputs they spend, and outputs to the scripts they pay.

A slot's uint64 word holds a row + 1 in its low half (0 is free), in its high half a tag from the key's hash. A tag that
fits only proposes a row: each hit is compared on all bytes of its key, because equal prefixes can be made on purpose.
The hash is keyed with a secret, so that nobody can make keys that pile up in one place of the table; row numbers and
ids don't depend on it. Memory is fetched ahead: while one key is compared, the slots of later ones are on their way.

Transactions lie in buckets of eight slots, a cache line each, which one comparison looks at. A bucket is filled from
the front, and what finds no room goes into the next one: a key lies in its hash's bucket or behind it, up to the first
bucket that has a free slot. Scripts lie in single slots, probed one by one. Theirs have a second word that says where
the payload lies, its length and its type, so that a hit needs no look into three more columns.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.kernels import OUTPOINT, copy_payload
from geldspur.bitcoin.lanes import tag_of_8, zero_of_8
from geldspur.bitcoin.words import load_u32, load_u64, prefetch, same_bytes, store_u64, window_of
from geldspur.ledger.kernels import script_hash, txid_hash

UNLINKED = np.iinfo(np.uint64).max
"""A prevout that is not known (yet); of a coinbase's input it stays so."""
NO_SCRIPT = np.uint32(0xFFFFFFFF)
"""`out_script` of an output that can't be spent (OP_RETURN, oversized)."""
BUCKET = 64
"""Bytes of a bucket; a table of transactions begins at a multiple of them and holds nothing but whole ones."""

OK, UNKNOWN_TX, NO_SUCH_OUTPUT = 0, 1, 2

_OP_RETURN = 9
_OFTEN = 20
"""Bytes that most payloads have at least: whether they lie in two cache lines."""
_AHEAD = 32
"""By how many keys a stage of fetching is ahead of the one behind it."""
_RING = 128
"""Room for the hashes of keys on their way: a power of two, more than two stages hold."""
_LINK_AHEAD = 64
_GROUP = 48
"""Scripts whose memory is asked for before the first is compared: more would drive each other from the cache."""
_LOW = np.uint64(0xFFFFFFFF)
_32 = np.uint64(32)
_FORM_BITS, _FORM = np.uint64(24), np.uint64(0xFFFFFF)
"""A script's second word: its payload's place, and below that 16 bits of length and 8 of type."""


@njit(cache=True, nogil=True, inline="always")
def _bucket(h, table):
    """Where the bucket that a hash begins to look at lies in a table's window."""
    return BUCKET * np.int64(((h >> _32) * np.uint64(table[1] // BUCKET)) >> _32)


@njit(cache=True, nogil=True, inline="always")
def _behind(at, table):
    """The bucket behind another."""
    return at + BUCKET if at + BUCKET < table[1] else 0


@njit(cache=True, nogil=True, inline="always")
def _tag(h):
    """The tag: what doesn't decide the bucket. It is odd, as a free slot's never is."""
    return (h & _LOW) | np.uint64(1)


@njit(cache=True, nogil=True, inline="always")
def _row(word):
    """The row in a slot's word; -1 in a free one."""
    return np.int64(word & _LOW) - 1


# Transactions: buckets of eight uint64


@njit(cache=True, nogil=True)
def _tx_slot(table, h, ids, stride, base, key, at):
    """The slot of the transaction whose id lies at byte `at` of `key`: where it is, or the free one for it.

    Known ids lie in `ids`, one each `stride` bytes.
    """
    tag, bucket = _tag(h), _bucket(h, table)
    while True:
        k = tag_of_8(table, bucket, tag)
        while k < 8:
            word = load_u64(table, bucket + 8 * k)
            if word >> _32 == tag and same_bytes(ids, stride * (base + _row(word)), key, at, 32):
                return bucket + 8 * k
            k += 1
        k = zero_of_8(table, bucket)
        if k < 8:
            return bucket + 8 * k
        bucket = _behind(bucket, table)


@njit(cache=True, nogil=True)
def insert_txids(slots, key, txid, base, first, end, twin_new, twin_old):
    """Enter rows `first..end` of `txid` (uint8[T,32], all of the ledger) into the table of rows from `base` on.

    `txid` may be wider: records that begin with the ids. Where a txid is there already (BIP30's duplicate coinbases)
    the later row takes its place, and the pair is written to `twin_new`, `twin_old` (int64, room for `end - first`).
    Returns the number of such pairs.
    """
    table, ids, stride, k0, k1 = window_of(slots), window_of(txid), txid.shape[1], key[0], key[1]
    hashes = np.empty(_RING, np.uint64)
    n_twins = 0
    for row in range(first - _AHEAD, end):
        ahead = row + _AHEAD
        if ahead < end:
            h = txid_hash(k0, k1, ids, stride * ahead)
            hashes[ahead & (_RING - 1)] = h
            prefetch(table, _bucket(h, table))
        if row < first:
            continue
        h = hashes[row & (_RING - 1)]
        bucket = _bucket(h, table)
        slot = bucket + 8 * zero_of_8(table, bucket)
        if slot == bucket + BUCKET or tag_of_8(table, bucket, _tag(h)) < 8:
            slot = _tx_slot(table, h, ids, stride, base, ids, stride * row)
            word = load_u64(table, slot)
            if word != 0:
                twin_new[n_twins] = row
                twin_old[n_twins] = base + _row(word)
                n_twins += 1
        store_u64(table, slot, _tag(h) << _32 | np.uint64(row - base + 1))
    return n_twins


@njit(cache=True, nogil=True)
def is_null_outpoint(window, at):
    """Do the 36 bytes at `at` name no output, as a coinbase's input does?"""
    return (
        load_u32(window, at + 32) == 0xFFFFFFFF
        and load_u64(window, at) == 0
        and load_u64(window, at + 8) == 0
        and load_u64(window, at + 16) == 0
        and load_u64(window, at + 24) == 0
    )


@njit(cache=True, nogil=True)
def find_prevout_txs(slots, key, base, txid, outpoint, count, found):
    """For each of `count` inputs the row of the transaction that it spends from: `found` int64, -1 where none.

    `outpoint` uint8[count,36]: what each input spends. `txid` as in `insert_txids`.
    """
    table, ids, stride, data = window_of(slots), window_of(txid), txid.shape[1], window_of(outpoint)
    k0, k1 = key[0], key[1]
    hashes = np.empty(_RING, np.uint64)
    for i in range(-2 * _AHEAD, count):
        ahead = i + 2 * _AHEAD
        if ahead < count:
            h = txid_hash(k0, k1, data, OUTPOINT * ahead)
            hashes[ahead & (_RING - 1)] = h
            prefetch(table, _bucket(h, table))
        ahead = i + _AHEAD
        if 0 <= ahead < count:
            h = hashes[ahead & (_RING - 1)]
            bucket = _bucket(h, table)
            k = tag_of_8(table, bucket, _tag(h))
            found[ahead] = base + _row(load_u64(table, bucket + 8 * k)) if k < 8 else -1
            prefetch(ids, stride * found[ahead])
        if i >= 0 and (found[i] < 0 or not same_bytes(ids, stride * found[i], data, OUTPOINT * i, 32)):
            word = load_u64(table, _tx_slot(table, hashes[i & (_RING - 1)], ids, stride, base, data, OUTPOINT * i))
            found[i] = base + _row(word) if word != 0 else -1


@njit(cache=True, nogil=True)
def link_inputs(found, outpoint, tx_in, first_tx, count_tx, tx_out, twin_new, twin_old, edge, end_edge, prevout):
    """Turn found transactions into output rows, in ledger order.

    Where a transaction is not known the input spends the next edge, `edge` up to `end_edge` (a period ledger's
    outputs from before it, in the order in which they are spent).

    `outpoint` uint8[I,36]; `tx_in` int64[count_tx + 1] is batch-local, `found` int64 a row a input (-1 unknown).
    `twin_new` int64, ascending, and `twin_old`: rows that took over an older row's txid; an input before the newer one
    still means the older. Writes `prevout`, uint32 or uint64 (the type's highest value for coinbases), and returns
    (OK, 0) or (fault, batch-local input row).
    """
    data = window_of(outpoint)
    for t in range(count_tx):
        row = first_tx + t
        for i in range(tx_in[t], tx_in[t + 1]):
            at = OUTPOINT * i
            if i + _LINK_AHEAD < found.size:
                prefetch(tx_out, found[i + _LINK_AHEAD])
            of = found[i]
            if of < 0 and is_null_outpoint(data, at):
                prevout[i] = UNLINKED
                continue
            while of >= row:
                newer, of = of, np.int64(-1)
                for k in range(twin_new.size):
                    if twin_new[k] == newer:
                        of = twin_old[k]
            if of < 0 and edge < end_edge:
                prevout[i] = np.uint64(edge)
                edge += 1
                continue
            if of < 0:
                return UNKNOWN_TX, i
            output = np.int64(tx_out[of]) + np.int64(load_u32(data, at + 32))
            if output >= np.int64(tx_out[of + 1]):
                return NO_SUCH_OUTPUT, i
            prevout[i] = np.uint64(output)
    return OK, 0


# Scripts: slots uint64[n, 2], flat


@njit(cache=True, nogil=True, inline="always")
def _pair(h, slots):
    """Index of the first word of the slot that a hash begins to look at; the tag is the hash's other half."""
    return 2 * np.int64(((h >> _32) * np.uint64(slots.size >> 1)) >> _32)


@njit(cache=True, nogil=True, inline="always")
def _next(at, slots):
    """The slot behind another."""
    return at + 2 if at + 2 < slots.size else 0


@njit(cache=True, nogil=True)
def assign_scripts(
    slots, key, out_type, out_at, out_length, out_payload, count, older, payload, payload_end, n_scripts,
    new_type, new_at, new_payload, new_output, out_script,
):  # fmt: skip
    """Give each of the batch's `count` outputs the id of its script; new scripts get the next ids.

    There are `n_scripts` known ones, whose payloads are `payload[:payload_end]`; new ones are written to `new_type`,
    `new_at` (int64, one more) and `new_payload` (with SLACK, as decoding asks for it), which have room for all of the
    batch's, and `new_output` (int64) says which output each comes with. `older` int64: ids that look-up runs of older
    ranges have, -1 where none (empty: there are no such runs). Writes `out_script` uint32 and returns the number of new
    scripts.
    """
    data, old, own = window_of(out_payload), window_of(payload), window_of(new_payload)
    k0, k1 = key[0], key[1]
    hashes, place = np.empty(_GROUP, np.uint64), np.empty(_GROUP, np.int64)
    new, end = 0, 0
    new_at[0] = 0
    for first in range(0, count, _GROUP):
        size = min(_GROUP, count - first)
        for k in range(size):
            o = first + k
            hashes[k] = 0
            if out_type[o] != _OP_RETURN:
                hashes[k] = script_hash(k0, k1, out_type[o], data, np.int64(out_at[o]), np.int64(out_length[o]))
            prefetch(slots, _pair(hashes[k], slots))
        for k in range(size):
            at = _pair(hashes[k], slots)
            while slots[at] != 0 and slots[at] >> _32 != hashes[k] & _LOW:
                at = _next(at, slots)
            place[k] = at
            there = np.int64(slots[at + 1] >> _FORM_BITS)
            prefetch(old, there)
            prefetch(old, there + _OFTEN - 1)
        for k in range(size):
            o = first + k
            kind = out_type[o]
            if kind == _OP_RETURN:
                out_script[o] = NO_SCRIPT
                continue
            start, length = np.int64(out_at[o]), np.int64(out_length[o])
            tag, form = hashes[k] & _LOW, np.uint64(length) << np.uint64(8) | np.uint64(kind)
            at = place[k]  # slots before it hold other scripts, and those of the group come behind it
            while slots[at] != 0:
                if slots[at] >> _32 == tag and slots[at + 1] & _FORM == form:
                    there = np.int64(slots[at + 1] >> _FORM_BITS)
                    if there < payload_end:
                        same = same_bytes(old, there, data, start, length)
                    else:
                        same = same_bytes(own, there - payload_end, data, start, length)
                    if same:
                        break
                at = _next(at, slots)
            if slots[at] != 0:
                out_script[o] = np.uint32((slots[at] & _LOW) - np.uint64(1))
                continue
            if older.size > 0 and older[o] >= 0:
                out_script[o] = np.uint32(older[o])
                continue
            slots[at] = (tag << _32) | np.uint64(n_scripts + new + 1)
            slots[at + 1] = np.uint64(payload_end + end) << _FORM_BITS | form
            out_script[o] = np.uint32(n_scripts + new)
            copy_payload(own, end, data, start, length)
            end += length
            new_type[new] = kind
            new_output[new] = o
            new += 1
            new_at[new] = end
    return new


@njit(cache=True, nogil=True)
def insert_scripts(slots, key, script_type, script_at, payload, first, end):
    """Enter the known scripts `first..end` into a new table."""
    data, k0, k1 = window_of(payload), key[0], key[1]
    hashes = np.empty(4096, np.uint64)
    for start in range(first, end, hashes.size):
        stop = min(start + hashes.size, end)
        for s in range(start, stop):
            at = np.int64(script_at[s])
            hashes[s - start] = script_hash(k0, k1, script_type[s], data, at, np.int64(script_at[s + 1]) - at)
            prefetch(slots, _pair(hashes[s - start], slots))
        for s in range(start, stop):
            at = _pair(hashes[s - start], slots)
            while slots[at] != 0:
                at = _next(at, slots)
            length = np.uint64(script_at[s + 1]) - np.uint64(script_at[s])
            form = length << np.uint64(8) | np.uint64(script_type[s])
            slots[at] = ((hashes[s - start] & _LOW) << _32) | np.uint64(s + 1)
            slots[at + 1] = np.uint64(script_at[s]) << _FORM_BITS | form


@njit(cache=True, nogil=True)
def sum_links(spender, rows_a_part, n_inputs, gone, a, b, sums):
    """`ledger.parts.sums_of_spenders`: `sums` uint64, one a part of `rows_a_part` rows; `a`, `b` its factors."""
    for part in range(sums.size):
        total = np.uint64(0)
        for row in range(part * rows_a_part, min((part + 1) * rows_a_part, spender.size)):
            of = np.uint64(spender[row])
            if of < n_inputs or of == gone:
                h = (np.uint64(row) * a ^ of) * b
                total += h ^ (h >> np.uint64(33))
        sums[part] = total
