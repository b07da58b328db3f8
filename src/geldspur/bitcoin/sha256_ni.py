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

from geldspur.bitcoin.sha256_constants import PADDING_OF_32, PADDING_OF_64, ROUND, START, expand

_I64 = ir.IntType(64)
_WORDS = ir.VectorType(ir.IntType(32), 4)
_State = tuple[Any, Any]
"""A state as the instructions want it: words F, E, B, A and H, G, D, C, lowest lane first."""


def _vector(values: list[int]) -> Any:
    return ir.Constant(_WORDS, values)


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
        """The first 16 words of the schedule of the block at an address, four a vector."""
        return [self.call("llvm.bswap.v4i32", self.load(address, 16 * k)) for k in range(4)]

    def digest_message(self, state: _State) -> list[Any]:
        """The same for the block that holds a digest as a message of its own, and its padding."""
        padding = [_vector(expand(bytes(32) + PADDING_OF_32)[k : k + 4]) for k in (8, 12)]
        return [*self.in_order(state), *padding]

    def extend(self, schedule: list[Any]) -> None:
        """The next four words of a schedule."""
        w0, w1, w2, w3 = schedule[-4:]
        partial = self.builder.add(self.call("llvm.x86.sha256msg1", w0, w1), self.shuffle(w2, w3, [1, 2, 3, 4]))
        schedule.append(self.call("llvm.x86.sha256msg2", partial, w3))

    def four_rounds(self, state: _State, keyed: Any) -> _State:
        abef, cdgh = state
        cdgh = self.call("llvm.x86.sha256rnds2", cdgh, abef, keyed)
        abef = self.call("llvm.x86.sha256rnds2", abef, cdgh, self.shuffle(keyed, keyed, [2, 3, 2, 3]))
        return abef, cdgh

    def compress(self, states: list[_State], messages: list[list[Any]]) -> list[_State]:
        """Take one block of each message into its state, the rounds of all messages interleaved."""
        lanes, schedules = list(states), [list(message) for message in messages]
        for group in range(16):
            for k, schedule in enumerate(schedules):
                if group >= 4:
                    self.extend(schedule)
                keyed = self.builder.add(schedule[group], _vector(ROUND[4 * group : 4 * group + 4]))
                lanes[k] = self.four_rounds(lanes[k], keyed)
        return self.forward(lanes, states)

    def compress_known(self, states: list[_State], block: bytes) -> list[_State]:
        """The same for a block that is known beforehand, whose schedule costs nothing."""
        lanes, words = list(states), expand(block)
        for at in range(0, 64, 4):
            keyed = _vector([(words[at + k] + ROUND[at + k]) & 0xFFFFFFFF for k in range(4)])
            lanes = [self.four_rounds(lane, keyed) for lane in lanes]
        return self.forward(lanes, states)

    def forward(self, after: list[_State], before: list[_State]) -> list[_State]:
        add = self.builder.add
        return [(add(a[0], b[0]), add(a[1], b[1])) for a, b in zip(after, before, strict=True)]

    def in_order(self, state: _State) -> tuple[Any, Any]:
        """Words A, B, C, D and E, F, G, H of a state."""
        return self.shuffle(*state, [3, 2, 7, 6]), self.shuffle(*state, [1, 0, 5, 4])

    def start(self) -> _State:
        a, b, c, d, e, f, g, h = START
        return _vector([f, e, b, a]), _vector([h, g, d, c])

    def store_digests(self, states: list[_State], addresses: list[Any]) -> None:
        for state, address in zip(states, addresses, strict=True):
            for k, words in enumerate(self.in_order(state)):
                self.store(self.call("llvm.bswap.v4i32", words), address, 16 * k)

    def loop(self, states: list[_State], addresses: list[Any], blocks: Any) -> list[_State]:
        """Take `blocks` (>= 1) blocks from each address on into the states."""
        builder, entry = self.builder, self.builder.basic_block
        loop, done = builder.append_basic_block("blocks"), builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        step = builder.phi(_I64)
        phis = [(builder.phi(_WORDS), builder.phi(_WORDS)) for _ in states]
        offset = builder.shl(step, _I64(6))
        after = self.compress(phis, [self.message(builder.add(start, offset)) for start in addresses])
        following = builder.add(step, _I64(1))
        step.add_incoming(_I64(0), entry)
        step.add_incoming(following, loop)
        for phi, first, later in zip(phis, states, after, strict=True):
            for k in range(2):
                phi[k].add_incoming(first[k], entry)
                phi[k].add_incoming(later[k], loop)
        builder.cbranch(builder.icmp_signed("<", following, blocks), loop, done)
        builder.position_at_end(done)
        return after

    def double(self, addresses: list[Any], blocks: Any, targets: list[Any]) -> None:
        """Hash padded messages of `blocks` blocks twice."""
        first = self.loop([self.start()] * len(addresses), addresses, blocks)
        second = self.compress([self.start()] * len(addresses), [self.digest_message(state) for state in first])
        self.store_digests(second, targets)


@intrinsic
def compress_two_ni(typingctx, state, a, b, blocks):
    """Take `blocks` (>= 1) blocks at address `a` and as many at `b` into the states at `state` (64 bytes)."""

    def codegen(context, builder, signature, args):
        state, a, b, blocks = args
        emit = _Emitter(builder)
        places = [state, builder.add(state, _I64(32))]
        after = emit.loop([emit.load_state(place) for place in places], [a, b], blocks)
        for place, (abef, cdgh) in zip(places, after, strict=True):
            emit.store_state(place, abef, cdgh)
        return context.get_dummy_value()

    return types.none(types.int64, types.int64, types.int64, types.int64), codegen


@intrinsic
def double_two_ni(typingctx, a, b, blocks, to_a, to_b):
    """Hash two padded messages of `blocks` blocks at addresses `a` and `b` twice, to `to_a` and `to_b` (32 bytes)."""

    def codegen(context, builder, signature, args):
        _Emitter(builder).double(args[:2], args[2], args[3:])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 5), codegen


@intrinsic
def double_four_ni(typingctx, a, b, c, d, blocks, to_a, to_b, to_c, to_d):
    """The same for four messages: their states no longer fit the registers, and still it is the fastest."""

    def codegen(context, builder, signature, args):
        _Emitter(builder).double(args[:4], args[4], args[5:])
        return context.get_dummy_value()

    return types.none(*[types.int64] * 9), codegen


@intrinsic
def double_two_pairs_ni(typingctx, a, b, to_a, to_b):
    """Hash the 64 bytes at addresses `a` and `b` twice, to `to_a` and `to_b` (32 bytes)."""

    def codegen(context, builder, signature, args):
        a, b, *targets = args
        emit = _Emitter(builder)
        first = emit.compress([emit.start()] * 2, [emit.message(a), emit.message(b)])
        first = emit.compress_known(first, PADDING_OF_64)
        second = emit.compress([emit.start()] * 2, [emit.digest_message(state) for state in first])
        emit.store_digests(second, targets)
        return context.get_dummy_value()

    return types.none(*[types.int64] * 4), codegen
