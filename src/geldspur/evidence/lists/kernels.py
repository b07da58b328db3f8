"""Kernels of look-ups in sorted digests, and of the merge that sorts them.

A digest is split into its first eight bytes, as a big-endian number (`prefix`, uint64[n]), and the rest (`tail`,
uint8[n * (width - 8)]). A search reads prefixes alone; tails are compared where a prefix is equal, which forged digests
can make frequent, so that tails are searched by halving too.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import prefetch

_AHEAD = 16


@njit(cache=True, nogil=True, inline="always")
def _prefix_at(data, at):
    value = np.uint64(0)
    for k in range(8):
        value = (value << np.uint64(8)) | np.uint64(data[at + k])
    return value


@njit(cache=True, nogil=True)
def _compare(a, a_at, b, b_at, count):
    """-1, 0 or 1 as the bytes of `a` are less than, equal to or greater than those of `b`."""
    for k in range(count):
        if a[a_at + k] != b[b_at + k]:
            return -1 if a[a_at + k] < b[b_at + k] else 1
    return 0


@njit(cache=True, nogil=True)
def _first(prefix, tail, tail_width, low, high, wanted, query, query_tail, above):
    """The first place in `low..high` whose digest is not less than (`above` 0), or greater than (1), the query's."""
    while low < high:
        middle = (low + high) >> 1
        p = prefix[middle]
        if p == wanted:
            order = _compare(tail, middle * tail_width, query, query_tail, tail_width)
            less = order < 0 or (above == 1 and order == 0)
        else:
            less = p < wanted
        if less:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def find_all(bits, table, prefix, tail, tail_width, query, n_queries, wanted, first, count):
    """For each query (uint8[n_queries * (8 + tail_width)]): where its equals begin, and how many there are.

    `table` uint32[2**bits + 1]: how many prefixes lie below each value of their highest bits; `prefix` uint64[n]
    sorted; `wanted` uint64[n_queries] scratch; `first`, `count` int64[n_queries] results. The table's values are
    clamped to the column: a damaged one can cost answers, which `verify` would find, never a read outside. Returns the
    sum of `count`.
    """
    n = prefix.size
    width = tail_width + 8
    shift = np.uint64(64 - bits)
    total = np.int64(0)
    for q in range(n_queries):
        wanted[q] = _prefix_at(query, q * width)
    for q in range(n_queries):
        if q + 2 * _AHEAD < n_queries:
            prefetch(table, np.int64(wanted[q + 2 * _AHEAD] >> shift))
        if q + _AHEAD < n_queries:
            prefetch(prefix, min(np.int64(table[np.int64(wanted[q + _AHEAD] >> shift)]), n - 1))
        bucket = np.int64(wanted[q] >> shift)
        low = min(np.int64(table[bucket]), n)
        high = min(np.int64(table[bucket + 1]), n)
        w = wanted[q]
        if high - low <= 16:
            while low < high and prefix[low] < w:
                low += 1
            end = low
            while end < high and prefix[end] == w:
                end += 1
            high = end
        start = low
        if low < high:
            start = _first(prefix, tail, tail_width, low, high, w, query, q * width + 8, 0)
            end = start
            if (
                start < high
                and prefix[start] == w
                and _compare(tail, start * tail_width, query, q * width + 8, tail_width) == 0
            ):
                end = _first(prefix, tail, tail_width, start, high, w, query, q * width + 8, 1)
            count[q] = end - start
        else:
            count[q] = 0
        first[q] = start
        total += count[q]
    return total


@njit(cache=True, nogil=True)
def spread(rows, first, count, n_queries, found_query, found_row):
    """Write out what `find_all` found: (query, row) int64[sum of count] each, `rows` uint32[n]."""
    at = 0
    for q in range(n_queries):
        for k in range(first[q], first[q] + count[q]):
            found_query[at] = q
            found_row[at] = rows[k]
            at += 1


@njit(cache=True, nogil=True)
def merge(prefix, tail, tail_width, rows, at, ends, out_prefix, out_tail, out_rows):
    """Merge sorted runs into the outputs until those are full or the runs are used up; returns how many were written.

    Run r goes from `at[r]` (advanced here) to `ends[r]` of the columns. Order: digest, then row.
    """
    written = 0
    room = out_rows.size
    while written < room:
        best = -1
        for r in range(at.size):
            if at[r] >= ends[r]:
                continue
            if best < 0:
                best = r
                continue
            a, b = at[r], at[best]
            if prefix[a] != prefix[b]:
                if prefix[a] < prefix[b]:
                    best = r
                continue
            order = _compare(tail, a * tail_width, tail, b * tail_width, tail_width)
            if order < 0 or (order == 0 and rows[a] < rows[b]):
                best = r
        if best < 0:
            break
        source = at[best]
        out_prefix[written] = prefix[source]
        for k in range(tail_width):
            out_tail[written * tail_width + k] = tail[source * tail_width + k]
        out_rows[written] = rows[source]
        at[best] += 1
        written += 1
    return written


@njit(cache=True, nogil=True)
def first_disorder(prefix, tail, tail_width, rows):
    """The first place whose (digest, row) is not greater than that of the place before, else -1."""
    for k in range(1, prefix.size):
        if prefix[k] > prefix[k - 1]:
            continue
        if prefix[k] < prefix[k - 1]:
            return k
        order = _compare(tail, (k - 1) * tail_width, tail, k * tail_width, tail_width)
        if order > 0 or (order == 0 and rows[k - 1] >= rows[k]):
            return k
    return -1
