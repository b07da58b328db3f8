"""Kernels that join inputs to the outputs they spend, and outputs to the scripts they pay.

The tables use open addressing with linear probing over uint64 slots: the low half is a row + 1 (0 is free), the
high half a tag from the key's hash. A tag that fits only proposes a row: each hit is compared on all bytes of its
key, because equal prefixes can be made on purpose. The hash is keyed with a secret, so that nobody can make
keys that pile up in one place of the table; row numbers and ids don't depend on it.

Memory is fetched ahead: while one group of keys is compared, the next group's slots are on their way.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import copy_bytes, load_u32, load_u64, prefetch, same_bytes, window_of
from geldspur.ledger.kernels import script_hash, txid_hash

UNLINKED = np.iinfo(np.uint64).max
"""A prevout that is not known (yet); of a coinbase's input it stays so."""
NO_SCRIPT = np.uint32(0xFFFFFFFF)
"""`out_script` of an output that can't be spent (OP_RETURN, oversized)."""

OK, UNKNOWN_TX, NO_SUCH_OUTPUT = 0, 1, 2

_OP_RETURN = 9
_AHEAD = 32
_GROUP = 128
_LOW = np.uint64(0xFFFFFFFF)


# Transactions


@njit(cache=True, nogil=True)
def insert_txids(table, shift, key, txid, base, first, end, twin_new, twin_old, hashes):
    """Enter rows `first..end` of `txid` (uint8[T,32], all of the ledger) into the table of rows from `base` on.

    Where a txid is there already (BIP30's duplicate coinbases) the later row takes its place, and the pair is
    written to `twin_new`, `twin_old` (int64, room for `end - first`). `hashes` uint64[end - first] is scratch.
    Returns the number of such pairs.
    """
    mask = table.size - 1
    ids, k0, k1 = window_of(txid), key[0], key[1]
    n_twins = 0
    for row in range(first, end):
        hashes[row - first] = txid_hash(k0, k1, ids, 32 * row)
    for row in range(first, end):
        if row + _AHEAD < end:
            prefetch(table, np.int64(hashes[row + _AHEAD - first] >> shift))
        h = hashes[row - first]
        tag = h & _LOW
        slot = np.int64(h >> shift)
        while table[slot] != 0:
            if table[slot] >> np.uint64(32) == tag:
                other = base + np.int64(table[slot] & _LOW) - 1
                if same_bytes(ids, 32 * other, ids, 32 * row, 32):
                    twin_new[n_twins] = row
                    twin_old[n_twins] = other
                    n_twins += 1
                    break
            slot = (slot + 1) & mask
        table[slot] = (tag << np.uint64(32)) | np.uint64(row - base + 1)
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
def find_prevout_txs(table, shift, key, base, txid, buf, in_at, count, hashes, found):
    """For each of `count` inputs the row of the transaction that it spends from: `found` int64, -1 where none.

    `in_at` uint32: where in `buf` each input's 36-byte outpoint lies. `hashes` uint64 is scratch. `txid` is
    that of the whole ledger.
    """
    mask = table.size - 1
    ids, data, k0, k1 = window_of(txid), window_of(buf), key[0], key[1]
    flat = txid.reshape(txid.size)
    for first in range(0, count, _GROUP):
        end = min(first + _GROUP, count)
        for i in range(first, end):
            hashes[i] = txid_hash(k0, k1, data, np.int64(in_at[i]))
            prefetch(table, np.int64(hashes[i] >> shift))
        for i in range(first, end):
            tag = hashes[i] & _LOW
            slot = np.int64(hashes[i] >> shift)
            found[i] = -1
            while table[slot] != 0:
                if table[slot] >> np.uint64(32) == tag:
                    found[i] = base + np.int64(table[slot] & _LOW) - 1
                    prefetch(flat, 32 * found[i])
                    break
                slot = (slot + 1) & mask
        for i in range(first, end):
            at = np.int64(in_at[i])
            if found[i] >= 0 and not same_bytes(ids, 32 * found[i], data, at, 32):
                # Another key with the same tag stood first: look at every candidate in full.
                tag = hashes[i] & _LOW
                slot = np.int64(hashes[i] >> shift)
                found[i] = -1
                while table[slot] != 0:
                    row = base + np.int64(table[slot] & _LOW) - 1
                    if table[slot] >> np.uint64(32) == tag and same_bytes(ids, 32 * row, data, at, 32):
                        found[i] = row
                        break
                    slot = (slot + 1) & mask


@njit(cache=True, nogil=True)
def link_inputs(found, buf, in_at, tx_in, first_tx, count_tx, tx_out, twin_new, twin_old, edge, end_edge, prevout):
    """Turn found transactions into output rows, in ledger order.

    Where a transaction is not known the input spends the next edge, `edge` up to `end_edge` (a period ledger's
    outputs from before it, in the order in which they are spent).

    `tx_in` int64[count_tx + 1] is batch-local, `found` int64 a row a input (-1 unknown). `twin_new` int64,
    ascending, and `twin_old`: rows that took over an older row's txid; an input before the newer one still
    means the older. Writes `prevout` uint64 (UNLINKED for coinbases) and returns (OK, 0) or
    (fault, batch-local input row).
    """
    data = window_of(buf)
    for t in range(count_tx):
        row = first_tx + t
        for i in range(tx_in[t], tx_in[t + 1]):
            at = np.int64(in_at[i])
            if i + _AHEAD < found.size:
                prefetch(tx_out, found[i + _AHEAD])
            if is_null_outpoint(data, at):
                prevout[i] = UNLINKED
                continue
            of = found[i]
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


