"""Kernels that turn a block's bytes into columns. Every read is checked against the block's end first.

The wire format is Bitcoin Core's (src/primitives/transaction.h, src/serialize.h); what Core refuses to
deserialize is refused here: non-canonical lengths, unknown flags, superfluous witnesses, bytes left over.
"""

import numpy as np
from numba import njit

from geldspur.bitcoin import sha256
from geldspur.bitcoin.merkle_kernels import ROOTS, roots_of, work_bytes
from geldspur.bitcoin.message_kernels import (
    OWN,
    QUEUE,
    hash_queue,
    queue_message,
    queue_stripped,
)
from geldspur.bitcoin.script_kernels import payload_of, script_signs, signs_of
from geldspur.bitcoin.sha256_kernels import ready
from geldspur.bitcoin.words import (
    address_of,
    copy_bytes,
    load_u8,
    load_u32,
    load_u64,
    same_bytes,
    store_u8,
    store_u32,
    store_u64,
    window_of,
)
from geldspur.errors import UsageError

OK = 0
TRUNCATED = 1
NOT_CANONICAL = 2
BAD_FLAG = 3
EXTRA_BYTES = 4
NO_TRANSACTION = 5
EMPTY_WITNESS = 6
NO_INPUT = 7
BAD_ROOT = 8
TWIN = 9

FAULTS = {
    TRUNCATED: "the data end in the middle of a field",
    NOT_CANONICAL: "a length is not written in its shortest form",
    BAD_FLAG: "a transaction carries an unknown flag",
    EXTRA_BYTES: "bytes are left over behind the last transaction",
    NO_TRANSACTION: "the block holds no transaction",
    EMPTY_WITNESS: "a transaction is marked as carrying witnesses but carries none",
    NO_INPUT: "a transaction has no input",
    BAD_ROOT: "its transactions do not hash to its header",
    TWIN: "equal transactions stand side by side, so that another block has the same Merkle root",
}

MIN_TX = 51
"""The least bytes that a transaction takes: one input, no output."""
MIN_BLOCK = 81 + MIN_TX
MIN_INPUT = 41
MIN_OUTPUT = 9
OUTPOINT = 36
"""Bytes that name an output: its txid and its number."""
SLACK = 32
"""Bytes by which an array that payloads are copied to must be longer than they are."""


@njit(cache=True)
def _compact(buf, at, end):
    """Read a CompactSize at `at`: (value, next offset, fault)."""
    if at >= end:
        return 0, at, TRUNCATED
    first = load_u8(buf, at)
    if first < 253:
        return first, at + 1, OK
    width = 2 if first == 253 else (4 if first == 254 else 8)
    if end - at - 1 < width:
        return 0, at, TRUNCATED
    value = np.uint64(0)
    for i in range(width):
        value |= np.uint64(load_u8(buf, at + 1 + i)) << np.uint64(8 * i)
    smallest = 253 if width == 2 else (0x10000 if width == 4 else 0x100000000)
    if value < np.uint64(smallest):
        return 0, at, NOT_CANONICAL
    if value > np.uint64(0x7FFFFFFFFFFFFFFF):
        return 0, at, TRUNCATED
    return np.int64(value), at + 1 + width, OK


def merkle_root(txids, first, count, root, level):
    """Merkle root of `txids[first:first+count]` (uint8[T,32], count >= 1) into `root` (uint8[32]).

    Returns True where two equal hashes stand side by side as a pair on any level: such a block has a twin with the
    same root (CVE-2012-2459) and is refused by Core.
    """
    block_tx = np.array([first, first + count], np.int64)
    return _merkle_root(sha256.chosen(), txids, block_tx, root, np.empty(work_bytes(count, 1), np.uint8))


@njit(cache=True, nogil=True)
def _merkle_root(engine, txids, block_tx, root, scratch):
    work = window_of(scratch)
    ready(work)
    twin = roots_of(engine, window_of(txids), block_tx, 1, work)
    copy_bytes(root, 0, work, ROOTS, 32)
    return twin == 0


@njit(cache=True)
def _length(buf, at, end):
    """A CompactSize at `at`, the one-byte form first: (value, next offset, fault)."""
    if at < end:
        first = load_u8(buf, at)
        if first < 253:
            return first, at + 1, OK
    return _compact(buf, at, end)


@njit(cache=True)
def _string(buf, at, end):
    """A length-prefixed string at `at`: (start of its content, offset behind it, fault)."""
    length, at, fault = _length(buf, at, end)
    if fault != OK:
        return at, at, fault
    if length > end - at:
        return at, at, TRUNCATED
    return at, at + length, OK


