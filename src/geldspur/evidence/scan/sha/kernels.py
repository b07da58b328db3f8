"""SHA-1 and SHA-256 of the same bytes in one go, by the SHA instructions of x86 processors.

A round instruction of either waits for the one before it, so that one digest alone leaves the processor idle half of
the time. The two don't wait for each other: together they take little longer than one of them.
Source: Intel, "Intel SHA Extensions: New Instructions Supporting the Secure Hash Algorithm", 2013.

LLVM ends the process when it is asked for an instruction that the processor lacks: nothing here may be compiled
before `both.has_instructions` has looked.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from geldspur.bitcoin.sha256_constants import ROUND

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_WORDS, _BYTES = ir.VectorType(_I32, 4), ir.VectorType(ir.IntType(8), 16)
_STATES = 4  # vectors: FEBA and HGDC of SHA-256, DCBA and E (in the highest lane) of SHA-1, lowest lane first


def _call(builder, name, *vectors, turn=None):
    kinds, values = [vector.type for vector in vectors], list(vectors)
    if turn is not None:  # which of SHA-1's four functions
        kinds.append(ir.IntType(8))
        values.append(ir.Constant(ir.IntType(8), turn))
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_WORDS, kinds), f"llvm.{name}")
    return builder.call(function, values)


def _shuffled(builder, a, b, order):
    return builder.shuffle_vector(a, b, ir.Constant(_WORDS, order))


def _loaded(builder, address, offset):
    place = builder.inttoptr(builder.add(address, _I64(offset)), _WORDS.as_pointer())
    return builder.load(place, align=1)


def _next_of_256(builder, w):
    partial = _call(builder, "x86.sha256msg1", w[-4], w[-3])
    return _call(builder, "x86.sha256msg2", builder.add(partial, _shuffled(builder, w[-2], w[-1], [1, 2, 3, 4])), w[-1])


def _next_of_1(builder, w):
    return _call(builder, "x86.sha1msg2", builder.xor(_call(builder, "x86.sha1msg1", w[-4], w[-3]), w[-2]), w[-1])


def _compressed(builder, before, address):
    """The states with the block at an address taken in, the rounds of both digests in turn."""
    feba, hgdc, dcba, e = before
    words = [_call(builder, "bswap.v4i32", _loaded(builder, address, 16 * k)) for k in range(4)]
    turned = [_shuffled(builder, w, w, [3, 2, 1, 0]) for w in words]
    last = dcba
    for group in range(20):
        if group >= 4:
            turned.append(_next_of_1(builder, turned))
        keyed = builder.add(e, turned[0]) if group == 0 else _call(builder, "x86.sha1nexte", last, turned[group])
        last, dcba = dcba, _call(builder, "x86.sha1rnds4", dcba, keyed, turn=group // 5)
        if group < 16:
            if group >= 4:
                words.append(_next_of_256(builder, words))
            keyed = builder.add(words[group], ir.Constant(_WORDS, list(ROUND[4 * group : 4 * group + 4])))
            hgdc = _call(builder, "x86.sha256rnds2", hgdc, feba, keyed)
            feba = _call(builder, "x86.sha256rnds2", feba, hgdc, _shuffled(builder, keyed, keyed, [2, 3, 2, 3]))
    added = [builder.add(new, old) for new, old in zip((feba, hgdc, dcba), before[:3], strict=True)]
    return [*added, _call(builder, "x86.sha1nexte", last, before[3])]


@intrinsic
def _blocks(typingctx, state, data, count):
    """Take `count` (>= 1) blocks of 64 bytes at address `data` into the four vectors at address `state`."""

    def code(context, builder, signature, args):
        state, data, count = args
        first = [_loaded(builder, state, 16 * k) for k in range(_STATES)]
        entry, loop, done = (
            builder.basic_block,
            builder.append_basic_block("blocks"),
            builder.append_basic_block("done"),
        )
        builder.branch(loop)
        builder.position_at_end(loop)
        step, held = builder.phi(_I64), [builder.phi(_WORDS) for _ in first]
        after = _compressed(builder, held, builder.add(data, builder.shl(step, _I64(6))))
        following = builder.add(step, _I64(1))
        for phi, start, later in zip([step, *held], [_I64(0), *first], [following, *after], strict=True):
            phi.add_incoming(start, entry)
            phi.add_incoming(later, loop)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, done)
        builder.position_at_end(done)
        for k, value in enumerate(after):
            place = builder.inttoptr(builder.add(state, _I64(16 * k)), _WORDS.as_pointer())
            builder.store(value, place, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


def take(state, data, count):
    """Take `count` blocks of 64 bytes at address `data` into uint32[16] at address `state`, laid out as in `both`.

    Compiled by `machinecode`, which is why it takes addresses.
    """
    if count > 0:
        _blocks(state, data, count)
    return 0
