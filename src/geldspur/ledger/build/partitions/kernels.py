"""Kernels that deal keys out to partitions, match each partition by itself, and replay the answers in order.

Partitions are told by the highest bits of the keyed hash. Records on disk: of a transaction 36 bytes (txid,
row), of an input 36 bytes (its outpoint), of an output its script: type, for types without a fixed length two
bytes of length, payload.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import (
    copy_bytes,
    load_u8,
    load_u32,
    prefetch,
    same_bytes,
    store_u8,
    store_u32,
    window_of,
)
from geldspur.ledger.build.kernels import NO_SCRIPT, NO_SUCH_OUTPUT, OK, UNKNOWN_TX, UNLINKED, is_null_outpoint
from geldspur.ledger.kernels import script_hash, txid_hash

NONE = 255
"""The partition of an input that spends nothing, of an output that nobody can spend."""
MISS = np.uint64(0xFFFFFFFF)
NEW = np.uint32(0x80000000)
"""Set in a local script id where the script is seen first."""
RECORD = 36

_AHEAD = 16
_STAGE, _RING = 12, 64
"""By how many scripts a stage of fetching is ahead of the next; room for the hashes of those on their way."""
_LOW = np.uint64(0xFFFFFFFF)
_OP_RETURN = 9


@njit(cache=True, nogil=True)
def fixed_length(kind):
    """Payload bytes of the script types that always have as many, else 0."""
    if kind in (2, 3, 4):
        return 20
    return 32 if kind in (5, 6) else 0


# Dealing out


@njit(cache=True, nogil=True)
def choose_txs(key, bits, txid, count, part, bytes_each):
    """The partition of each of the batch's transactions, and how many bytes each partition gets (int64[P])."""
    ids, k0, k1, shift = window_of(txid), key[0], key[1], np.uint64(64 - bits)
    for t in range(count):
        p = txid_hash(k0, k1, ids, 32 * t) >> shift
        part[t] = p
        bytes_each[np.int64(p)] += RECORD


@njit(cache=True, nogil=True)
def choose_inputs(key, bits, outpoint, count, part, bytes_each):
    """The partition of each input's outpoint; NONE for a coinbase's."""
    data, k0, k1, shift = window_of(outpoint), key[0], key[1], np.uint64(64 - bits)
    for i in range(count):
        if is_null_outpoint(data, RECORD * i):
            part[i] = NONE
        else:
            p = txid_hash(k0, k1, data, RECORD * i) >> shift
            part[i] = p
            bytes_each[np.int64(p)] += RECORD


@njit(cache=True, nogil=True)
def choose_outputs(key, bits, out_type, out_at, out_length, out_payload, count, part, bytes_each):
    """The partition of each output's script; NONE where it can't be spent."""
    data, k0, k1, shift = window_of(out_payload), key[0], key[1], np.uint64(64 - bits)
    for o in range(count):
        kind = out_type[o]
        if kind == _OP_RETURN:
            part[o] = NONE
            continue
        length = np.int64(out_length[o])
        p = script_hash(k0, k1, kind, data, np.int64(out_at[o]), length) >> shift
        part[o] = p
        bytes_each[np.int64(p)] += (1 if fixed_length(kind) else 3) + length


@njit(cache=True, nogil=True)
def deal_txs(txid, first_row, count, part, pool, fill):
    """Append the transactions' records to their partitions: `pool` uint8, `fill` int64[P] where each goes on."""
    ids, out = window_of(txid), window_of(pool)
    for t in range(count):
        at = fill[part[t]]
        copy_bytes(out, at, ids, 32 * t, 32)
        store_u32(out, at + 32, first_row + t)
        fill[part[t]] = at + RECORD


@njit(cache=True, nogil=True)
def deal_inputs(outpoint, count, part, pool, fill):
    """Append the inputs' outpoints to their partitions."""
    data, out = window_of(outpoint), window_of(pool)
    for i in range(count):
        p = part[i]
        if p != NONE:
            copy_bytes(out, fill[p], data, RECORD * i, RECORD)
            fill[p] += RECORD


@njit(cache=True, nogil=True)
def deal_outputs(out_type, out_at, out_length, out_payload, count, part, pool, fill, rows_each):
    """Append the outputs' scripts to their partitions and count them (`rows_each` int64[P])."""
    data, out = window_of(out_payload), window_of(pool)
    for o in range(count):
        p = part[o]
        if p == NONE:
            continue
        at, length = fill[p], np.int64(out_length[o])
        store_u8(out, at, out_type[o])
        at += 1
        if not fixed_length(out_type[o]):
            store_u8(out, at, length & 0xFF)
            store_u8(out, at + 1, length >> 8)
            at += 2
        copy_bytes(out, at, data, np.int64(out_at[o]), length)
        fill[p] = at + length
        rows_each[p] += 1