@njit(cache=True)
def _copy_outpoint(target, to, buf, at):
    """Copy the 36 bytes that name an output."""
    for k in range(0, 32, 8):
        store_u64(target, to + k, load_u64(buf, at + k))
    store_u32(target, to + 32, load_u32(buf, at + 32))


@njit(cache=True)
def copy_payload(target, to, source, at, length):
    """Copy a payload between windows; a short one with what follows, which costs less than to copy exactly `length`."""
    if length <= SLACK and at + SLACK <= source[1]:
        for k in range(0, SLACK, 8):
            store_u64(target, to + k, load_u64(source, at + k))
    else:
        copy_bytes(target, to, source, at, length)


@njit(cache=True)
def _check_roots(engine, buf, starts, block_tx, blocks, txids, work):
    """Compare the Merkle roots of the first `blocks` blocks with those in their headers: (fault, block)."""
    twin = roots_of(engine, txids, block_tx, blocks, work)
    for b in range(blocks):
        if not same_bytes(work, ROOTS + 32 * b, buf, starts[b] + 36, 32):
            return BAD_ROOT, b
        if b == twin:
            return TWIN, b
    return OK, blocks


@njit(cache=True, nogil=True)
def _decode_blocks(
    engine, buf, starts, sizes, block_tx, txid, version, locktime, size, base_size, tx_in, tx_out,
    in_outpoint, in_sequence, in_signs, out_value, out_type, out_payload, out_at, out_length, scratch,
):  # fmt: skip
    txids, work = window_of(txid), window_of(scratch)
    # Columns too are written through windows, without numba's care for negative indices.
    in_outpoint_, in_sequence_, in_signs_ = window_of(in_outpoint), window_of(in_sequence), window_of(in_signs)
    out_value_, out_type_ = window_of(out_value), window_of(out_type)
    out_payload_, out_at_, out_length_ = window_of(out_payload), window_of(out_at), window_of(out_length)
    ready(work)
    t, i, o, paid = 0, 0, 0, 0
    hashed, waiting, free = 0, 0, OWN
    block_tx[0] = 0
    fault, at = OK, 0
    b = 0
    while b < starts.size:
        start = starts[b]
        if sizes[b] < 81 or start < 0 or start > buf[1] - sizes[b]:
            fault, at = TRUNCATED, start
            break
        end = start + sizes[b]
        n_tx, at, fault = _length(buf, start + 80, end)
        if fault == OK and n_tx == 0:
            fault = NO_TRANSACTION
        if fault != OK:
            break
        for _ in range(n_tx):
            if end - at < 10:
                fault = TRUNCATED
                break
            begin = at
            body = at + 4
            segwit = load_u8(buf, body) == 0 and load_u8(buf, body + 1) != 0
            if segwit:
                if load_u8(buf, body + 1) != 1:
                    at = body
                    fault = BAD_FLAG
                    break
                body += 2
            inputs, at, fault = _length(buf, body, end)
            if fault == OK and inputs == 0:
                fault = NO_INPUT
            if fault != OK:
                break
            tx_in[t], tx_out[t] = i, o
            for _ in range(inputs):
                if end - at < 36:
                    fault = TRUNCATED
                    break
                begin_in = at
                script, at, fault = _string(buf, at + 36, end)
                if fault != OK:
                    break
                if end - at < 4:
                    fault = TRUNCATED
                    break
                _copy_outpoint(in_outpoint_, OUTPOINT * i, buf, begin_in)
                store_u8(in_signs_, i, script_signs(buf, script, at) if at > script else 0)
                store_u32(in_sequence_, 4 * i, load_u32(buf, at))
                at += 4
                i += 1
            if fault != OK:
                break
            outputs, at, fault = _length(buf, at, end)
            if fault != OK:
                break
            for _ in range(outputs):
                if end - at < 8:
                    fault = TRUNCATED
                    break
                begin_out = at
                script, at, fault = _string(buf, at + 8, end)
                if fault != OK:
                    break
                script_type, payload, length = payload_of(buf, script, at)
                store_u64(out_value_, 8 * o, load_u64(buf, begin_out))
                store_u8(out_type_, o, script_type)
                store_u32(out_at_, 4 * o, paid)
                store_u32(out_length_, 4 * o, length)
                copy_payload(out_payload_, paid, buf, payload, length)
                paid += length
                o += 1
            if fault != OK:
                break
            body_end = at
            if segwit:
                any_item = False
                for row in range(tx_in[t], i):
                    items, at, fault = _length(buf, at, end)
                    if fault != OK:
                        break
                    any_item = any_item or items > 0
                    p, q, k, m = -1, -1, -1, -1
                    for _ in range(items):
                        item, at, fault = _string(buf, at, end)
                        if fault != OK:
                            break
                        if p < 0 and at > item:
                            p, q = item, at
                        elif p >= 0 and k < 0:
                            k, m = item, at
                    if fault != OK:
                        break
                    if p >= 0:
                        store_u8(in_signs_, row, signs_of(buf, p, q, k, m))
                if fault == OK and not any_item:
                    fault = EMPTY_WITNESS
                if fault != OK:
                    break
            if end - at < 4:
                fault = TRUNCATED
                break
            at += 4
            version[t] = np.int32(load_u32(buf, begin))
            locktime[t] = load_u32(buf, at - 4)
            size[t] = at - begin
            base_size[t] = body_end - body + 8
            if segwit:
                free = queue_stripped(work, waiting, free, buf, begin, body, body_end, at)
            else:
                free = queue_message(work, waiting, free, buf, begin, at - begin)
            t += 1
            waiting += 1
            if waiting == QUEUE:
                hash_queue(engine, work, waiting, address_of(txids, 32 * hashed, 32 * waiting))
                hashed, waiting, free = t, 0, OWN
        if fault == OK and at != end:
            fault = EXTRA_BYTES
        if fault != OK:
            break
        b += 1
        block_tx[b] = t
    tx_in[t], tx_out[t] = i, o
    hash_queue(engine, work, waiting, address_of(txids, 32 * hashed, 32 * waiting))
    # A wrong root of an earlier block is told first.
    wrong, which = _check_roots(engine, buf, starts, block_tx, b, txids, work)
    if wrong != OK:
        return wrong, which, starts[which]
    return fault, b, at


