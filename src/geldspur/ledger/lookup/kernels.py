"""Kernels that sort rows into look-up runs and scatter what points backwards.

Every kernel works on a range of its target (buckets, scripts, outputs) and takes a piece of its input at a time,
so that memory is bounded whatever the size of the ledger.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import prefetch, same_bytes, window_of
from geldspur.ledger.kernels import script_hash, txid_hash
from geldspur.ledger.parts import LOOK_UP_PART, MARKED

_AHEAD = 24
_PAGE_BITS = LOOK_UP_PART.bit_length() - 1


@njit(cache=True, nogil=True)
def hash_txids(key, txid, first, end, hashes):
    """Keyed hashes of rows `first..end` of `txid` (uint8[T,32]) into `hashes` uint64."""
    ids, k0, k1 = window_of(txid), key[0], key[1]
    for row in range(first, end):
        hashes[row - first] = txid_hash(k0, k1, ids, 32 * row)


@njit(cache=True, nogil=True)
def hash_payloads(key, script_type, script_at, payload, first, end, hashes):
    """Keyed hashes of scripts `first..end` into `hashes` uint64."""
    data, k0, k1 = window_of(payload), key[0], key[1]
    for s in range(first, end):
        at = np.int64(script_at[s])
        hashes[s - first] = script_hash(k0, k1, script_type[s], data, at, np.int64(script_at[s + 1]) - at)


# An index: rows in order of their key's hash, in buckets by its highest bits, beside the next 16 bits.


@njit(cache=True, nogil=True)
def count_buckets(hashes, count, bits, fill):
    """Add to `fill` (uint32[2**bits + 1]), one place on, how many hashes fall into each bucket."""
    shift = np.uint64(64 - bits)
    for k in range(count):
        ahead = min(k + _AHEAD, count - 1)
        prefetch(fill, np.int64(hashes[ahead] >> shift) + 1)
        fill[np.int64(hashes[k] >> shift) + 1] += np.uint32(1)


@njit(cache=True, nogil=True)
def scatter_rows(hashes, count, first_row, bits, low, high, fill, base, order, tag):
    """Put rows `first_row ..` whose bucket lies in `low..high` at the next free place of their bucket.

    `fill` uint32: next free place of each bucket in the whole index, advanced here; `order` uint32 and `tag`
    uint16 hold the places from `base` on.
    """
    shift, tag_shift = np.uint64(64 - bits), np.uint64(48 - bits)
    for k in range(count):
        ahead = min(k + _AHEAD, count - 1)
        prefetch(fill, np.int64(hashes[ahead] >> shift))
        bucket = np.int64(hashes[k] >> shift)
        if low <= bucket < high:
            at = np.int64(fill[bucket]) - base
            fill[bucket] += np.uint32(1)
            order[at] = np.uint32(first_row + k)
            tag[at] = np.uint16((hashes[k] >> tag_shift) & np.uint64(0xFFFF))


@njit(cache=True, nogil=True)
def sort_buckets(bucket, low, high, base, order, tag):
    """Order each bucket by (tag, row); rows arrive ascending, so that a stable sort by tag does it."""
    for b in range(low, high):
        start, end = np.int64(bucket[b]) - base, np.int64(bucket[b + 1]) - base
        if end - start > 64:
            by_tag = np.argsort(tag[start:end], kind="mergesort")
            order[start:end] = order[start:end][by_tag]
            tag[start:end] = tag[start:end][by_tag]
            continue
        for k in range(start + 1, end):
            t, r = tag[k], order[k]
            j = k - 1
            while j >= start and tag[j] > t:
                tag[j + 1], order[j + 1] = tag[j], order[j]
                j -= 1
            tag[j + 1], order[j + 1] = t, r


# The same in two steps, whose memory fits the caches: rows are dealt out by the highest bits of their hash into parts,
# beside their hashes, and each part is sorted by itself.


@njit(cache=True, nogil=True)
def deal_rows(hashes, count, first_row, bits, low, high, fill, keys, rows):
    """Append those of the rows `first_row ..` that belong to the parts `low..high` to their part.

    A row's part is the highest `bits` bits of its hash. `keys` uint64 and `rows` uint32 hold the parts' rows, `fill`
    int64[high - low] says where each part goes on.
    """
    shift = np.uint64(64 - bits)
    for k in range(count):
        part = np.int64(hashes[k] >> shift)
        if low <= part < high:
            at = fill[part - low]
            fill[part - low] = at + 1
            keys[at] = hashes[k]
            rows[at] = np.uint32(first_row + k)


@njit(cache=True, nogil=True)
def sort_parts(keys, rows, start, part_bits, low, high, bits, bucket, tag):
    """Order the rows of the parts `low..high` by (bucket, tag, row), in place; rows of a part arrive ascending.

    `start` int64: where each part begins in the whole index. Writes `bucket` uint32[2**bits + 1], from the first part's
    first bucket to the last one's end, and `tag` uint16 beside `rows`.
    """
    shift, tag_shift = np.uint64(64 - bits), np.uint64(48 - bits)
    each, base = 1 << (bits - part_bits), start[low]
    fill = np.empty(each, np.int64)
    for part in range(low, high):
        begin, end, first = start[part] - base, start[part + 1] - base, part * each
        fill[:] = 0
        for k in range(begin, end):
            fill[np.int64(keys[k] >> shift) - first] += 1
        at = begin
        for b in range(each):
            bucket[first + b] = at + base
            fill[b], at = at, at + fill[b]
        bucket[first + each] = at + base
        ordered = np.empty(end - begin, np.uint32)
        for k in range(begin, end):
            b = np.int64(keys[k] >> shift) - first
            at = fill[b]
            fill[b] = at + 1
            ordered[at - begin] = rows[k]
            tag[at] = np.uint16((keys[k] >> tag_shift) & np.uint64(0xFFFF))
        rows[begin:end] = ordered
        sort_buckets(bucket, first, first + each, base, rows, tag)


@njit(cache=True, nogil=True, inline="always")
def _candidates(h, bits, bucket, tag):
    """Where in an index the rows lie whose hash may be `h`: the first with its tag, and the bucket's end."""
    b = np.int64(h >> np.uint64(64 - bits))
    t = np.uint16((h >> np.uint64(48 - bits)) & np.uint64(0xFFFF))
    low, end = np.int64(bucket[b]), min(np.int64(bucket[b + 1]), np.int64(tag.size))
    high = end
    while low < high:
        middle = (low + high) // 2
        if tag[middle] < t:
            low = middle + 1
        else:
            high = middle
    return low, end, t