# Matching one partition


@njit(cache=True, nogil=True)
def answer_inputs(found, records, outpoint, count, answer):
    """For each outpoint of a piece: its transaction's row (MISS where there is none) and, above, vout.

    `found` int64: which of the partition's `records` (uint8[T,36]) it is, -1 where none.
    """
    data, wanted = window_of(records), window_of(outpoint)
    for i in range(count):
        row = MISS if found[i] < 0 else np.uint64(load_u32(data, RECORD * found[i] + 32))
        answer[i] = row | (np.uint64(load_u32(wanted, RECORD * i + 32)) << np.uint64(32))


@njit(cache=True, nogil=True)
def _script_of(data, at, size):
    """Where the payload of a script's record lies: (start, end); the end is beyond `size` where it isn't whole."""
    length = fixed_length(load_u8(data, at))
    if length:
        return at + 1, at + 1 + length
    if at + 3 > size:
        return at, size + 1
    return at + 3, at + 3 + (load_u8(data, at + 1) | load_u8(data, at + 2) << 8)


@njit(cache=True, nogil=True)
def number_scripts(table, key, records, size, blob, blob_at, n_known, known_at, local):
    """Number the scripts of a piece of a partition in order of first appearance.

    `records` uint8[size] begins with a whole record; `table` uint64 (power of two, room for all) and `blob` hold the
    partition's known scripts as records, script k at `known_at[k]`. Writes `local` uint32, with NEW set where the
    script is new. Returns (records done, bytes done, known scripts, end of the blob); it stops before a record that
    isn't whole, or before the table would be too full.

    Memory is fetched in three stages: a record's slot, the place of the script that the slot names, its bytes.
    """
    mask = table.size - 1
    data, known, k0, k1 = window_of(records), window_of(blob), key[0], key[1]
    hashes, ends = np.zeros(_RING, np.uint64), np.zeros(_RING, np.int64)
    at, done = 0, 0
    ahead, ahead_at = 0, 0
    while done < local.size:
        while ahead < done + 3 * _STAGE and ahead_at < size:
            start, end = _script_of(data, ahead_at, size)
            ends[ahead & (_RING - 1)] = end
            if end > size:
                ahead_at = size
                break
            h = script_hash(k0, k1, load_u8(data, ahead_at), data, start, end - start)
            hashes[ahead & (_RING - 1)] = h
            prefetch(table, np.int64(h) & mask)
            ahead_at = end
            ahead += 1
        if done == ahead:  # no record is left that is whole
            break
        soon = min(done + 2 * _STAGE, ahead - 1) & (_RING - 1)
        prefetch(known_at, max(0, np.int64(table[np.int64(hashes[soon]) & mask] & _LOW) - 1))
        soon = min(done + _STAGE, ahead - 1) & (_RING - 1)
        prefetch(known, known_at[max(0, np.int64(table[np.int64(hashes[soon]) & mask] & _LOW) - 1)])
        h, end = hashes[done & (_RING - 1)], ends[done & (_RING - 1)]
        if 3 * n_known > 2 * mask or blob_at + (end - at) > blob.size:
            break
        tag, slot = h >> np.uint64(32), np.int64(h) & mask
        found = np.int64(-1)
        while table[slot] != 0:
            if table[slot] >> np.uint64(32) == tag:
                k = np.int64(table[slot] & _LOW) - 1
                other = known_at[k]
                if known_at[k + 1] - other == end - at and same_bytes(known, other, data, at, end - at):
                    found = k
                    break
            slot = (slot + 1) & mask
        if found < 0:
            copy_bytes(known, blob_at, data, at, end - at)
            blob_at += end - at
            table[slot] = (tag << np.uint64(32)) | np.uint64(n_known + 1)
            local[done] = np.uint32(n_known) | NEW
            n_known += 1
            known_at[n_known] = blob_at
        else:
            local[done] = np.uint32(found)
        done += 1
        at = end
    return done, at, n_known, blob_at


