"""Run by test_kernel_bounds: PDQ, dark bars and MD5 between pages that can't be touched, with and without checks.

First as the machine code that a scan uses, then as numba's functions, which with NUMBA_BOUNDSCHECK=1 check every index.
Both must give the same, and what others compute from the same bytes.
"""

import ctypes
import hashlib
import importlib
import mmap

import numpy as np

from geldspur.evidence.media import pdq
from geldspur.evidence.scan import kernels, lanes
from geldspur.evidence.scan.ready import compile_kernels
from geldspur.machinecode import MachineCode

try:
    import pdqhash
except ImportError:
    pdqhash = None

# 1 to 4 samples a side are none of PDQ's, but the kernels must bear them; 2,050 need wider sums, 33,000 need fractions.
SIZES = [(1, 1), (1, 90), (90, 1), (3, 4), (5, 5), (5, 64), (63, 65), (64, 64), (65, 63), (127, 128), (129, 127),
         (130, 700), (2050, 40), (40, 2050), (33_000, 5), (5, 33_000)]  # fmt: skip
EDGES = [0, 1, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 129]
SMALLEST = pdq.SMALLEST
_KEPT = []  # mappings


def between_guards(size):
    """Memory of whole pages, with one before and one behind it that nothing may touch."""
    page, pages = mmap.PAGESIZE, -(-size // mmap.PAGESIZE)
    memory = mmap.mmap(-1, (pages + 2) * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for guard in (start, start + (pages + 1) * page):
        assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) == 0
    _KEPT.append(memory)
    return memoryview(memory)[page : (pages + 1) * page]


def planes(height, width, chance):
    """The same texture: alone at either end of its memory, and inside a plane that is wider and higher."""
    walk = np.cumsum(np.cumsum(chance.normal(size=(height, width)), 0), 1)
    texture = ((walk - walk.min()) / max(np.ptp(walk), 1e-9) * 255).astype(np.uint8)
    room = between_guards(height * width)
    for begin in {0, len(room) - height * width}:
        view = room[begin : begin + height * width].cast("B", (height, width))
        np.asarray(view)[:] = texture
        yield texture, view, pdq.Rectangle(0, 0, height, width)
    around = between_guards((height + 3) * (width + 11))
    view = around[-(height + 3) * (width + 11) :].cast("B", (height + 3, width + 11))
    np.asarray(view)[:] = 255
    for top, left in ((0, 0), (3, 11)):
        np.asarray(view)[top : top + height, left : left + width] = texture
        yield texture, view, pdq.Rectangle(top, left, height, width)


def dark_edges(texture):
    """Top, bottom, left and right, as `darkest_edges` tells them."""

    def dark(line):
        return (line > pdq.DARK).sum() <= len(line) * pdq.DARK_ALLOWED // 1000

    def count(lines):
        return next((number for number, line in enumerate(lines) if not dark(line)), len(lines))

    top = count(texture)
    bottom = count(texture[top:][::-1])
    rest = texture[top : len(texture) - bottom]
    left = count(rest.T)
    return top, bottom, left, count(rest.T[left:][::-1])


def hashed():
    """PDQ and bars of every size and place."""
    chance, found = np.random.default_rng(11), []
    for height, width in SIZES:
        for texture, plane, part in planes(height, width, chance):
            one = pdq.pdq(plane, part, limited=width == 65)
            if pdqhash is not None and min(height, width) >= SMALLEST and width != 65:
                bits, quality = pdqhash.compute(np.ascontiguousarray(np.repeat(texture[:, :, None], 3, 2)))
                assert (one.plain, one.quality) == (np.packbits(bits.astype(np.uint8)).tobytes(), quality), (
                    texture.shape
                )
            edges = np.zeros(4, np.int64)
            view = memoryview(plane)
            pdq._kernels()["darkest_edges"](
                ctypes.addressof(ctypes.c_char.from_buffer(view)), *view.shape, part.top, part.left, height, width,
                pdq.DARK, pdq.DARK_ALLOWED, edges.ctypes.data,
            )  # fmt: skip
            assert tuple(edges) == dark_edges(texture), (height, width)
            found.append((one, tuple(edges)))
    return found


def digested():
    """MD5 of messages that end with the last byte of the buffer, in lanes as even and as uneven as can be."""
    chance = np.random.default_rng(12)
    for sizes in (
        [],
        [0],
        [1],
        EDGES,
        EDGES[::-1] * 3,
        [0] * 40,
        [5000] + [1] * 20,
        list(chance.integers(0, 3000, 33)),
    ):
        buffer = between_guards(max(1, sum(map(int, sizes))))
        buffer[:] = chance.bytes(len(buffer))
        lanes.CAPACITY = len(buffer)
        many = lanes.Lanes()
        many._data = buffer
        ends = len(buffer) - np.cumsum([0, *sizes])[:-1]
        parts = [(int(end - size), int(size)) for end, size in zip(ends, sizes, strict=True)]
        wanted = [hashlib.md5(buffer[start : start + size]).digest() for start, size in parts]
        assert many.md5(parts) == wanted, sizes


def checked(code):
    """`MachineCode.load`, but with what numba compiles now: the outermost function stays Python's."""
    module = importlib.import_module(code.module)

    def called(name, letters):
        def call(*values):
            given = [ctypes.c_void_p(each) if letter == "p" else each
                     for each, letter in zip(values, letters, strict=True)]  # fmt: skip
            return getattr(module, name)(*given)

        return call

    return {name: called(name, letters) for name, letters in code.functions.items()}


def main():
    """Say what was seen; anything wrong ends it before."""
    compile_kernels()  # elsewhere: what numba compiles for machine code here, it would use again without checks
    pdq.SMALLEST = 1
    by_machine_code = hashed()
    digested()
    for cache in (pdq._kernels, lanes._kernel):
        cache.cache_clear()
    MachineCode.load = checked
    assert hashed() == by_machine_code
    digested()
    try:
        one = np.ones(1, np.int64)
        kernels._fill_tails(np.zeros(1, np.uint8), one, one, np.zeros((1, 128), np.uint8))
    except IndexError:
        print("checked")


if __name__ == "__main__":
    main()
