"""Kernels that tell what an output's script asks for, and what an input's signature shows of its signer."""

import numpy as np
from numba import njit

from geldspur.bitcoin.words import load_u8, load_u32

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
def signs_of(buf, at, end, key_at, key_end):
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
def script_signs(buf, at, end):
    """Signs of a scriptSig that isn't empty; the usual one pushes a signature and a key, or one thing."""
    first = load_u8(buf, at)
    stop = at + 1 + first
    if 1 <= first <= 75 and stop <= end:
        if stop == end:
            return signs_of(buf, at + 1, stop, -1, -1)
        second = load_u8(buf, stop)
        if 1 <= second <= 75 and stop + 1 + second <= end:
            return signs_of(buf, at + 1, stop, stop + 1, stop + 1 + second)
    p, q, k, m = _first_pushes(buf, at, end)
    return signs_of(buf, p, q, k, m) if p >= 0 else 0


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


@njit(cache=True)
def payload_of(buf, at, end):
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
