"""Kernels that decode Core's undo data. Every read is checked against the record's end first.

The format is Bitcoin Core's: CBlockUndo and TxInUndoFormatter (src/undo.h), VARINT (src/serialize.h),
CompressAmount and ScriptCompression (src/compressor.h, src/compressor.cpp).
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.script_kernels import classify

OK = 0
TRUNCATED = 1
NOT_CANONICAL = 2
TOO_LARGE = 3
EXTRA_BYTES = 4

FAULTS = {
    TRUNCATED: "the record ends in the middle of a field",
    NOT_CANONICAL: "a count is not written in its shortest form",
    TOO_LARGE: "a number is larger than its field can be",
    EXTRA_BYTES: "bytes are left over behind the last coin",
}

MAX_MONEY = 21_000_000 * 100_000_000
_MAX_COUNT = 0x02000000  # Core's MAX_SIZE: no vector may claim to be longer
_MAX_SCRIPT = 10_000
_P2PK, _P2PKH, _P2SH, _RETURN = 1, 2, 3, 9  # bitcoin.scripts.ScriptType
_LEAST_COIN = 3


@njit(cache=True, nogil=True)
def _count(buf, at, end):
    """Read a CompactSize that counts things: (value, next offset, fault)."""
    if at >= end:
        return 0, at, TRUNCATED
    first = buf[at]
    if first < 253:
        return np.int64(first), at + 1, OK
    width = 2 if first == 253 else (4 if first == 254 else 8)
    if end - at - 1 < width:
        return 0, at, TRUNCATED
    value = np.uint64(0)
    for i in range(width):
        value |= np.uint64(buf[at + 1 + i]) << np.uint64(8 * i)
    least = 253 if width == 2 else (0x10000 if width == 4 else 0x100000000)
    if value < np.uint64(least):
        return 0, at, NOT_CANONICAL
    if value > np.uint64(_MAX_COUNT):
        return 0, at, TOO_LARGE
    return np.int64(value), at + 1 + width, OK


@njit(cache=True, nogil=True)
def _varint(buf, at, end, largest):
    """Read a VARINT of at most `largest` (uint64): (value, next offset, fault)."""
    value = np.uint64(0)
    while True:
        if at >= end:
            return np.uint64(0), at, TRUNCATED
        byte = np.uint64(buf[at])
        if value > largest >> np.uint64(7):
            return np.uint64(0), at, TOO_LARGE
        value = (value << np.uint64(7)) | (byte & np.uint64(0x7F))
        at += 1
        if byte & np.uint64(0x80) == 0:
            return value, at, OK
        if value == largest:
            return np.uint64(0), at, TOO_LARGE
        value += np.uint64(1)


@njit(cache=True, nogil=True)
def _amount(x):
    """Core's DecompressAmount: what the compressed amount stands for, modulo 2^64 as there."""
    ten, nine, one = np.uint64(10), np.uint64(9), np.uint64(1)
    if x == 0:
        return np.uint64(0)
    x -= one
    zeros = x % ten
    x //= ten
    if zeros < nine:
        digit = x % nine + one
        x //= nine
        n = x * ten + digit
    else:
        n = x + one
    for _ in range(zeros):
        n *= ten
    return n


@njit(cache=True, nogil=True)
def _coin(buf, at, end):
    """Walk one coin: (code, value, size field, where the script's bytes begin, their number, next, fault)."""
    u32, u64 = np.uint64(0xFFFFFFFF), np.uint64(0xFFFFFFFFFFFFFFFF)
    none = np.uint64(0)
    code, at, fault = _varint(buf, at, end, u32)
    if fault == OK and code >> np.uint64(1) > 0:
        _, at, fault = _varint(buf, at, end, u32)  # versions before 0.14 kept the transaction's version here
    if fault != OK:
        return code, none, none, at, 0, at, fault
    small, at, fault = _varint(buf, at, end, u64)
    if fault != OK:
        return code, none, none, at, 0, at, fault
    value = _amount(small)
    if value > np.uint64(MAX_MONEY):
        return code, none, none, at, 0, at, TOO_LARGE
    size, at, fault = _varint(buf, at, end, u32)
    if fault != OK:
        return code, none, none, at, 0, at, fault
    length = np.int64(size) - 6
    if size < 2:
        length = np.int64(20)
    elif size < 6:
        length = np.int64(32)
    if length > end - at:
        return code, none, none, at, 0, at, TRUNCATED
    return code, value, size, at, length, at + length, OK