# Scripts


@njit(cache=True, nogil=True, inline="always")
def _is_script(s, kind, script_type, script_at, known, data, at, length):
    start = np.int64(script_at[s])
    if script_type[s] != kind or np.int64(script_at[s + 1]) - start != length:
        return False
    return same_bytes(known, start, data, at, length)


@njit(cache=True, nogil=True)
def assign_scripts(
    table, shift, key, out_type, out_at, out_length, buf, count, older,
    script_type, script_at, payload, n_scripts, new_type, new_at, new_payload, out_script,
):  # fmt: skip
    """Give each of the batch's `count` outputs the id of its script; new scripts get the next ids.

    `script_type`, `script_at`, `payload` hold the `n_scripts` known ones; new ones are written to `new_type`,
    `new_at` (int64, one more) and `new_payload`, which have room for all of the batch's. `older` int64: ids that
    look-up runs of older ranges have, -1 where none (empty: there are no such runs). Writes `out_script` uint32
    and returns the number of new scripts.
    """
    mask = table.size - 1
    data, old, own = window_of(buf), window_of(payload), window_of(new_payload)
    k0, k1 = key[0], key[1]
    hashes = np.empty(_GROUP, np.uint64)
    hint = np.empty(_GROUP, np.int64)
    new = 0
    end = 0
    new_at[0] = 0
    for first in range(0, count, _GROUP):
        size = min(_GROUP, count - first)
        for k in range(size):
            o = first + k
            if out_type[o] != _OP_RETURN:
                hashes[k] = script_hash(k0, k1, out_type[o], data, np.int64(out_at[o]), np.int64(out_length[o]))
                prefetch(table, np.int64(hashes[k] >> shift))
        for k in range(size):
            hint[k] = -1
            if out_type[first + k] != _OP_RETURN:
                slot = table[np.int64(hashes[k] >> shift)]
                s = np.int64(slot & _LOW) - 1
                if slot >> np.uint64(32) == hashes[k] & _LOW and 0 <= s < n_scripts:
                    hint[k] = s
                    prefetch(script_at, s)
                    prefetch(script_type, s)
        for k in range(size):
            if hint[k] >= 0:
                prefetch(payload, np.int64(script_at[hint[k]]))
        for k in range(size):
            o = first + k
            kind = out_type[o]
            if kind == _OP_RETURN:
                out_script[o] = NO_SCRIPT
                continue
            at, length = np.int64(out_at[o]), np.int64(out_length[o])
            tag = hashes[k] & _LOW
            slot = np.int64(hashes[k] >> shift)
            found = np.int64(-1)
            while table[slot] != 0:
                if table[slot] >> np.uint64(32) == tag:
                    s = np.int64(table[slot] & _LOW) - 1
                    if s >= n_scripts:
                        same = _is_script(s - n_scripts, kind, new_type, new_at, own, data, at, length)
                    else:
                        same = _is_script(s, kind, script_type, script_at, old, data, at, length)
                    if same:
                        found = s
                        break
                slot = (slot + 1) & mask
            if found < 0 and older.size > 0:
                found = older[o]
            if found < 0:
                found = n_scripts + new
                new_type[new] = kind
                copy_bytes(own, end, data, at, length)
                end += length
                new += 1
                new_at[new] = end
                table[slot] = (tag << np.uint64(32)) | np.uint64(found + 1)
            out_script[o] = np.uint32(found)
    return new


@njit(cache=True, nogil=True)
def insert_scripts(table, shift, key, script_type, script_at, payload, first, end):
    """Enter the known scripts `first..end` into a new table."""
    mask = table.size - 1
    data, k0, k1 = window_of(payload), key[0], key[1]
    hashes = np.empty(4096, np.uint64)
    for start in range(first, end, hashes.size):
        stop = min(start + hashes.size, end)
        for s in range(start, stop):
            at = np.int64(script_at[s])
            h = script_hash(k0, k1, script_type[s], data, at, np.int64(script_at[s + 1]) - at)
            hashes[s - start] = h
            prefetch(table, np.int64(h >> shift))
        for s in range(start, stop):
            h = hashes[s - start]
            slot = np.int64(h >> shift)
            while table[slot] != 0:
                slot = (slot + 1) & mask
            table[slot] = ((h & _LOW) << np.uint64(32)) | np.uint64(s + 1)


@njit(cache=True, nogil=True)
def scripts_seen(ids, block_tx, tx_out, n_blocks, known, seen):
    """How many scripts there are after each block: ids are given in order, so the highest tells.

    `ids` uint32: the batch's outputs; `block_tx`, `tx_out` int64, batch-local; `seen` int64[n_blocks].
    """
    for b in range(n_blocks):
        for o in range(tx_out[block_tx[b]], tx_out[block_tx[b + 1]]):
            if ids[o] != NO_SCRIPT and np.int64(ids[o]) >= known:
                known = np.int64(ids[o]) + 1
        seen[b] = known