@njit(cache=True, nogil=True)
def find_txs_in_run(key, bits, bucket, order, tag, end_row, txid, wanted, stride, count, hashes, found):
    """For txids still without a transaction (`found` -1): the latest row of the run that has them.

    `wanted` uint8: `count` txids, one each `stride` bytes (an outpoint begins with its txid). `txid`
    uint8[T,32] of the whole ledger; rows from `end_row` on were rolled back and don't count.
    """
    ids, data, k0, k1 = window_of(txid), window_of(wanted), key[0], key[1]
    for i in range(count):
        hashes[i] = txid_hash(k0, k1, data, stride * i)
    shift = np.uint64(64 - bits)
    for i in range(count):
        if i + 2 * _AHEAD < count:
            prefetch(bucket, np.int64(hashes[i + 2 * _AHEAD] >> shift))
        if i + _AHEAD < count:
            following = np.int64(bucket[np.int64(hashes[i + _AHEAD] >> shift)])
            prefetch(tag, following)
            prefetch(order, following)
        if found[i] >= 0:
            continue
        k, end, t = _candidates(hashes[i], bits, bucket, tag)
        while k < end and tag[k] == t:
            row = np.int64(order[k])
            if row < end_row and row > found[i] and same_bytes(ids, 32 * row, data, stride * i, 32):
                found[i] = row
            k += 1


@njit(cache=True, nogil=True, inline="always")
def _mark(b, bucket, rows, seen_bucket, seen_order, seen_tag):
    """Mark the pages that bucket `b` lies in: of its two bounds, of its rows and of their tags."""
    seen_bucket[(4 * b) >> _PAGE_BITS] |= MARKED
    seen_bucket[(4 * b + 4) >> _PAGE_BITS] |= MARKED
    first, last = np.int64(bucket[b]), min(np.int64(bucket[b + 1]), rows) - 1
    if first <= last:
        for page in range((4 * first) >> _PAGE_BITS, ((4 * last) >> _PAGE_BITS) + 1):
            seen_order[page] |= MARKED
        for page in range((2 * first) >> _PAGE_BITS, ((2 * last) >> _PAGE_BITS) + 1):
            seen_tag[page] |= MARKED