@njit(cache=True, nogil=True)
def renumber(table, key, blob, n_known, known_at):
    """Enter a partition's known scripts into a larger table."""
    mask = table.size - 1
    data, k0, k1 = window_of(blob), key[0], key[1]
    hashes = np.empty(_RING, np.uint64)
    for k in range(-_STAGE, n_known):
        ahead = k + _STAGE
        if ahead < n_known:
            start, end = _script_of(data, known_at[ahead], known_at[ahead + 1])
            h = script_hash(k0, k1, load_u8(data, known_at[ahead]), data, start, end - start)
            hashes[ahead & (_RING - 1)] = h
            prefetch(table, np.int64(h) & mask)
        if k >= 0:
            h = hashes[k & (_RING - 1)]
            slot = np.int64(h) & mask
            while table[slot] != 0:
                slot = (slot + 1) & mask
            table[slot] = (h & ~_LOW) | np.uint64(k + 1)


# Replaying


@njit(cache=True, nogil=True)
def replay_inputs(part, answer, cursor, tx_in, first_tx, end_tx, tx_out, twin_new, twin_old, found, prevout):
    """Turn the answers for the inputs of transactions `first_tx..end_tx` into output rows, in ledger order.

    `part` uint8: those inputs' partitions; `answer` uint64 and `cursor` int64[P]: where each partition's answers go
    on. `twin_new`, `twin_old` as in `build.kernels.link_inputs`. Writes `prevout` uint64; `found` uint64 is scratch.
    Returns (OK, 0) or (fault, input within the range).
    """
    base = np.int64(tx_in[first_tx])
    count = np.int64(tx_in[end_tx]) - base
    for i in range(count):
        p = part[i]
        if p != NONE:
            found[i] = answer[cursor[p]]
            cursor[p] += 1
    for t in range(first_tx, end_tx):
        for i in range(np.int64(tx_in[t]) - base, np.int64(tx_in[t + 1]) - base):
            ahead = i + _AHEAD
            if ahead < count and part[ahead] != NONE:
                prefetch(tx_out, np.int64(found[ahead] & _LOW))
            if part[i] == NONE:
                prevout[i] = UNLINKED
                continue
            of = np.int64(found[i] & _LOW)
            if of == np.int64(MISS):
                return UNKNOWN_TX, i
            while of >= t:
                newer, of = of, np.int64(-1)
                for k in range(twin_new.size):
                    if twin_new[k] == newer:
                        of = twin_old[k]
            if of < 0:
                return UNKNOWN_TX, i
            output = np.int64(tx_out[of]) + np.int64(found[i] >> np.uint64(32))
            if output >= np.int64(tx_out[of + 1]):
                return NO_SUCH_OUTPUT, i
            prevout[i] = np.uint64(output)
    return OK, 0


@njit(cache=True, nogil=True)
def replay_outputs(
    part, count, local, cursor, blob, blob_cursor, ids, ids_base, next_id, out_script, new_type, new_at, new_payload
):
    """Give outputs their scripts' ids, in ledger order; the scripts seen first come with type and payload.

    `part` uint8[count]; `local` uint32 with `cursor` int64[P], `blob` uint8 with `blob_cursor` int64[P]: where each
    partition's local ids and new scripts go on; `ids` uint32 with `ids_base` int64[P]: global id of each local one.
    Stops before `new_payload` is full. Returns (outputs done, new scripts).
    """
    data, own = window_of(blob), window_of(new_payload)
    new, end = 0, 0
    new_at[0] = 0
    for o in range(count):
        p = part[o]
        if p == NONE:
            out_script[o] = NO_SCRIPT
            continue
        ahead = cursor[p] + 2
        if ahead < local.size:
            prefetch(ids, ids_base[p] + np.int64(local[ahead] & ~NEW))
        x = local[cursor[p]]
        if x & NEW:
            at = blob_cursor[p]
            kind = load_u8(data, at)
            length = fixed_length(kind)
            start = at + 1
            if not length:
                length = load_u8(data, at + 1) | load_u8(data, at + 2) << 8
                start = at + 3
            if end + length > new_payload.size:
                return o, new
            copy_bytes(own, end, data, start, length)
            end += length
            new_type[new] = kind
            blob_cursor[p] = start + length
            ids[ids_base[p] + np.int64(x & ~NEW)] = next_id + new
            out_script[o] = next_id + new
            new += 1
            new_at[new] = end
        else:
            out_script[o] = ids[ids_base[p] + np.int64(x)]
        cursor[p] += 1
    return count, new


@njit(cache=True, nogil=True)
def scripts_after_blocks(out_script, first_output, bounds, known, seen):
    """How many scripts there are after each block; `bounds` int64: the output row at which each block ends."""
    o = first_output
    for b in range(bounds.size):
        while o < bounds[b]:
            s = out_script[o]
            if s != NO_SCRIPT and np.int64(s) >= known:
                known = np.int64(s) + 1
            o += 1
        seen[b] = known
