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
SLACK = 32
"""Bytes by which an array that payloads are copied to must be longer than they are."""

# Bits of `in_signs`: how an input was signed, as far as its first signature shows.
SIGN_ECDSA = 1
SIGN_HIGH_R = 2
SIGN_SCHNORR = 4
SIGN_NOT_DEFAULT_HASH = 8
SIGN_UNCOMPRESSED = 16

# Script types; `bitcoin.scripts.ScriptType` names them, a test holds the two together.
_NONSTANDARD, _P2PK, _P2PKH, _P2SH, _P2WPKH, _P2WSH, _P2TR, _MULTISIG, _WITNESS, _RETURN = range(10)

# The usual scripts by their length, 22 on: what their first and last four bytes must be, and what they hold.
_FORMS = {
    22: (0xFFFF, 0x1400, 0, 0, _P2WPKH, 2, 20),
    23: (0xFFFF, 0x14A9, 0xFF << 24, 0x87 << 24, _P2SH, 2, 20),
    25: (0xFFFFFF, 0x14A976, 0xFFFF << 16, 0xAC88 << 16, _P2PKH, 3, 20),
    34: (0xFFFF, 0x2000, 0, 0, _P2WSH, 2, 32),
}
_HEAD_MASK, _HEAD, _TAIL_MASK, _TAIL, _FORM_TYPE, _FORM_AT, _FORM_LENGTH = np.array(
    [_FORMS.get(n, (0, 1, 0, 0, 0, 0, 0)) for n in range(22, 35)], np.int64
).T.copy()


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


@njit(cache=True)
def _is_key(buf, at, length):
    """Does a pushed public key of this length begin as one of its length must?"""
    if length == 33:
        return load_u8(buf, at) == 2 or load_u8(buf, at) == 3
    return length == 65 and (load_u8(buf, at) == 4 or load_u8(buf, at) == 6 or load_u8(buf, at) == 7)


@njit(cache=True)
def _is_multisig(buf, at, end):
    """m keys n OP_CHECKMULTISIG, each key pushed directly (Core's MatchMultisig, up to 16 keys)."""
    if end - at < 3 or load_u8(buf, end - 1) != 0xAE:
        return False
    m = load_u8(buf, at) - 0x50
    n = load_u8(buf, end - 2) - 0x50
    if not (1 <= m <= n <= 16):
        return False
    at += 1
    keys = 0
    while at < end - 2:
        length = load_u8(buf, at)
        if end - 2 - at - 1 < length or not (length == 33 or length == 65) or not _is_key(buf, at + 1, length):
            return False
        keys += 1
        at += 1 + length
    return keys == n


@njit(cache=True)
def classify(buf, at, end):
    """Type of the scriptPubKey in `buf[at:end]` and where its payload lies: (type, start, end).

    The payload is the hash or program of the address types, else the whole script. A script longer than
    10,000 bytes can't be spent, so it is filed with OP_RETURN (Core's CScript::IsUnspendable).
    """
    n = end - at
    if n > 10_000 or (n > 0 and load_u8(buf, at) == 0x6A):
        return _RETURN, at, end
    pays_hash = n == 25 and load_u8(buf, at) == 0x76 and load_u8(buf, at + 1) == 0xA9 and load_u8(buf, at + 2) == 20
    if pays_hash and load_u8(buf, at + 23) == 0x88 and load_u8(buf, at + 24) == 0xAC:
        return _P2PKH, at + 3, at + 23
    if n == 23 and load_u8(buf, at) == 0xA9 and load_u8(buf, at + 1) == 20 and load_u8(buf, at + 22) == 0x87:
        return _P2SH, at + 2, at + 22
    if 4 <= n <= 42 and (load_u8(buf, at) == 0 or 0x51 <= load_u8(buf, at) <= 0x60) and load_u8(buf, at + 1) == n - 2:
        if load_u8(buf, at) == 0:
            if n == 22:
                return _P2WPKH, at + 2, end
            if n == 34:
                return _P2WSH, at + 2, end
            return _NONSTANDARD, at, end
        if load_u8(buf, at) == 0x51 and n == 34:
            return _P2TR, at + 2, end
        return _WITNESS, at, end
    if (
        (n == 35 or n == 67)
        and load_u8(buf, at) == n - 2
        and load_u8(buf, end - 1) == 0xAC
        and _is_key(buf, at + 1, n - 2)
    ):
        return _P2PK, at, end
    if _is_multisig(buf, at, end):
        return _MULTISIG, at, end
    return _NONSTANDARD, at, end