@njit(cache=True, nogil=True)
def find_scripts_in_run(
    key, bits, bucket, order, tag, end_script, script_type, script_at, payload,
    out_type, out_at, out_length, out_payload, count, known, seen_bucket, seen_order, seen_tag,
):  # fmt: skip
    """For outputs whose script is not known yet (`known` -1): its id, if the run has it.

    Marks in `seen_bucket`, `seen_order`, `seen_tag` (uint8, one for a page of each) what the answers rest on.
    """
    data, old, k0, k1 = window_of(out_payload), window_of(payload), key[0], key[1]
    shift = np.uint64(64 - bits)
    hashes = np.zeros(count, np.uint64)
    for o in range(count):
        if known[o] < 0 and out_type[o] != 9:
            hashes[o] = script_hash(k0, k1, out_type[o], data, np.int64(out_at[o]), np.int64(out_length[o]))
    for o in range(count):
        if o + 2 * _AHEAD < count:
            prefetch(bucket, np.int64(hashes[o + 2 * _AHEAD] >> shift))
        if o + _AHEAD < count:
            following = np.int64(bucket[np.int64(hashes[o + _AHEAD] >> shift)])
            prefetch(tag, following)
            prefetch(order, following)
        if known[o] >= 0 or out_type[o] == 9:
            continue
        at, length = np.int64(out_at[o]), np.int64(out_length[o])
        _mark(np.int64(hashes[o] >> shift), bucket, tag.size, seen_bucket, seen_order, seen_tag)
        k, end, t = _candidates(hashes[o], bits, bucket, tag)
        while k < end and tag[k] == t:
            s = np.int64(order[k])
            if s < end_script and script_type[s] == out_type[o]:
                start = np.int64(script_at[s])
                inside = start + length <= payload.size and np.int64(script_at[s + 1]) - start == length
                if inside and same_bytes(old, start, data, at, length):
                    known[o] = s
                    break
            k += 1


# Outputs by script, and outputs by spender


@njit(cache=True, nogil=True)
def count_scripts(out_script, low, high, fill):
    """Add to `fill` (uint64[high - low + 1]), one place on, how many outputs pay each script of `low..high`."""
    n = out_script.size
    span = high - low
    for o in range(n):
        ahead = np.int64(out_script[min(o + _AHEAD, n - 1)]) - low
        if 0 <= ahead < span:
            prefetch(fill, ahead + 1)
        s = np.int64(out_script[o]) - low
        if 0 <= s < span:
            fill[s + 1] += 1


@njit(cache=True, nogil=True)
def scatter_outputs(out_script, first_output, low, high, fill, base, outputs):
    """Put outputs `first_output ..` at the next free place of their script, as `scatter_rows` does with rows."""
    n = out_script.size
    span = high - low
    for o in range(n):
        ahead = np.int64(out_script[min(o + _AHEAD, n - 1)]) - low
        if 0 <= ahead < span:
            prefetch(fill, ahead)
        s = np.int64(out_script[o]) - low
        if 0 <= s < span:
            outputs[np.int64(fill[s]) - base] = first_output + o
            fill[s] += 1


@njit(cache=True, nogil=True)
def scatter_spenders(prevout, first_input, low, high, spender, free):
    """Enter inputs `first_input ..` as spenders of the outputs `low..high` that they spend.

    `spender` holds those outputs' rows, `free` where nobody spends one. Returns the row of the first input that
    spends what another spent before it, else -1.
    """
    n = prevout.size
    span = high - low
    for i in range(n):
        ahead = np.int64(prevout[min(i + _AHEAD, n - 1)]) - low
        if 0 <= ahead < span:
            prefetch(spender, ahead)
        at = np.int64(prevout[i]) - low
        if 0 <= at < span:
            if spender[at] != free:
                return first_input + i
            spender[at] = first_input + i
    return -1
