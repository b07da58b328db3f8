"""Searches over the words of one cache line, all at once: one comparison of vectors in the place of a loop.

A loop over slots ends where nobody can foretell, and a processor that guessed wrong loses more time than it takes to
look at a whole cache line. Words are uint64; the functions take arrays or windows and byte offsets, as `words` does.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from geldspur.bitcoin.words import byte_pointer, check

_LANES = 8
_I1, _I32, _I64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)
_WORDS = ir.VectorType(_I64, _LANES)


def _first_set(builder, bits):
    """The first lane of a comparison that is true, or 8."""
    word = builder.zext(builder.bitcast(bits, ir.IntType(_LANES)), _I64)
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_I64, [_I64, _I1]), "llvm.cttz.i64")
    return builder.call(function, [builder.or_(word, _I64(1 << _LANES)), _I1(1)])


def _load(context, builder, array_type, array, at):
    pointer = byte_pointer(context, builder, array_type, array, at)
    return builder.load(builder.bitcast(pointer, _WORDS.as_pointer()), align=8)


def _all(value: int):
    return ir.Constant(_WORDS, [value] * _LANES)


@intrinsic
def _tag_of_8(typingctx, array, at, tag):
    def codegen(context, builder, signature, args):
        undefined = ir.Constant(_WORDS, ir.Undefined)
        one = builder.insert_element(undefined, args[2], _I32(0))
        tags = builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, _LANES), [0] * _LANES))
        high = builder.lshr(_load(context, builder, signature.args[0], args[0], args[1]), _all(32))
        return _first_set(builder, builder.icmp_unsigned("==", high, tags))

    return types.int64(array, types.int64, types.uint64), codegen


@intrinsic
def _zero_of_8(typingctx, array, at):
    def codegen(context, builder, signature, args):
        words = _load(context, builder, signature.args[0], args[0], args[1])
        return _first_set(builder, builder.icmp_unsigned("==", words, _all(0)))

    return types.int64(array, types.int64), codegen


@njit(cache=True)
def tag_of_8(array, at, tag):
    """Which of the 8 words from byte `at` on is the first whose high half is `tag` (uint64)? 8 where none is."""
    check(array, at, 64)
    return _tag_of_8(array, np.int64(at), np.uint64(tag))


@njit(cache=True)
def zero_of_8(array, at):
    """Which of the 8 words from byte `at` on is the first that is zero? 8 where none is."""
    check(array, at, 64)
    return _zero_of_8(array, np.int64(at))
