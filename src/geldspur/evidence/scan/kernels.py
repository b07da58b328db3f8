"""MD5 of sixteen files at once, a lane of a vector each.

MD5 has no parallelism of its own: each of its steps waits for the one before, which leaves most of a core idle and
makes it half of all the work of four digests. Sixteen files side by side fill the core. LLVM fits the vectors of 16
words to what the processor has. Little-endian processors only.
"""

import math

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic
from numba.np.numpy_support import carray

LANES = 16
_BLOCK, _TAIL = 64, 128
_START = (0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476)
_SINES = tuple(int(abs(math.sin(step + 1)) * 2**32) for step in range(64))  # RFC 1321, 3.4
_TURNS = ((7, 12, 17, 22), (5, 9, 14, 20), (4, 11, 16, 23), (6, 10, 15, 21))
_WORDS = ((1, 0), (5, 1), (3, 5), (7, 0))  # of each round: step i takes word (m * i + n) mod 16

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_V32, _V64 = ir.VectorType(_I32, LANES), ir.VectorType(_I64, LANES)
_V8 = ir.VectorType(_I32, 8)
_PAIRS, _PAIRS_OF_PAIRS = [0, 8, 1, 9, 4, 12, 5, 13], [0, 1, 8, 9, 4, 5, 12, 13]  # within the halves of two vectors
_HALVES = [0, 1, 2, 3, 8, 9, 10, 11]


def _all(kind, value):
    return ir.Constant(kind, [value] * LANES)


def _mixed(builder, turn, b, c, d):
    if turn == 0:
        return builder.xor(d, builder.and_(b, builder.xor(c, d)))
    if turn == 1:
        return builder.xor(c, builder.and_(d, builder.xor(b, c)))
    if turn == 2:
        return builder.xor(builder.xor(b, c), d)
    return builder.xor(c, builder.or_(b, builder.not_(d)))


def _turned(builder, rows):
    """Eight rows of eight words, column by column: pairs of words, of pairs, and of halves change places."""

    def both(a, b, low, high):
        return [builder.shuffle_vector(a, b, ir.Constant(_V8, order)) for order in (low, high)]

    one = [both(rows[k], rows[k + 1], _PAIRS, [2 + place for place in _PAIRS]) for k in (0, 2, 4, 6)]
    two = []
    for upper, lower in (one[:2], one[2:]):
        for a, b in zip(upper, lower, strict=True):
            two += both(a, b, _PAIRS_OF_PAIRS, [2 + place for place in _PAIRS_OF_PAIRS])
    three = [both(two[k], two[k + 4], _HALVES, [4 + place for place in _HALVES]) for k in range(4)]
    return [low for low, _ in three] + [high for _, high in three]


def _words_of(builder, places, offset):
    """The 16 words of each lane's block, word by word. To load lanes whole and turn them is quicker than to gather."""
    lanes = [builder.add(builder.extract_element(places, _I32(lane)), offset) for lane in range(LANES)]
    words = []
    for half in (0, 32):
        columns = []
        for first in range(0, LANES, 8):
            at = [
                builder.inttoptr(builder.add(lane, _I64(half)), _V8.as_pointer()) for lane in lanes[first : first + 8]
            ]
            columns.append(_turned(builder, [builder.load(place, align=1) for place in at]))
        words += [
            builder.shuffle_vector(a, b, ir.Constant(_V32, list(range(16)))) for a, b in zip(*columns, strict=True)
        ]
    return words