@njit(cache=True, nogil=True)
def _payload_size(size, length):
    """No more bytes than the payload of a script takes that is stored under this size field."""
    if size == 2 or size == 3:
        return np.int64(35)
    if size == 4 or size == 5:
        return np.int64(67)
    return np.int64(0) if length > _MAX_SCRIPT else length


@njit(cache=True, nogil=True)
def measure_undo(buf, start, end, from_height):
    """Walk the CBlockUndo in `buf[start:end]` (uint8) and count what it holds.

    Returns (transactions, coins, room in bytes for the payloads, coins made below `from_height`, fault, offset).
    """
    if start < 0 or end > buf.size or start > end:
        return 0, 0, 0, 0, TRUNCATED, start
    n_tx, at, fault = _count(buf, start, end)
    if fault != OK:
        return 0, 0, 0, 0, fault, at
    coins, room, before = 0, 0, 0
    for _ in range(n_tx):
        count, at, fault = _count(buf, at, end)
        if fault != OK:
            return 0, 0, 0, 0, fault, at
        if count > (end - at) // _LEAST_COIN:
            return 0, 0, 0, 0, TRUNCATED, at
        for _c in range(count):
            code, _v, size, _s, length, at, fault = _coin(buf, at, end)
            if fault != OK:
                return 0, 0, 0, 0, fault, at
            room += _payload_size(size, length)
            if np.int64(code >> np.uint64(1)) < from_height:
                before += 1
        coins += count
    if at != end:
        return 0, 0, 0, 0, EXTRA_BYTES, at
    return n_tx, coins, room, before, OK, at


@njit(cache=True, nogil=True)
def decode_undo(buf, start, end, tx_coin, value, height, coinbase, script_type, payload_at, payload):
    """Decode a CBlockUndo that `measure_undo` has accepted, with T transactions and C coins.

    Writes tx_coin int64[T+1] (first coin of each transaction), value int64[C], height uint32[C], coinbase
    bool[C], script_type uint8[C], payload_at int64[C+1], payload uint8[...]. Type and payload are those of
    `bitcoin.scripts.classify`, but empty for what is filed with OP_RETURN. Of a public key that was stored
    compressed and is not, only x is written: the byte before it is 2 or 3, as its y is even or odd.
    """
    n_tx, at, _ = _count(buf, start, end)
    coin, to = 0, 0
    tx_coin[0] = 0
    payload_at[0] = 0
    for t in range(n_tx):
        count, at, _ = _count(buf, at, end)
        for _c in range(count):
            code, amount, size, script, length, at, _ = _coin(buf, at, end)
            value[coin] = np.int64(amount)
            height[coin] = np.uint32(code >> np.uint64(1))
            coinbase[coin] = code & np.uint64(1) == np.uint64(1)
            if size < 2:
                script_type[coin] = _P2PKH if size == 0 else _P2SH
            elif size < 6:
                key = 33 if size < 4 else 65
                script_type[coin] = _P2PK
                payload[to] = key
                payload[to + 1] = 2 + (size & np.uint64(1))
                payload[to + 1 + key] = 0xAC
                for b in range(32):
                    payload[to + 2 + b] = buf[script + b]
                to += key + 2
                length = 0
            else:
                kind, script, script_end = classify(buf, script, script + length)
                script_type[coin] = kind
                length = 0 if kind == _RETURN else script_end - script
            for b in range(length):
                payload[to + b] = buf[script + b]
            to += length
            coin += 1
            payload_at[coin] = to
        tx_coin[t + 1] = coin
    return to
