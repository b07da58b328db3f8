"""Unaligned words, copies and prefetches for kernels: what numba's arrays can't say in one instruction.

Each takes an array and a byte offset (prefetch: an element's index). They don't look at bounds, which is the
caller's duty; with NUMBA_BOUNDSCHECK=1 in the environment they do, as numba's own indexing then does.

In the place of an array they also take its window, (address, bytes). numba counts references to each array that one
function hands to another, by locked instructions that cost more than a small function does; to windows it doesn't.
A window doesn't keep its array alive.
"""

import os
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, overload

_CHECKED = os.environ.get("NUMBA_BOUNDSCHECK", "0") not in ("", "0")


def byte_pointer(context, builder, array_type, array, at):
    """A pointer to byte `at` of a contiguous array or window."""
    if isinstance(array_type, types.BaseTuple):
        return builder.inttoptr(builder.add(builder.extract_value(array, 0), at), cgutils.voidptr_t)
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(builder.bitcast(data, cgutils.voidptr_t), [at])


_UNSIGNED: dict[int, Any] = {8: types.uint8, 32: types.uint32, 64: types.uint64}


def _loader(bits: int):
    numba_type: Any = _UNSIGNED[bits]

    @intrinsic  # type: ignore[operator]
    def load(typingctx, array, at):
        def codegen(context, builder, signature, args):
            pointer = byte_pointer(context, builder, signature.args[0], args[0], args[1])
            word = builder.load(builder.bitcast(pointer, ir.IntType(bits).as_pointer()), align=1)
            return word

        return numba_type(array, types.int64), codegen

    return load


_load_u8, _load_u32, _load_u64 = _loader(8), _loader(32), _loader(64)


def _storer(bits: int):
    @intrinsic
    def store(typingctx, array, at, value):
        def codegen(context, builder, signature, args):
            pointer = byte_pointer(context, builder, signature.args[0], args[0], args[1])
            builder.store(args[2], builder.bitcast(pointer, ir.IntType(bits).as_pointer()), align=1)
            return context.get_dummy_value()

        return types.none(array, types.int64, _UNSIGNED[bits]), codegen

    return store


_store_u8, _store_u32, _store_u64 = _storer(8), _storer(32), _storer(64)


@intrinsic
def _copy(typingctx, target, target_at, source, source_at, count):
    def codegen(context, builder, signature, args):
        to = byte_pointer(context, builder, signature.args[0], args[0], args[1])
        of = byte_pointer(context, builder, signature.args[2], args[2], args[3])
        cgutils.raw_memcpy(builder, to, of, args[4], 1)
        return context.get_dummy_value()

    return types.none(target, types.int64, source, types.int64, types.int64), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Ask for the cache line of an array's element, or a window's byte; a wrong index does no harm."""

    def codegen(context, builder, signature, args):
        at = context.cast(builder, args[1], signature.args[1], types.int64)
        if isinstance(signature.args[0], types.BaseTuple):
            pointer = byte_pointer(context, builder, signature.args[0], args[0], at)
        else:
            made = context.make_array(signature.args[0])(context, builder, args[0])
            pointer = builder.bitcast(builder.gep(made.data, [at]), cgutils.voidptr_t)
        i32 = ir.IntType(32)
        function_type = ir.FunctionType(ir.VoidType(), [cgutils.voidptr_t, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, function_type, "llvm.prefetch.p0")
        builder.call(function, [pointer, i32(0), i32(3), i32(1)])
        return context.get_dummy_value()

    return types.none(array, index), codegen


@intrinsic
def _address(typingctx, array, at):
    def codegen(context, builder, signature, args):
        pointer = byte_pointer(context, builder, signature.args[0], args[0], args[1])
        return builder.ptrtoint(pointer, ir.IntType(64))

    return types.int64(array, types.int64), codegen


def _bytes_of(array):
    raise NotImplementedError("runs inside of kernels only")


@overload(_bytes_of, inline="always")
def _choose_bytes_of(array):
    if isinstance(array, types.BaseTuple):
        return lambda array: array[1]
    return lambda array: array.size * array.itemsize


@njit(inline="always")
def check(array, at, count):
    """Look at bounds, where NUMBA_BOUNDSCHECK asks for it: do `count` bytes at byte `at` lie in the array?"""
    if _CHECKED and (at < 0 or count < 0 or at + count > _bytes_of(array)):
        raise IndexError("a kernel reached beyond its array")


@njit(cache=True)
def address_of(array, at, count):
    """Address of the `count` bytes at byte `at` of a contiguous array."""
    check(array, at, count)
    return _address(array, np.int64(at))


@njit(cache=True)
def window_of(array):
    """The window of a contiguous array: (address, bytes)."""
    return _address(array, 0), np.int64(_bytes_of(array))


@njit(cache=True)
def load_u8(array, at):
    """The byte at `at`, as int64, without numba's care for negative indices."""
    check(array, at, 1)
    return np.int64(_load_u8(array, np.int64(at)))


@njit(cache=True)
def load_u32(array, at):
    """The little-endian 32-bit word at byte `at` of a contiguous array."""
    check(array, at, 4)
    return _load_u32(array, np.int64(at))


@njit(cache=True)
def load_u64(array, at):
    """The little-endian 64-bit word at byte `at` of a contiguous array."""
    check(array, at, 8)
    return _load_u64(array, np.int64(at))


@njit(cache=True)
def store_u8(array, at, value):
    """Write a byte at byte `at` of a contiguous array."""
    check(array, at, 1)
    _store_u8(array, np.int64(at), np.uint8(value))


@njit(cache=True)
def store_u32(array, at, value):
    """Write a little-endian 32-bit word at byte `at` of a contiguous array."""
    check(array, at, 4)
    _store_u32(array, np.int64(at), np.uint32(value))


@njit(cache=True)
def store_u64(array, at, value):
    """Write a little-endian 64-bit word at byte `at` of a contiguous array."""
    check(array, at, 8)
    _store_u64(array, np.int64(at), np.uint64(value))


@njit(cache=True)
def copy_bytes(target, target_at, source, source_at, count):
    """Copy `count` bytes between contiguous arrays; offsets are in bytes."""
    check(target, target_at, count)
    check(source, source_at, count)
    _copy(target, np.int64(target_at), source, np.int64(source_at), np.int64(count))


@njit(cache=True, inline="always")
def _differ(a, a_at, b, b_at):
    """Which bits of two words of eight bytes differ."""
    return _load_u64(a, np.int64(a_at)) ^ _load_u64(b, np.int64(b_at))


@njit(cache=True)
def same_bytes(a, a_at, b, b_at, count):
    """Are `count` bytes of two contiguous arrays equal? Offsets are in bytes."""
    check(a, a_at, count)
    check(b, b_at, count)
    if 16 <= count <= 32:
        # All at once: words from the front and from the back overlap, and nothing is left to be mispredicted.
        front = _differ(a, a_at, b, b_at) | _differ(a, a_at + 8, b, b_at + 8)
        a_at, b_at = a_at + count - 16, b_at + count - 16
        return (front | _differ(a, a_at, b, b_at) | _differ(a, a_at + 8, b, b_at + 8)) == 0
    at = 0
    while at + 8 <= count:
        if _load_u64(a, np.int64(a_at + at)) != _load_u64(b, np.int64(b_at + at)):
            return False
        at += 8
    while at < count:
        if _load_u8(a, np.int64(a_at + at)) != _load_u8(b, np.int64(b_at + at)):
            return False
        at += 1
    return True
