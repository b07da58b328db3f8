"""Kernels of the near search: tables of 16-bit segments, tags scanned 32 at a time, candidates verified in full."""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from geldspur.bitcoin.words import load_u32, prefetch, window_of

SEGMENTS = 16
BUCKETS = 1 << 16
LANES = 32  # tags compared at once, one cache line; arrays of tags are this much longer than what they hold
ID_BYTES = 3
_PENDING = 1024  # candidates that wait for verification, so that their cache misses overlap


@intrinsic
def _count_bits(typingctx, word):
    def codegen(context, builder, signature, args):
        return builder.ctpop(args[0])

    return types.uint64(types.uint64), codegen


@intrinsic
def _trailing_zeros(typingctx, word):
    def codegen(context, builder, signature, args):
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@intrinsic
def _close_tags(typingctx, window, at, tag, limit):
    """Bit k of the answer: do the 16-bit tag at byte `at` + 2k and `tag` differ in at most `limit` bits?

    One vector operation of LLVM on any machine: with AVX2 or NEON some ten instructions for the 32 tags.
    """

    def codegen(context, builder, signature, args):
        vector, i32, i16 = ir.VectorType(ir.IntType(16), LANES), ir.IntType(32), ir.IntType(16)

        def splat(value):
            one = builder.insert_element(ir.Constant(vector, ir.Undefined), builder.trunc(value, i16), i32(0))
            nowhere = ir.Constant(ir.VectorType(i32, LANES), [0] * LANES)
            return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), nowhere)

        pointer = builder.inttoptr(builder.add(builder.extract_value(args[0], 0), args[1]), vector.as_pointer())
        differ = builder.xor(builder.load(pointer, align=2), splat(args[2]))
        kind = ir.FunctionType(vector, [vector])
        count = cgutils.get_or_insert_function(builder.module, kind, f"llvm.ctpop.v{LANES}i16")
        close = builder.icmp_unsigned("<=", builder.call(count, [differ]), splat(args[3]))
        return builder.zext(builder.bitcast(close, ir.IntType(LANES)), ir.IntType(64))

    return types.uint64(window, types.int64, types.int64, types.int64), codegen


@njit(cache=True, nogil=True)
def count_segments(segments, counts):
    """Add to `counts` (uint32[16, 65537]), one place on, how often each value stands in each column of `segments`.

    `segments` uint16[n, 16].
    """
    for row in range(segments.shape[0]):
        for k in range(SEGMENTS):
            counts[k, np.int64(segments[row, k]) + 1] += np.uint32(1)


@njit(cache=True, nogil=True)
def scatter_table(segments, k, fill, tags, ids):
    """Put each row into its bucket of table `k`, rows ascending.

    `fill` uint32[65536]: the next free place of each bucket, advanced here. `tags` uint16[>= n]: the row's following
    segment. `ids` uint8[>= 3n]: the row's number in three bytes, little-endian.
    """
    following = (k + 1) % SEGMENTS
    for row in range(segments.shape[0]):
        bucket = np.int64(segments[row, k])
        at = np.int64(fill[bucket])
        fill[bucket] = np.uint32(at + 1)
        tags[at] = segments[row, following]
        ids[3 * at] = np.uint8(row & 0xFF)
        ids[3 * at + 1] = np.uint8((row >> 8) & 0xFF)
        ids[3 * at + 2] = np.uint8((row >> 16) & 0xFF)


@njit(cache=True, nogil=True)
def weigh(offsets, quota, queries, weights):
    """How many tags a search for each query would compare, into `weights` int64[q].

    `offsets` uint32[16, 65537], `queries` uint16[q, 16].
    """
    for q in range(queries.shape[0]):
        weights[q] = 0
        for k in range(SEGMENTS):
            value = np.int64(queries[q, k])
            for flip in range(_probes(quota[k])):
                bucket = _flipped(value, flip)
                weights[q] += np.int64(offsets[k, bucket + 1]) - np.int64(offsets[k, bucket])


@njit(cache=True, nogil=True, inline="always")
def _probes(quota):
    return 0 if quota == 0 else (1 if quota == 1 else 1 + SEGMENTS)


@njit(cache=True, nogil=True, inline="always")
def _flipped(value, flip):
    return value if flip == 0 else value ^ (np.int64(1) << (flip - 1))


@njit(cache=True, nogil=True, inline="always")
def _distance(words, row, queries, q):
    """Hamming distance of two rows of uint64[n, 4]."""
    total: np.uint64 = _count_bits(words[row, 0] ^ queries[q, 0]) + _count_bits(words[row, 1] ^ queries[q, 1])
    return total + _count_bits(words[row, 2] ^ queries[q, 2]) + _count_bits(words[row, 3] ^ queries[q, 3])


