"""SHA-256 as a numba kernel, for hashing inside other kernels (FIPS 180-4)."""

import numpy as np
from numba import njit

_ROUND = np.array(
    [
        0x428A2F98, 0x71374491, 0xB5C0FBCF, 0xE9B5DBA5, 0x3956C25B, 0x59F111F1, 0x923F82A4, 0xAB1C5ED5,
        0xD807AA98, 0x12835B01, 0x243185BE, 0x550C7DC3, 0x72BE5D74, 0x80DEB1FE, 0x9BDC06A7, 0xC19BF174,
        0xE49B69C1, 0xEFBE4786, 0x0FC19DC6, 0x240CA1CC, 0x2DE92C6F, 0x4A7484AA, 0x5CB0A9DC, 0x76F988DA,
        0x983E5152, 0xA831C66D, 0xB00327C8, 0xBF597FC7, 0xC6E00BF3, 0xD5A79147, 0x06CA6351, 0x14292967,
        0x27B70A85, 0x2E1B2138, 0x4D2C6DFC, 0x53380D13, 0x650A7354, 0x766A0ABB, 0x81C2C92E, 0x92722C85,
        0xA2BFE8A1, 0xA81A664B, 0xC24B8B70, 0xC76C51A3, 0xD192E819, 0xD6990624, 0xF40E3585, 0x106AA070,
        0x19A4C116, 0x1E376C08, 0x2748774C, 0x34B0BCB5, 0x391C0CB3, 0x4ED8AA4A, 0x5B9CCA4F, 0x682E6FF3,
        0x748F82EE, 0x78A5636F, 0x84C87814, 0x8CC70208, 0x90BEFFFA, 0xA4506CEB, 0xBEF9A3F7, 0xC67178F2,
    ],
    dtype=np.uint32,
)  # fmt: skip
_START = np.array(
    [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19],
    dtype=np.uint32,
)

SCRATCH_TAIL = 128
"""Bytes that a message buffer needs behind its message, for the padding."""


@njit(cache=True)
def _rotate(x, n):
    return np.uint32((x >> n) | (x << (np.uint32(32) - n)))


@njit(cache=True)
def _compress(state, words, message, at):
    """Take one 64-byte block of `message` at `at` into `state` (uint32[8]); `words` is scratch, uint32[64]."""
    for i in range(16):
        j = at + 4 * i
        words[i] = (
            (np.uint32(message[j]) << np.uint32(24))
            | (np.uint32(message[j + 1]) << np.uint32(16))
            | (np.uint32(message[j + 2]) << np.uint32(8))
            | np.uint32(message[j + 3])
        )
    # numba widens the sum of two uint32 to 64 bits, hence the casts.
    for i in range(16, 64):
        x, y = words[i - 15], words[i - 2]
        s0 = _rotate(x, np.uint32(7)) ^ _rotate(x, np.uint32(18)) ^ (x >> np.uint32(3))
        s1 = _rotate(y, np.uint32(17)) ^ _rotate(y, np.uint32(19)) ^ (y >> np.uint32(10))
        words[i] = np.uint32(words[i - 16] + s0 + words[i - 7] + s1)
    a, b, c, d = state[0], state[1], state[2], state[3]
    e, f, g, h = state[4], state[5], state[6], state[7]
    for i in range(64):
        s1 = _rotate(e, np.uint32(6)) ^ _rotate(e, np.uint32(11)) ^ _rotate(e, np.uint32(25))
        t1 = np.uint32(h + s1 + ((e & f) ^ (~e & g)) + _ROUND[i] + words[i])
        s0 = _rotate(a, np.uint32(2)) ^ _rotate(a, np.uint32(13)) ^ _rotate(a, np.uint32(22))
        t2 = np.uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e, d, c, b, a = g, f, e, np.uint32(d + t1), c, b, a, np.uint32(t1 + t2)
    state[0] += a
    state[1] += b
    state[2] += c
    state[3] += d
    state[4] += e
    state[5] += f
    state[6] += g
    state[7] += h


@njit(cache=True)
def _digest(message, length, state, words):
    """Hash `message[:length]`; the buffer must have `SCRATCH_TAIL` bytes to spare behind it."""
    for i in range(8):
        state[i] = _START[i]
    message[length] = 0x80
    end = (length + 9 + 63) // 64 * 64
    for i in range(length + 1, end - 8):
        message[i] = 0
    bits = np.uint64(length) * np.uint64(8)
    for i in range(8):
        message[end - 1 - i] = np.uint8((bits >> np.uint64(8 * i)) & np.uint64(0xFF))
    for at in range(0, end, 64):
        _compress(state, words, message, at)


@njit(cache=True)
def double_sha256(message, length, out, state, words, inner):
    """Bitcoin's hash of `message[:length]` into `out` (uint8[32]).

    `message` (uint8) needs `SCRATCH_TAIL` bytes behind `length`, which are overwritten. `state` uint32[8],
    `words` uint32[64] and `inner` uint8[>= 160] are scratch.
    """
    _digest(message, length, state, words)
    for i in range(8):
        for j in range(4):
            inner[4 * i + j] = np.uint8((state[i] >> np.uint32(24 - 8 * j)) & np.uint32(0xFF))
    _digest(inner, 32, state, words)
    for i in range(8):
        for j in range(4):
            out[4 * i + j] = np.uint8((state[i] >> np.uint32(24 - 8 * j)) & np.uint32(0xFF))