@njit(cache=True)
def _signs_of(buf, at, end, key_at, key_end):
    """Bits that a signature (`buf[at:end]`) and the item behind it show about the signer."""
    n = end - at
    if n == 64 or n == 65:
        return SIGN_SCHNORR | (SIGN_NOT_DEFAULT_HASH if n == 65 else 0)
    if n < 9 or n > 73:
        return 0
    head = np.int64(load_u32(buf, at))
    if (head & 0xFFFFFF) != (0x020030 | (n - 3) << 8):
        return 0
    # R is high in every second signature: a branch on it would be mispredicted as often.
    return (
        SIGN_ECDSA
        | SIGN_HIGH_R * np.int64((head >> 24) > 32)
        | SIGN_NOT_DEFAULT_HASH * np.int64(load_u8(buf, end - 1) != 1)
        | SIGN_UNCOMPRESSED * np.int64(key_end - key_at == 65)
    )


@njit(cache=True)
def _script_signs(buf, at, end):
    """Signs of a scriptSig that isn't empty; the usual one pushes a signature and a key, or one thing."""
    first = load_u8(buf, at)
    stop = at + 1 + first
    if 1 <= first <= 75 and stop <= end:
        if stop == end:
            return _signs_of(buf, at + 1, stop, -1, -1)
        second = load_u8(buf, stop)
        if 1 <= second <= 75 and stop + 1 + second <= end:
            return _signs_of(buf, at + 1, stop, stop + 1, stop + 1 + second)
    p, q, k, m = _first_pushes(buf, at, end)
    return _signs_of(buf, p, q, k, m) if p >= 0 else 0


@njit(cache=True)
def _first_pushes(buf, at, end):
    """The first two non-empty direct pushes of a scriptSig: (start, end, start, end), -1 where there is none."""
    a, b, c, d = -1, -1, -1, -1
    while at < end:
        op = load_u8(buf, at)
        at += 1
        if op == 0:
            continue
        if op == 76:
            if at >= end:
                break
            op = load_u8(buf, at)
            at += 1
        elif op > 75:
            break
        if end - at < op:
            break
        if a < 0:
            a, b = at, at + op
        else:
            c, d = at, at + op
            break
        at += op
    return a, b, c, d


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
def _payload(buf, at, end):
    """`classify`, the usual forms first: (type, offset of the payload, its length)."""
    n = end - at
    if 22 <= n <= 34:
        # By table: which of these forms comes next can't be foreseen, and a branch a form would be mispredicted.
        form = np.uint64(n - 22)
        head, tail = load_u32(buf, at), load_u32(buf, end - 4)
        by_key = np.int64(n == 34) & np.int64(head & 0xFF == 0x51)
        wrong = ((head - 0x51 * by_key) & _HEAD_MASK[form]) ^ _HEAD[form] | (tail & _TAIL_MASK[form]) ^ _TAIL[form]
        if wrong == 0:
            return _FORM_TYPE[form] + (_P2TR - _P2WSH) * by_key, at + _FORM_AT[form], _FORM_LENGTH[form]
    script_type, start, stop = classify(buf, at, end)
    return script_type, start, 0 if script_type == _RETURN else stop - start


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
                _copy_outpoint(in_outpoint_, 36 * i, buf, begin_in)
                store_u8(in_signs_, i, _script_signs(buf, script, at) if at > script else 0)
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
                script_type, payload, length = _payload(buf, script, at)
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
                        store_u8(in_signs_, row, _signs_of(buf, p, q, k, m))
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
