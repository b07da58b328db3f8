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
from geldspur.bitcoin.sha256_ni import compress_two_ni, double_four_ni, double_two_ni, double_two_pairs_ni
from geldspur.bitcoin.words import address_of, load_u32, store_u8, store_u32

_ROUND = np.array(ROUND, np.uint32)
_START = np.array(START, np.uint32)

# Where things lie in a window named `work`: two states, a schedule, two digests padded as messages, a padding block.
STATE, SCHEDULE, SECOND, PADDING = 0, 64, 320, 448
WORK_BYTES = 512


class Plain(NamedTuple):
    """The engine that runs everywhere: the standard, written out."""


class ShaNi(NamedTuple):
    """The engine on processors with SHA instructions."""


class OpenSsl(NamedTuple):
    """The engine that calls OpenSSL's SHA256_Transform, which lies at the address `transform`."""

    transform: int


Engine = Plain | ShaNi | OpenSsl


@intrinsic
def _load_big_u32(typingctx, address):
    def codegen(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        return builder.bswap(builder.load(place, align=1))

    return types.uint32(types.int64), codegen


@intrinsic
def _store_big(typingctx, address, value):
    def codegen(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(32).as_pointer())
        builder.store(builder.bswap(args[1]), place, align=1)
        return context.get_dummy_value()

    return types.none(types.int64, types.uint32), codegen


@njit(cache=True)
def store_big_u32(address, value):
    """Write the lower 32 bits of a value at an address, the highest byte first."""
    _store_big(address, np.uint32(value))


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
def _compress(work, state, address):
    """Take the 64-byte block at an address into the eight words at byte `state` of `work`."""
    for i in range(16):
        store_u32(work, SCHEDULE + 4 * i, _load_big_u32(address + 4 * i))
    # numba widens the sum of two uint32 to 64 bits, hence the casts.
    for at in range(SCHEDULE + 64, SCHEDULE + 256, 4):
        x, y = load_u32(work, at - 60), load_u32(work, at - 8)
        s0 = _rotate(x, np.uint32(7)) ^ _rotate(x, np.uint32(18)) ^ (x >> np.uint32(3))
        s1 = _rotate(y, np.uint32(17)) ^ _rotate(y, np.uint32(19)) ^ (y >> np.uint32(10))
        store_u32(work, at, np.uint32(load_u32(work, at - 64) + s0 + load_u32(work, at - 28) + s1))
    a, b, c, d = _four(work, state)
    e, f, g, h = _four(work, state + 16)
    for i in range(64):
        s1 = _rotate(e, np.uint32(6)) ^ _rotate(e, np.uint32(11)) ^ _rotate(e, np.uint32(25))
        t1 = np.uint32(h + s1 + ((e & f) ^ (~e & g)) + _ROUND[i] + load_u32(work, SCHEDULE + 4 * i))
        s0 = _rotate(a, np.uint32(2)) ^ _rotate(a, np.uint32(13)) ^ _rotate(a, np.uint32(22))
        t2 = np.uint32(s0 + ((a & b) ^ (a & c) ^ (b & c)))
        h, g, f, e, d, c, b, a = g, f, e, np.uint32(d + t1), c, b, a, np.uint32(t1 + t2)
    for i, word in enumerate((a, b, c, d, e, f, g, h)):
        at = state + 4 * i
        store_u32(work, at, np.uint32(load_u32(work, at) + word))


@njit(cache=True)
def _four(work, at):
    return load_u32(work, at), load_u32(work, at + 4), load_u32(work, at + 8), load_u32(work, at + 12)


@njit(cache=True)
def ready(work):
    """Write what of `work` (window of WORK_BYTES bytes) stays the same between messages."""
    for at in range(SECOND, WORK_BYTES):
        store_u8(work, at, 0)
    for at in (SECOND, SECOND + 64):
        store_u8(work, at + 32, 0x80)
        store_u8(work, at + 62, 1)
    store_u8(work, PADDING, 0x80)
    store_u8(work, PADDING + 62, 2)


@njit(cache=True)
def begin(work, state):
    """Set the eight words at byte `state` of `work` to what every message begins with."""
    for i in range(8):
        store_u32(work, state + 4 * i, _START[i])


@njit(cache=True)
def finish(work, state, address):
    """Write the digest in the eight words at byte `state` of `work` to an address, 32 bytes."""
    for i in range(8):
        store_big_u32(address + 4 * i, load_u32(work, state + 4 * i))


# What follows does the same whatever the engine, which numba sees by the type of the first argument. Messages and
# targets are addresses; where that of one of two messages is 0, there is only the other.


def compress_two(engine, work, a, b, blocks):
    """Take `blocks` (>= 1) 64-byte blocks at `a` and at `b` into the states at STATE and STATE + 32 of `work`."""
    raise NotImplementedError("runs inside of kernels only")


def double_two(engine, work, a, b, blocks, to_a, to_b):
    """Hash two padded messages of `blocks` blocks twice."""
    raise NotImplementedError("runs inside of kernels only")


def double_four(engine, work, a, b, c, d, blocks, to_a, to_b, to_c, to_d):
    """Hash four padded messages of `blocks` blocks twice; none may be missing."""
    raise NotImplementedError("runs inside of kernels only")


def double_two_pairs(engine, work, a, b, to_a, to_b):
    """Hash two messages of 64 bytes, not padded, twice."""
    raise NotImplementedError("runs inside of kernels only")


@overload(compress_two)
def _choose_compress_two(engine, work, a, b, blocks):
    return {Plain: _plain_compress, ShaNi: _ni_compress, OpenSsl: _openssl_compress}[engine.instance_class]


@overload(double_two)
def _choose_double_two(engine, work, a, b, blocks, to_a, to_b):
    return _ni_double_two if engine.instance_class is ShaNi else _any_double_two


@overload(double_four)
def _choose_double_four(engine, work, a, b, c, d, blocks, to_a, to_b, to_c, to_d):
    return _ni_double_four if engine.instance_class is ShaNi else _any_double_four


@overload(double_two_pairs)
def _choose_double_two_pairs(engine, work, a, b, to_a, to_b):
    return _ni_double_two_pairs if engine.instance_class is ShaNi else _any_double_two_pairs


def _plain_compress(engine, work, a, b, blocks):
    for k in range(blocks):
        if a != 0:
            _compress(work, STATE, a + 64 * k)
        if b != 0:
            _compress(work, STATE + 32, b + 64 * k)


def _openssl_compress(engine, work, a, b, blocks):
    first, second = address_of(work, STATE, 32), address_of(work, STATE + 32, 32)
    for k in range(blocks):
        if a != 0:
            _call_transform(engine.transform, first, a + 64 * k)
        if b != 0:
            _call_transform(engine.transform, second, b + 64 * k)


def _any_double_two(engine, work, a, b, blocks, to_a, to_b):
    begin(work, STATE)
    begin(work, STATE + 32)
    compress_two(engine, work, a, b, blocks)
    _second(engine, work, to_a, to_b)


def _any_double_four(engine, work, a, b, c, d, blocks, to_a, to_b, to_c, to_d):
    double_two(engine, work, a, b, blocks, to_a, to_b)
    double_two(engine, work, c, d, blocks, to_c, to_d)


def _any_double_two_pairs(engine, work, a, b, to_a, to_b):
    begin(work, STATE)
    begin(work, STATE + 32)
    compress_two(engine, work, a, b, 1)
    padding = address_of(work, PADDING, 64)
    compress_two(engine, work, padding if a != 0 else 0, padding if b != 0 else 0, 1)
    _second(engine, work, to_a, to_b)


@njit(cache=True)
def _second(engine, work, to_a, to_b):
    """Hash the digests in the two states and write them to their targets."""
    a = address_of(work, SECOND, 64) if to_a != 0 else 0
    b = address_of(work, SECOND + 64, 64) if to_b != 0 else 0
    finish(work, STATE, address_of(work, SECOND, 32))
    finish(work, STATE + 32, address_of(work, SECOND + 64, 32))
    begin(work, STATE)
    begin(work, STATE + 32)
    compress_two(engine, work, a, b, 1)
    if to_a != 0:
        finish(work, STATE, to_a)
    if to_b != 0:
        finish(work, STATE + 32, to_b)


# The instructions take two messages or none: where there is one, it is hashed beside itself.


def _ni_compress(engine, work, a, b, blocks):
    compress_two_ni(address_of(work, STATE, 64), a if a != 0 else b, b if b != 0 else a, blocks)


def _ni_double_two(engine, work, a, b, blocks, to_a, to_b):
    if a == 0:
        a, to_a = b, to_b
    elif b == 0:
        b, to_b = a, to_a
    double_two_ni(a, b, blocks, to_a, to_b)


def _ni_double_four(engine, work, a, b, c, d, blocks, to_a, to_b, to_c, to_d):
    double_four_ni(a, b, c, d, blocks, to_a, to_b, to_c, to_d)


def _ni_double_two_pairs(engine, work, a, b, to_a, to_b):
    if a == 0:
        a, to_a = b, to_b
    elif b == 0:
        b, to_b = a, to_a
    double_two_pairs_ni(a, b, to_a, to_b)
