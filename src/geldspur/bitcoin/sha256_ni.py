"""SHA-256 by the SHA instructions of x86 processors, two messages side by side.

A round instruction (`sha256rnds2`) waits for the one before it, so a single message leaves the processor idle half
of the time; a second, independent message in the same loop fills the gaps.
Source: Intel, "Intel SHA Extensions: New Instructions Supporting the Secure Hash Algorithm", 2013.

LLVM ends the process when it is asked for an instruction that the processor lacks: nothing here may be compiled
before `sha256.engine()` has looked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from geldspur.bitcoin.sha256_constants import ROUND

_I64 = ir.IntType(64)
_WORDS = ir.VectorType(ir.IntType(32), 4)


def _vector(values: list[int]) -> Any:
    return ir.Constant(_WORDS, values)


class _Lane:
    """One message: its state as the instructions want it (words F, E, B, A and H, G, D, C) and its schedule."""

    def __init__(self, emit: "_Emitter", abef: Any, cdgh: Any) -> None:
        self.emit, self.abef, self.cdgh = emit, abef, cdgh
        self.schedule: list[Any] = []

    def four_rounds(self, group: int) -> None:
        emit = self.emit
        if group >= 4:
            w0, w1, w2, w3 = self.schedule[-4:]
            straddling = emit.shuffle(w2, w3, [1, 2, 3, 4])
            partial = emit.builder.add(emit.call("llvm.x86.sha256msg1", w0, w1), straddling)
            self.schedule.append(emit.call("llvm.x86.sha256msg2", partial, w3))
        keyed = emit.builder.add(self.schedule[group], _vector(ROUND[4 * group : 4 * group + 4]))
        self.cdgh = emit.call("llvm.x86.sha256rnds2", self.cdgh, self.abef, keyed)
        self.abef = emit.call("llvm.x86.sha256rnds2", self.abef, self.cdgh, emit.shuffle(keyed, keyed, [2, 3, 2, 3]))


class _Emitter:
    """Writes the instructions into a function under construction."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def call(self, name: str, *vectors: Any) -> Any:
        function_type = ir.FunctionType(_WORDS, [_WORDS] * len(vectors))
        return self.builder.call(cgutils.get_or_insert_function(self.builder.module, function_type, name), vectors)

    def shuffle(self, a: Any, b: Any, order: list[int]) -> Any:
        return self.builder.shuffle_vector(a, b, _vector(order))

    def load(self, address: Any, offset: int) -> Any:
        place = self.builder.inttoptr(self.builder.add(address, _I64(offset)), _WORDS.as_pointer())
        return self.builder.load(place, align=1)

    def store(self, value: Any, address: Any, offset: int) -> None:
        place = self.builder.inttoptr(self.builder.add(address, _I64(offset)), _WORDS.as_pointer())
        self.builder.store(value, place, align=1)

    def load_state(self, address: Any) -> tuple[Any, Any]:
        abcd, efgh = self.load(address, 0), self.load(address, 16)
        return self.shuffle(abcd, efgh, [5, 4, 1, 0]), self.shuffle(abcd, efgh, [7, 6, 3, 2])

    def store_state(self, address: Any, abef: Any, cdgh: Any) -> None:
        self.store(self.shuffle(abef, cdgh, [3, 2, 7, 6]), address, 0)
        self.store(self.shuffle(abef, cdgh, [1, 0, 5, 4]), address, 16)

    def message(self, address: Any) -> list[Any]:
        return [self.call("llvm.bswap.v4i32", self.load(address, 16 * k)) for k in range(4)]

    def compress(self, states: list[tuple[Any, Any]], messages: list[list[Any]]) -> list[tuple[Any, Any]]:
        """Take one block of each message into its state, the rounds of all messages interleaved."""
        lanes = [_Lane(self, *state) for state in states]
        for lane, message in zip(lanes, messages, strict=True):
            lane.schedule = list(message)
        for group in range(16):
            for lane in lanes:
                lane.four_rounds(group)
        add = self.builder.add
        return [
            (add(lane.abef, abef), add(lane.cdgh, cdgh)) for lane, (abef, cdgh) in zip(lanes, states, strict=True)
        ]


@intrinsic
def compress_two_ni(typingctx, state, a, b, blocks):
    """Take `blocks` (>= 1) blocks at address `a` and as many at `b` into the states at address `state` (uint32[2,8])."""

    def codegen(context, builder, signature, args):
        state, a, b, blocks = args
        emit = _Emitter(builder)
        places = [state, builder.add(state, _I64(32))]
        before = [emit.load_state(place) for place in places]
        entry = builder.basic_block
        loop, done = builder.append_basic_block("blocks"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(_I64)
        phis = [(builder.phi(_WORDS), builder.phi(_WORDS)) for _ in before]
        offset = builder.shl(step, _I64(6))
        messages = [emit.message(builder.add(start, offset)) for start in (a, b)]
        after = emit.compress(phis, messages)
        following = builder.add(step, _I64(1))
        step.add_incoming(_I64(0), entry)
        step.add_incoming(following, loop)
        for phi, first, later in zip(phis, before, after, strict=True):
            for k in range(2):
                phi[k].add_incoming(first[k], entry)
                phi[k].add_incoming(later[k], loop)
        builder.cbranch(builder.icmp_signed("<", following, blocks), loop, done)
        builder.position_at_end(done)
        for place, (abef, cdgh) in zip(places, after, strict=True):
            emit.store_state(place, abef, cdgh)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64, types.int64), codegen