def decode_blocks(
    buf, starts, sizes, block_tx, txid, version, locktime, size, base_size, tx_in, tx_out,
    in_outpoint, in_sequence, in_signs, out_value, out_type, out_payload, out_at, out_length, scratch,
):  # fmt: skip
    """Decode and check the blocks `buf[starts[b] : starts[b] + sizes[b]]` in one pass into columns, from row 0 on.

    Columns: block_tx int64[B+1] (first transaction of each block); txid uint8[T,32], version int32[T], locktime, size,
    base_size uint32[T]; tx_in, tx_out int64[T+1] (first input and output of each transaction); in_outpoint uint8[I,36]
    (txid and vout of the output spent, as on the wire), in_sequence uint32[I], in_signs uint8[I]; out_value int64[O],
    out_type uint8[O], out_at, out_length uint32[O] (where the payload lies in out_payload uint8, empty for OP_RETURN);
    `scratch` uint8. `batch.Batch` allocates them by the least bytes that each thing takes. Outpoints and payloads are
    copied while their transaction is at hand, for who reads them next would have to find them one by one in memory.

    `buf` uint8, starts and sizes int64. Returns (fault, block, offset in `buf`): OK, or a code of FAULTS for the first
    block that is wrong. `UsageError` where the arrays might be too short.
    """
    capacity = int(np.maximum(sizes, 0).sum())
    n_tx, n_in, n_out = capacity // MIN_TX, capacity // MIN_INPUT, capacity // MIN_OUTPUT
    rows = [(block_tx, len(starts) + 1), (scratch, work_bytes(n_tx, len(starts))), (sizes, len(starts))]
    rows += [(column, n_tx) for column in (txid, version, locktime, size, base_size)]
    rows += [(column, n_tx + 1) for column in (tx_in, tx_out)]
    rows += [(column, n_in) for column in (in_outpoint, in_sequence, in_signs)]
    rows += [(column, n_out) for column in (out_value, out_type, out_at, out_length)]
    rows += [(out_payload, capacity + SLACK)]
    if len(buf) >= 2**32 or any(len(column) < needed for column, needed in rows):
        raise UsageError(f"{capacity:,} bytes of blocks are more than the arrays for them hold")
    if buf.dtype != np.uint8 or not buf.flags.c_contiguous:
        raise UsageError("blocks are decoded from a contiguous array of bytes")
    # As a window the buffer has one type, whether it may be written to or not, and one compiled kernel.
    window = (buf.ctypes.data, len(buf))
    return _decode_blocks(
        sha256.chosen(), window, starts, sizes, block_tx, txid, version, locktime, size, base_size, tx_in, tx_out,
        in_outpoint, in_sequence, in_signs, out_value, out_type, out_payload, out_at, out_length, scratch,
    )  # fmt: skip