@njit(cache=True, nogil=True)
def _met_before(words, row, queries, q, k, quota):
    """Does a table before `k` lead from this query to this row as well?"""
    apart = np.int64(_count_bits((words[row, 0] ^ queries[q, 0]) & np.uint64(0xFFFF)))
    for j in range(k):
        following = j + 1
        differ = words[row, following >> 2] ^ queries[q, following >> 2]
        then = np.int64(_count_bits((differ >> np.uint64(16 * (following & 3))) & np.uint64(0xFFFF)))
        if apart < quota[j] and apart + then < quota[j] + quota[following]:
            return True
        apart = then
    return False


@njit(cache=True, nogil=True)
def search_table(
    words, offsets, tags, ids, first, k, quota, radius, queries, segments, order,
    out_query, out_row, out_distance, found, stop,
):  # fmt: skip
    """Find through table `k` what no table before it finds. Returns `found` plus the number of matches.

    Shapes: `words` uint64[n, 4]; `offsets` uint32[65537]; `tags` uint16[n + 32]; `ids` uint8[3n + 1]; `quota`
    int64[16], the sum `radius` + 1; `queries` uint64[q, 4] and their `segments` uint16[q, 16]; `order`: which of them,
    in which order. Matches beyond the outputs' length are counted and not written; beyond `stop` the search is given
    up. `first` is added to each row.
    """
    held = np.int64(offsets[BUCKETS])
    if tags.size < held + LANES or ids.size <= 3 * held or words.shape[0] < held:
        raise IndexError("a table is shorter than its offsets say")
    tag_window, id_window = window_of(tags), window_of(ids)
    following = (k + 1) % SEGMENTS
    allowed = quota[k] + quota[following] - 1
    pending = np.empty(_PENDING + LANES, np.int64)
    for at in range(order.size):
        if found > stop:
            break
        q = np.int64(order[at])
        value, tag = np.int64(segments[q, k]), np.int64(segments[q, following])
        if at + 1 < order.size:
            ahead = np.int64(segments[np.int64(order[at + 1]), k])
            for flip in range(_probes(quota[k])):
                begin = np.int64(offsets[_flipped(ahead, flip)])
                prefetch(tags, begin)
                prefetch(tags, begin + LANES)
        waiting = 0
        for flip in range(_probes(quota[k])):
            bucket = _flipped(value, flip)
            limit = allowed if flip == 0 else allowed - 1
            place, end = np.int64(offsets[bucket]), np.int64(offsets[bucket + 1])
            while place < end:
                close: np.uint64 = _close_tags(tag_window, 2 * place, tag, limit)
                if end - place < LANES:
                    close &= (np.uint64(1) << np.uint64(end - place)) - np.uint64(1)
                while close != 0:
                    pending[waiting] = place + np.int64(_trailing_zeros(close))
                    prefetch(ids, 3 * pending[waiting])
                    waiting += 1
                    close &= close - np.uint64(1)
                place += LANES
                if waiting >= _PENDING:
                    found = _verify(
                        words, id_window, first, k, quota, radius, queries, q, pending, waiting,
                        out_query, out_row, out_distance, found,
                    )  # fmt: skip
                    waiting = 0
        found = _verify(
            words, id_window, first, k, quota, radius, queries, q, pending, waiting,
            out_query, out_row, out_distance, found,
        )  # fmt: skip
    return found


@njit(cache=True, nogil=True)
def _verify(
    words, id_window, first, k, quota, radius, queries, q, pending, waiting, out_query, out_row, out_distance, found
):  # fmt: skip
    for w in range(waiting):
        pending[w] = np.int64(load_u32(id_window, 3 * pending[w])) & 0xFFFFFF
        prefetch(words, 4 * pending[w])
    for w in range(waiting):
        row = pending[w]
        distance = np.int64(_distance(words, row, queries, q))
        if distance <= radius and not _met_before(words, row, queries, q, k, quota):
            if found < out_query.size:
                out_query[found], out_row[found], out_distance[found] = q, first + row, distance
            found += 1
    return found


@njit(cache=True, nogil=True)
def scan(words, first, radius, queries, order, out_query, out_row, out_distance, found, stop):
    """As `search_table`, by comparison with every row: for queries that tables would not speed up."""
    for at in range(order.size):
        if found > stop:
            break
        q = np.int64(order[at])
        for row in range(words.shape[0]):
            distance = np.int64(_distance(words, row, queries, q))
            if distance <= radius:
                if found < out_query.size:
                    out_query[found], out_row[found], out_distance[found] = q, first + row, distance
                found += 1
    return found


@njit(cache=True, nogil=True)
def thin(words, ends, radius, keep):
    """Of each group of hashes (uint64[n, 4], group g ends before row `ends[g]`) keep those that differ from all kept
    before them in the group by more than `radius` bits: True in `keep` bool[n]."""
    begin = np.int64(0)
    kept = np.empty(words.shape[0], np.int64)
    for group in range(ends.size):
        count = 0
        for row in range(begin, ends[group]):
            new = True
            for other in range(count):
                if _distance(words, kept[other], words, row) <= radius:
                    new = False
                    break
            keep[row] = new
            if new:
                kept[count] = row
                count += 1
        begin = ends[group]
