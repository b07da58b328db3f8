"""Exact PDQ (Facebook's 256-bit image hash) straight from a luma plane.

PDQ filters the plane twice with a box along each axis, takes 64 by 64 samples of what results, and keeps which of 256
low frequencies of their DCT exceed the median ("PDQ & TMK+PDQF", Meta, 2019; the window sizes and the rule at the
borders are those of its reference code). Filters and decimation are linear and separable, so that the whole is one
weighted sum an output row, and one an output column: each sample of the plane is read about once.

The reference adds and subtracts in float32 along each line, and rounds where the fold does not. Pictures with texture
give the same 256 bits; flat ones, many of whose frequencies are equal but for rounding, may not: their quality is below
PDQ's limit of 50 nearly always.
"""

import math
from array import array
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from geldspur.machinecode import Function, MachineCode, address

if TYPE_CHECKING:
    from typing_extensions import Buffer

CODE = MachineCode(
    "pdq",
    "geldspur.evidence.media.kernels",
    {"hash_plane": "pqqqqq" + 2 * "ppqppp" + "pqqp" + "pppp" + "pqp", "darkest_edges": "pqqqqqqqqp"},
)
SMALLEST = 5  # samples a side; PDQ hashes nothing smaller
DARK, DARK_ALLOWED = 28, 20  # a bar's samples are at most 28 of 255 (black is 16 in limited range), but for 20 in 1000
LEAST_BAR, LEAST_PICTURE = 0.03, 0.25  # of a side: thinner bars hardly move the hash, a smaller rest is no picture

_TAPS = 8  # the rows of a fold are padded to a multiple of it, so that the processor sums whole vectors
_ROOM = (64 * 64, 64 * 16, 16 * 16, 256)  # float32 that the kernel works in
_COSINES = array(
    "f",
    (
        math.sqrt(2 / 64) * math.cos(math.pi / 128 * (2 * k + 1) * frequency)
        for k in range(64)
        for frequency in range(1, 17)
    ),
)


class Pdq(NamedTuple):
    """PDQ of a picture and its mirror image: 32 bytes each, in the order of its hexadecimal form, quality 0 to 100."""

    plain: bytes
    mirrored: bytes
    quality: int


@dataclass(frozen=True, slots=True)
class Rectangle:
    """Part of a plane, in samples."""

    top: int
    left: int
    height: int
    width: int


@dataclass(frozen=True, slots=True)
class Fold:
    """A filter and decimation along one axis, as the kernel takes it: 64 sums of up to `taps` weighted samples."""

    start: "array[int]"  # int64
    count: "array[int]"  # int64
    taps: int
    parts: "array[int]"  # uint16
    whole: "array[int]"  # int64
    weight: "array[float]"  # float64

    def arguments(self) -> tuple[int, ...]:
        """As the kernel is given it."""
        arrays = (self.parts, self.whole, self.weight)
        return address(self.start), address(self.count), self.taps, *map(address, arrays)


class _Plane(NamedTuple):
    samples: memoryview
    lines: int
    stride: int

    def arguments(self) -> tuple[int, ...]:
        return address(self.samples), self.lines, self.stride


