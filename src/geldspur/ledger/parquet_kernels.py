"""Kernels that write transactions as the wire has them, without witnesses, from columns of text and numbers.

Text columns are as Arrow lays them out: the hexadecimal of row r is text[at[r]:at[r+1]] (uint8, int64[rows+1]).
"""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import copy_bytes

OK = 0
BAD_HEX = 1
BAD_HASH = 2
BAD_NUMBER = 3

FAULTS = {
    BAD_HEX: "a script is not hexadecimal",
    BAD_HASH: "the hash of a spent transaction has not 64 hexadecimal digits",
    BAD_NUMBER: "an amount, index or sequence is out of range",
}

_NULL_VOUT = np.int64(0xFFFFFFFF)
FINAL = 0xFFFFFFFF


@njit(cache=True, nogil=True)
def _compact_size(value):
    if value < 253:
        return 1
    return 3 if value < 0x10000 else 5


@njit(cache=True, nogil=True)
def measure_transactions(in_at, in_hash_at, in_script_at, out_at, out_script_at, coinbase_at, tx_at):
    """Where each of n transactions begins when written one behind the other: tx_at int64[n+1].

    in_at, out_at int64[n+1]: inputs and outputs of each. One without inputs is a coinbase, whose script is the
    text coinbase_at[t] .. coinbase_at[t+1]. Returns (fault, transaction).
    """
    tx_at[0] = 0
    for t in range(tx_at.size - 1):
        size = np.int64(8)
        inputs = in_at[t + 1] - in_at[t]
        if inputs == 0:
            digits = coinbase_at[t + 1] - coinbase_at[t]
            if digits % 2:
                return BAD_HEX, t
            size += 1 + 40 + _compact_size(digits // 2) + digits // 2
        else:
            size += _compact_size(inputs)
            for i in range(in_at[t], in_at[t + 1]):
                if in_hash_at[i + 1] - in_hash_at[i] != 64:
                    return BAD_HASH, t
                digits = in_script_at[i + 1] - in_script_at[i]
                if digits % 2:
                    return BAD_HEX, t
                size += 40 + _compact_size(digits // 2) + digits // 2
        size += _compact_size(out_at[t + 1] - out_at[t])
        for o in range(out_at[t], out_at[t + 1]):
            digits = out_script_at[o + 1] - out_script_at[o]
            if digits % 2:
                return BAD_HEX, t
            size += 8 + _compact_size(digits // 2) + digits // 2
        tx_at[t + 1] = tx_at[t] + size
    return OK, 0


@njit(cache=True, nogil=True)
def _digit(c):
    if 48 <= c <= 57:
        return np.int64(c) - 48
    c |= 32
    if 97 <= c <= 102:
        return np.int64(c) - 87
    return np.int64(-1)


@njit(cache=True, nogil=True)
def _write_number(out, at, value, width):
    for b in range(width):
        out[at + b] = (np.uint64(value) >> np.uint64(8 * b)) & np.uint64(0xFF)
    return at + width


@njit(cache=True, nogil=True)
def _write_compact(out, at, value):
    width = _compact_size(value)
    if width == 1:
        out[at] = value
        return at + 1
    out[at] = 253 if width == 3 else 254
    return _write_number(out, at + 1, value, width - 1)


@njit(cache=True, nogil=True)
def _write_script(out, at, text, start, end):
    """Length and bytes of a script: (offset behind it, or -1 where the text is no hexadecimal)."""
    length = (end - start) // 2
    at = _write_compact(out, at, length)
    for b in range(length):
        high, low = _digit(text[start + 2 * b]), _digit(text[start + 2 * b + 1])
        if high < 0 or low < 0:
            return np.int64(-1)
        out[at + b] = high << 4 | low
    return at + length


@njit(cache=True, nogil=True)
def write_transactions(
    version, lock_time, in_at, in_hash_at, in_hash, in_vout, in_sequence, in_script_at, in_script,
    out_at, out_value, out_script_at, out_script, coinbase_at, coinbase, tx_at, out,
):  # fmt: skip
    """Write the transactions that `measure_transactions` has accepted into out uint8[tx_at[n]].

    version, lock_time int64[n], of which the low 32 bits count; in_vout, in_sequence, out_value int64. A coinbase
    gets the sequence `FINAL`, since no column has it. Returns (fault, transaction).
    """
    for t in range(tx_at.size - 1):
        at = _write_number(out, tx_at[t], version[t], 4)
        inputs = in_at[t + 1] - in_at[t]
        if inputs == 0:
            at = _write_compact(out, at, 1)
            out[at : at + 32] = 0
            at = _write_number(out, at + 32, _NULL_VOUT, 4)
            at = _write_script(out, at, coinbase, coinbase_at[t], coinbase_at[t + 1])
            if at < 0:
                return BAD_HEX, t
            at = _write_number(out, at, FINAL, 4)
        else:
            at = _write_compact(out, at, inputs)
            for i in range(in_at[t], in_at[t + 1]):
                start = in_hash_at[i]
                for b in range(32):
                    high, low = _digit(in_hash[start + 2 * b]), _digit(in_hash[start + 2 * b + 1])
                    if high < 0 or low < 0:
                        return BAD_HASH, t
                    out[at + 31 - b] = high << 4 | low
                if not (0 <= in_vout[i] <= 0xFFFFFFFF and 0 <= in_sequence[i] <= 0xFFFFFFFF):
                    return BAD_NUMBER, t
                at = _write_number(out, at + 32, in_vout[i], 4)
                at = _write_script(out, at, in_script, in_script_at[i], in_script_at[i + 1])
                if at < 0:
                    return BAD_HEX, t
                at = _write_number(out, at, in_sequence[i], 4)
        at = _write_compact(out, at, out_at[t + 1] - out_at[t])
        for o in range(out_at[t], out_at[t + 1]):
            if out_value[o] < 0:
                return BAD_NUMBER, t
            at = _write_number(out, at, out_value[o], 8)
            at = _write_script(out, at, out_script, out_script_at[o], out_script_at[o + 1])
            if at < 0:
                return BAD_HEX, t
        _write_number(out, at, lock_time[t], 4)
    return OK, 0


@njit(cache=True, nogil=True)
def gather(source, starts, ends, target, target_at):
    """Copy source[starts[k]:ends[k]] to target[target_at[k]:] for every k; the caller has looked at the bounds."""
    for k in range(starts.size):
        copy_bytes(target, target_at[k], source, starts[k], ends[k] - starts[k])
