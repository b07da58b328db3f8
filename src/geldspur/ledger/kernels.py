"""Kernels that join inputs to the outputs they spend, and outputs to the scripts they pay.

Hash tables use open addressing with linear probing over int64 slots that hold row + 1 (0 is free). Equal
hashes are never taken for equal keys: each hit is compared on all of its bytes, because equal prefixes of
txids can be made on purpose.
"""

import numpy as np
from numba import njit

NO_LINK = np.iinfo(np.uint64).max
"""`in_prevout` of a coinbase, `out_spender` of an unspent output."""
NO_SCRIPT = np.iinfo(np.uint32).max
"""`out_script` of an output that can't be spent (OP_RETURN, oversized)."""

_OP_RETURN = 9


@njit(cache=True)
def _txid_slot(txid, row, mask):
    h = np.uint64(0)
    for b in range(8):
        h |= np.uint64(txid[row, b]) << np.uint64(8 * b)
    return np.int64((h * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(11)) & mask


@njit(cache=True)
def insert_txids(table, txid, first, count):
    """Enter rows `first .. first+count` of `txid` (uint8[T,32]); a later row replaces an equal earlier one.

    BIP30's duplicates: the later coinbase overwrites the earlier one, whose outputs can never be spent.
    `table` int64, a power of two in size with room to spare.
    """
    mask = table.size - 1
    for row in range(first, first + count):
        slot = _txid_slot(txid, row, mask)
        while table[slot] != 0:
            if _same(txid, table[slot] - 1, txid, row):
                break
            slot = (slot + 1) & mask
        table[slot] = row + 1


@njit(cache=True)
def _same(a, i, b, j):
    for k in range(32):
        if a[i, k] != b[j, k]:
            return False
    return True


@njit(cache=True)
def find_txid(table, txid, keys, row):
    """The row of `txid` that equals `keys[row]`, or -1."""
    mask = table.size - 1
    slot = _txid_slot(keys, row, mask)
    while table[slot] != 0:
        if _same(txid, table[slot] - 1, keys, row):
            return table[slot] - 1
        slot = (slot + 1) & mask
    return -1


@njit(cache=True)
def link_inputs(table, txid, tx_in, tx_out, n_tx, first, count, in_txid, in_vout, in_base, prevout, out_spender):
    """Resolve the inputs of transactions `first .. first+count` and enter their txids, in ledger order.

    tx_in, tx_out int64[n_tx + 1] are global rows; `in_txid`, `in_vout` hold the batch's inputs, whose first
    global row is `in_base`. Writes `prevout` uint64 (batch) and `out_spender` uint64 (global). Returns
    (-1, 0) or (global input row, reason): 1 unknown transaction, 2 no such output, 3 spent before.
    """
    for t in range(first, first + count):
        for i in range(tx_in[t], tx_in[t + 1]):
            local = i - in_base
            null = in_vout[local] == 0xFFFFFFFF
            for b in range(32):
                if in_txid[local, b] != 0:
                    null = False
                    break
            if null:
                prevout[local] = NO_LINK
                continue
            row = find_txid(table, txid, in_txid, local)
            if row < 0:
                return i, 1
            o = tx_out[row] + np.int64(in_vout[local])
            if o >= tx_out[row + 1]:
                return i, 2
            if out_spender[o] != NO_LINK:
                return i, 3
            prevout[local] = np.uint64(o)
            out_spender[o] = np.uint64(i)
        insert_txids(table, txid, t, 1)
    return -1, 0


@njit(cache=True)
def _script_hash(buf, start, end, kind, salt):
    h = salt ^ (np.uint64(kind) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(end - start)
    at = start
    while at < end:
        word = np.uint64(0)
        for b in range(min(8, end - at)):
            word |= np.uint64(buf[at + b]) << np.uint64(8 * b)
        h = (h ^ word) * np.uint64(0xFF51AFD7ED558CCD)
        h ^= h >> np.uint64(32)
        at += 8
    return h


@njit(cache=True)
def assign_scripts(
    table, salt, out_type, out_start, out_end, buf, count,
    script_type, script_at, blob, n_scripts, blob_end, out_script,
):  # fmt: skip
    """Give each of the batch's `count` outputs the id of its script; new scripts get the next ids.

    `buf` holds the scripts' payloads; `blob` (uint8) with `script_at` (int64[S+1]) and `script_type`
    (uint8[S]) is the table of known ones and must have room for all of the batch's. Writes `out_script`
    uint32. Returns (number of scripts, end of the blob).
    """
    mask = table.size - 1
    for o in range(count):
        kind = out_type[o]
        if kind == _OP_RETURN:
            out_script[o] = NO_SCRIPT
            continue
        start, end = out_start[o], out_end[o]
        slot = np.int64(_script_hash(buf, start, end, kind, salt) >> np.uint64(11)) & mask
        while table[slot] != 0:
            s = table[slot] - 1
            at = script_at[s]
            if script_type[s] == kind and script_at[s + 1] - at == end - start:
                same = True
                for b in range(end - start):
                    if blob[at + b] != buf[start + b]:
                        same = False
                        break
                if same:
                    break
            slot = (slot + 1) & mask
        if table[slot] == 0:
            table[slot] = n_scripts + 1
            script_type[n_scripts] = kind
            for b in range(end - start):
                blob[blob_end + b] = buf[start + b]
            blob_end += end - start
            n_scripts += 1
            script_at[n_scripts] = blob_end
        out_script[o] = np.uint32(table[slot] - 1)
    return n_scripts, blob_end


@njit(cache=True)
def rehash_scripts(table, salt, script_type, script_at, blob, n_scripts):
    """Enter all known scripts into a new, larger table."""
    mask = table.size - 1
    for s in range(n_scripts):
        h = _script_hash(blob, script_at[s], script_at[s + 1], script_type[s], salt)
        slot = np.int64(h >> np.uint64(11)) & mask
        while table[slot] != 0:
            slot = (slot + 1) & mask
        table[slot] = s + 1


@njit(cache=True)
def outputs_by_script(out_script, n_scripts, start, outputs):
    """Group outputs by script: `start` int64[S+1], `outputs` uint64, ascending within each script."""
    for o in range(out_script.size):
        s = out_script[o]
        if s != NO_SCRIPT:
            start[s + 1] += 1
    for s in range(n_scripts):
        start[s + 1] += start[s]
    fill = start[:-1].copy()
    for o in range(out_script.size):
        s = out_script[o]
        if s != NO_SCRIPT:
            outputs[fill[s]] = o
            fill[s] += 1
