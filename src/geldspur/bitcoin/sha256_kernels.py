"""SHA-256 inside kernels, two messages side by side, by one of three engines (FIPS 180-4).

Every kernel that hashes takes an engine as its first argument, and numba compiles one version of the kernel for each
engine's type: what one engine compiled, in memory or on disk, is never run for another.
"""

from typing import NamedTuple

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

from geldspur.bitcoin.sha256_constants import ROUND, START
from geldspur.bitcoin.sha256_ni import compress_two_ni
from geldspur.bitcoin.words import _check

_ROUND = np.array(ROUND, np.uint32)
_START = np.array(START, np.uint32)
STATE_WORDS = 80
"""Size of a `state` (uint32): two states of eight words, then room for a schedule."""


class Plain(NamedTuple):
    """The engine that runs everywhere: the standard, written out."""


class ShaNi(NamedTuple):
    """The engine on processors with SHA instructions."""


class OpenSsl(NamedTuple):
    """The engine that calls OpenSSL's SHA256_Transform, which lies at the address `transform`."""

    transform: int


Engine = Plain | ShaNi | OpenSsl


@intrinsic
def _address(typingctx, array, at):
    def codegen(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.add(builder.ptrtoint(data, ir.IntType(64)), args[1])

    return types.int64(array, types.int64), codegen


@njit(cache=True)
def address_of(array, at, count):
    """Address of `count` bytes at byte `at` of a contiguous array, which must outlive its use."""
    _check(array, at, count)
    return _address(array, np.int64(at))


@intrinsic
def _load_big_u32(typingctx, address):
    def codegen(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.bswap(builder.load(place, align=1))

    return types.uint32(types.int64), codegen


@intrinsic
def _store_big_u32(typingctx, address, value):
    def codegen(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        builder.store(builder.bswap(args[1]), place, align=1)
        return context.get_dummy_value()

    return types.none(types.int64, types.uint32), codegen


@intrinsic
def _call_transform(typingctx, function, state, block):
    """SHA256_Transform(SHA256_CTX *, const unsigned char *): the context begins with the eight words."""

    def codegen(context, builder, signature, args):
        function_type = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, cgutils.voidptr_t])
        function = builder.inttoptr(args[0], function_type.as_pointer())
        builder.call(function, [builder.inttoptr(arg, cgutils.voidptr_t) for arg in args[1:]])
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64), codegen


@njit(cache=True)
def _rotate(x, n):
    return np.uint32((x >> n) | (x << (np.uint32(32) - n)))


@njit(cache=True)
def _compress(state, lane, address):
    """Take the 64-byte block at an address into words `lane .. lane + 8` of `state`."""
    words = state[16:]
    for i in range(16):
        words[i] = _load_big_u32(address + 4 * i)
    # numba widens the sum of two uint32 to 64 bits, hence the casts.
    for i in range(16, 64):
        x, y = words[i - 15], words[i - 2]
        s0 = _rotate(x, np.uint32(7)) ^ _rotate(x, np.uint32(18)) ^ (x >> np.uint32(3))
        s1 = _rotate(y, np.uint32(17)) ^ _rotate(y, np.uint32(19)) ^ (y >> np.uint32(10))
        words[i] = np.uint32(words[i - 16] + s0 + words[i - 7] + s1)
    a, b, c, d = state[lane], state[lane + 1], state[lane + 2], state[lane + 3]
    e, f, g, h = state[lane + 4], state[lane + 5], state[lane + 6], state[lane + 7]
    for i in range(64):
        s1 = _rotate(e, np.uint32(6)) ^ _rotate(e, np.uint32(11)) ^ _rotate(e, np.uint32(25))
        t1 = np.uint32(h + s1 + ((e & f) ^ (~e & g)) + _ROUND[i] + words[i])
        s0 = _rotate(a, np.uint32(2)) ^ _rotate(a, np.uint32(13)) ^ _rotate(a, np.uint32(22))
        t2 = np.uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e, d, c, b, a = g, f, e, np.uint32(d + t1), c, b, a, np.uint32(t1 + t2)
    state[lane] += a
    state[lane + 1] += b
    state[lane + 2] += c
    state[lane + 3] += d
    state[lane + 4] += e
    state[lane + 5] += f
    state[lane + 6] += g
    state[lane + 7] += h


def compress_two(engine, state, a, b, blocks):
    """Take `blocks` (>= 1) 64-byte blocks at address `a`, and as many at `b`, into the two states of `state`.

    `state` uint32[STATE_WORDS]. Where one address is 0, that state is of no use afterwards.
    """
    raise NotImplementedError("runs inside of kernels only")


@overload(compress_two)
def _choose_compress_two(engine, state, a, b, blocks):
    return {Plain: _compress_two_plain, ShaNi: _compress_two_ni, OpenSsl: _compress_two_openssl}[engine.instance_class]


def _compress_two_plain(engine, state, a, b, blocks):
    for k in range(blocks):
        if a != 0:
            _compress(state, 0, a + 64 * k)
        if b != 0:
            _compress(state, 8, b + 64 * k)


def _compress_two_ni(engine, state, a, b, blocks):
    compress_two_ni(address_of(state, 0, 64), a if a != 0 else b, b if b != 0 else a, blocks)


def _compress_two_openssl(engine, state, a, b, blocks):
    first, second = address_of(state, 0, 32), address_of(state, 32, 32)
    for k in range(blocks):
        if a != 0:
            _call_transform(engine.transform, first, a + 64 * k)
        if b != 0:
            _call_transform(engine.transform, second, b + 64 * k)


@njit(cache=True)
def begin(state, lane):
    """Set words `lane .. lane + 8` of `state` to what every message begins with."""
    for i in range(8):
        state[lane + i] = _START[i]


@njit(cache=True)
def finish(state, lane, address):
    """Write the digest in words `lane .. lane + 8` of `state` to an address, 32 bytes."""
    for i in range(8):
        _store_big_u32(address + 4 * i, state[lane + i])