@intrinsic
def _block(typingctx, state, places, offset):
    """Take one block a lane into the state: addresses of uint32[4, 16] and of int64[16] addresses, plus an offset."""

    def code(context, builder, signature, args):
        def pointer(address, kind, more=0):
            return builder.inttoptr(builder.add(address, ir.Constant(_I64, more)), kind.as_pointer())

        def load(at):
            value = builder.load(at)
            value.align = 4
            return value

        places_of = [pointer(args[0], _V32, 4 * LANES * row) for row in range(4)]
        before = [load(place) for place in places_of]
        words = _words_of(builder, load(pointer(args[1], _V64)), args[2])
        a, b, c, d = before
        for step in range(64):
            turn = step // 16
            by, plus = _WORDS[turn]
            left = _TURNS[turn][step % 4]
            added = builder.add(words[(by * step + plus) % 16], _all(_V32, _SINES[step]))
            total = builder.add(builder.add(_mixed(builder, turn, b, c, d), a), added)
            turned = builder.or_(builder.shl(total, _all(_V32, left)), builder.lshr(total, _all(_V32, 32 - left)))
            a, d, c, b = d, c, b, builder.add(b, turned)
        for place, old, new in zip(places_of, before, (a, b, c, d), strict=True):
            builder.store(builder.add(old, new), place).align = 4
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), code


def md5_many(data, length, starts, sizes, count, tails, state, lanes, out):
    """MD5 of parts of `data` uint8[length]: starts and sizes int64[count], all within it; into `out` uint32[count, 4].

    The caller checks the bounds. Room to work in: `tails` uint8[count, 128], `state` uint32[4, 16], `lanes`
    int64[4, 16]. Compiled by `machinecode`, which is why it takes addresses.
    """
    _md5_many(
        carray(data, length, np.uint8), carray(starts, count, np.int64), carray(sizes, count, np.int64),
        carray(tails, (count, _TAIL), np.uint8), carray(state, (4, LANES), np.uint32),
        carray(lanes, (4, LANES), np.int64), carray(out, (count, 4), np.uint32),
    )  # fmt: skip
    return 0


@njit(error_model="numpy")
def _fill_tails(data, starts, sizes, tails):
    """The end of each file with its padding, of which the first one or two blocks count."""
    for file in range(len(sizes)):
        size = sizes[file]
        rest = size % _BLOCK
        whole = starts[file] + size - rest
        for at in range(_TAIL):
            tails[file, at] = data[whole + at] if at < rest else 0
        tails[file, rest] = 0x80
        end = _BLOCK if rest < 56 else _TAIL
        for byte in range(8):
            tails[file, end - 8 + byte] = ((size * 8) >> (8 * byte)) & 0xFF


@njit(error_model="numpy")
def _md5_many(data, starts, sizes, tails, state, lanes, out):
    count = len(sizes)
    _fill_tails(data, starts, sizes, tails)
    places, left, file, in_tail = lanes[0], lanes[1], lanes[2], lanes[3]
    left[:], file[:], in_tail[:] = 0, -1, 1
    data_at, tails_at, state_at, places_at = data.ctypes.data, tails.ctypes.data, state.ctypes.data, places.ctypes.data
    following = 0
    while True:
        fewest, busy = np.int64(-1), -1
        for lane in range(LANES):
            while left[lane] == 0:
                if in_tail[lane] == 0:  # its whole blocks are done
                    in_tail[lane] = 1
                    places[lane] = tails_at + file[lane] * _TAIL
                    left[lane] = 1 if sizes[file[lane]] % _BLOCK < 56 else 2
                    continue
                if file[lane] >= 0:
                    for row in range(4):
                        out[file[lane], row] = state[row, lane]
                    file[lane] = -1
                if following == count:
                    break
                file[lane], in_tail[lane] = following, 0
                places[lane] = data_at + starts[following]
                left[lane] = sizes[following] // _BLOCK
                for row in range(4):
                    state[row, lane] = _START[row]
                following += 1
            if left[lane] > 0 and (busy < 0 or left[lane] < fewest):
                fewest, busy = left[lane], lane
        if busy < 0:
            return
        for lane in range(LANES):
            if left[lane] == 0:
                places[lane] = places[busy]  # an idle lane reads along; what it computes is not used
        for block in range(fewest):
            _block(state_at, places_at, block * _BLOCK)
        for lane in range(LANES):
            if left[lane] > 0:
                left[lane] -= fewest
                places[lane] += fewest * _BLOCK