@lru_cache(maxsize=64)
def fold(length: int) -> Fold:
    """PDQ's two box filters and its decimation along an axis of `length` samples, as 64 weighted sums.

    Within the picture the weights are whole numbers over the window's square; at its border PDQ divides by what is left
    of the window, so that the weights there are fractions.
    """
    window = (length + 127) // 128
    ahead = (window + 2) // 2 - 1
    behind = window - 1 - ahead
    box = [(max(0, k - behind), min(length, k + ahead + 1)) for k in range(length)]
    start, rows = array("q"), []
    for k in range(64):
        low, high = box[int((k + 0.5) * length / 64)]
        first = box[low][0]
        weight = [0.0] * (box[high - 1][1] - first)
        for a, b in box[low:high]:
            for sample in range(a - first, b - first):
                weight[sample] += 1 / (b - a) / (high - low)
        start.append(first)
        rows.append(weight)
    taps = -(-max(map(len, rows)) // _TAPS) * _TAPS
    parts, whole, weights = array("H"), array("q"), array("d")
    for row in rows:
        missing = taps - len(row)
        exact = [value * window**2 for value in row]
        is_whole = window**2 <= 65535 and all(abs(part - round(part)) < 1e-6 for part in exact)
        parts.extend([round(part) if is_whole else 0 for part in exact] + [0] * missing)
        whole.append(window**2 if is_whole else 0)
        weights.extend(row + [0.0] * missing)
    return Fold(start, array("q", map(len, rows)), taps, parts, whole, weights)


def pdq(plane: "Buffer", part: Rectangle | None = None, *, limited: bool = False) -> Pdq:
    """PDQ of a luma plane.

    Args:
        plane: uint8[lines, stride], contiguous, as numpy's or a memoryview; the stride may exceed the picture's width.
        part: the picture within it; the whole plane where None.
        limited: samples run from 16 to 235 as in most video. The bits are the same either way; PDQ's quality is
            defined on the full range.

    Raises:
        ValueError: the part does not lie in the plane, or the plane is not contiguous uint8.
    """
    checked, part = _checked(plane, part)
    if min(part.height, part.width) < SMALLEST:
        return Pdq(bytes(32), bytes(32), 0)
    rows, columns = fold(part.height), fold(part.width)
    narrow = 255 * max(rows.whole) <= 65535
    length = part.width + columns.taps
    line, real, bits = bytearray((2 if narrow else 4) * length), bytearray(8 * part.width), bytearray(64)
    room = [bytearray(4 * count) for count in _ROOM]
    quality = _kernels()["hash_plane"](
        *checked.arguments(), part.top, part.left, part.width, *rows.arguments(), *columns.arguments(), address(line),
        length, narrow, address(real), *map(address, room), address(_COSINES), limited, address(bits),
    )  # fmt: skip
    return Pdq(bytes(bits[:32]), bytes(bits[32:]), quality)


def warm() -> None:
    """Load the kernels, so that nothing is left to do in a sandbox that can't write."""
    _kernels()


@cache
def _kernels() -> dict[str, Function]:
    return CODE.load()


def without_bars(plane: "Buffer", part: Rectangle | None = None) -> Rectangle | None:
    """The picture between dark bars, or None where there are none worth cutting (or nothing but dark).

    Raises:
        ValueError: as `pdq`.
    """
    checked, part = _checked(plane, part)
    edges = array("q", bytes(32))
    where = part.top, part.left, part.height, part.width
    _kernels()["darkest_edges"](*checked.arguments(), *where, DARK, DARK_ALLOWED, address(edges))
    top, bottom, left, right = edges
    height, width = part.height - top - bottom, part.width - left - right
    if top + bottom < LEAST_BAR * part.height:
        top, height = 0, part.height
    if left + right < LEAST_BAR * part.width:
        left, width = 0, part.width
    if (height, width) == (part.height, part.width):
        return None
    if height < LEAST_PICTURE * part.height or width < LEAST_PICTURE * part.width or min(height, width) < SMALLEST:
        return None
    return Rectangle(part.top + top, part.left + left, height, width)


def _checked(plane: "Buffer", part: Rectangle | None) -> tuple[_Plane, Rectangle]:
    """The plane and the part of it; the kernels do not check bounds."""
    view = memoryview(plane)
    if view.ndim != 2 or view.format != "B" or not view.c_contiguous or view.shape is None:
        raise ValueError(f"a luma plane is contiguous uint8[lines, stride], not {view.format}{view.shape}")
    lines, stride = view.shape
    part = part or Rectangle(0, 0, lines, stride)
    inside = 0 <= part.top <= part.top + part.height <= lines
    if not (inside and 0 <= part.left <= part.left + part.width <= stride):
        raise ValueError(f"{part} does not lie in a plane of {lines} lines of {stride} samples")
    if view.readonly:
        view = memoryview(bytearray(view)).cast("B", (lines, stride))
    return _Plane(view, lines, stride), part
