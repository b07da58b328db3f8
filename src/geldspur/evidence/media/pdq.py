"""Exact PDQ (Facebook's 256-bit image hash) straight from a luma plane.

PDQ filters the plane twice with a box along each axis, takes 64 by 64 samples of what results, and keeps which of 256
low frequencies of their DCT exceed the median ("PDQ & TMK+PDQF", Meta, 2019; the window sizes and the rule at the
borders are those of its reference code). Filters and decimation are linear and separable, so that the whole is one
weighted sum an output row, and one an output column: each sample of the plane is read about once.

The reference adds and subtracts in float32 along each line, and rounds where the fold does not. Pictures with texture
give the same 256 bits; flat ones, many of whose frequencies are equal but for rounding, may not: their quality is below
PDQ's limit of 50 nearly always.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from geldspur.evidence.media import kernels

SMALLEST = 5  # samples a side; PDQ hashes nothing smaller
DARK, DARK_ALLOWED = 28, 20  # a bar's samples are at most 28 of 255 (black is 16 in limited range), but for 20 in 1000
LEAST_BAR, LEAST_PICTURE = 0.03, 0.25  # of a side: thinner bars hardly move the hash, a smaller rest is no picture

_TAPS = 8  # the rows of a fold are padded to a multiple of it, so that the processor sums whole vectors
_FREQUENCIES = np.arange(1, 17)
_COSINES = np.ascontiguousarray(
    (np.sqrt(2 / 64) * np.cos(np.pi / 128 * np.outer(2 * np.arange(64) + 1, _FREQUENCIES))).astype(np.float32)
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


class Fold(NamedTuple):
    """A filter and decimation along one axis, as `kernels.fold_plane` takes it."""

    start: NDArray[np.int64]
    taps: NDArray[np.int64]
    parts: NDArray[np.uint16]
    whole: NDArray[np.int64]
    weight: NDArray[np.float64]


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
    start, rows = np.zeros(64, np.int64), []
    for k in range(64):
        low, high = box[int((k + 0.5) * length / 64)]
        start[k] = box[low][0]
        weight = np.zeros(box[high - 1][1] - box[low][0])
        for a, b in box[low:high]:
            weight[a - start[k] : b - start[k]] += 1 / (b - a) / (high - low)
        rows.append(weight)
    taps = np.array([len(row) for row in rows], np.int64)
    weights = np.zeros((64, -(-taps.max() // _TAPS) * _TAPS))
    for k, row in enumerate(rows):
        weights[k, : len(row)] = row
    parts = weights * window**2
    is_whole = (np.abs(parts - np.rint(parts)) < 1e-6).all(axis=1) & (window**2 <= 65535)
    return Fold(
        start, taps, np.where(is_whole[:, None], np.rint(parts), 0).astype(np.uint16),
        np.where(is_whole, window**2, 0), weights,
    )  # fmt: skip


def pdq(plane: NDArray[np.uint8], part: Rectangle | None = None, *, limited: bool = False) -> Pdq:
    """PDQ of a luma plane.

    Args:
        plane: uint8[lines, stride], contiguous; the stride may exceed the picture's width.
        part: the picture within it; the whole plane where None.
        limited: samples run from 16 to 235 as in most video. The bits are the same either way; PDQ's quality is
            defined on the full range.

    Raises:
        ValueError: the part does not lie in the plane, or the plane is not contiguous uint8.
    """
    part = part or Rectangle(0, 0, *plane.shape)
    _check(plane, part)
    if min(part.height, part.width) < SMALLEST:
        return Pdq(bytes(32), bytes(32), 0)
    small = np.empty((64, 64), np.float32)
    rows, columns = fold(part.height), fold(part.width)
    narrow = 255 * int(rows.whole.max()) <= 65535
    line = np.empty(part.width + columns.parts.shape[1], np.uint16 if narrow else np.uint32)
    kernels.fold_plane(
        plane, part.top, part.left, part.width, *rows, *columns, line, np.empty(part.width), small
    )  # fmt: skip
    return from_small(small, limited=limited)


def warm() -> None:
    """Compile or load every kernel in every form, so that nothing is left to do in a sandbox that can't write."""
    for plane in (np.zeros((64, 64), np.uint8), np.zeros((2200, 64), np.uint8)):
        pdq(plane)
        without_bars(plane)


def from_small(small: NDArray[np.float32], *, limited: bool = False) -> Pdq:
    """PDQ of a picture already filtered and decimated to float32[64, 64]."""
    if limited:
        small *= np.float32(255 / 219)
    spectrum, middle = np.empty((16, 16), np.float32), np.empty((64, 16), np.float32)
    kernels.transform(small, _COSINES, middle, spectrum)
    values, bits = np.empty(256, np.float32), np.empty((2, 32), np.uint8)
    kernels.write_bits(spectrum, False, values, bits[0])
    kernels.write_bits(spectrum, True, values, bits[1])
    return Pdq(bits[0].tobytes(), bits[1].tobytes(), int(kernels.quality_of(small)))


def without_bars(plane: NDArray[np.uint8], part: Rectangle | None = None) -> Rectangle | None:
    """The picture between dark bars, or None where there are none worth cutting (or nothing but dark).

    Raises:
        ValueError: as `pdq`.
    """
    part = part or Rectangle(0, 0, *plane.shape)
    _check(plane, part)
    edges = np.zeros(4, np.int64)
    kernels.darkest_edges(plane, part.top, part.left, part.height, part.width, DARK, DARK_ALLOWED, edges)
    top, bottom, left, right = (int(edge) for edge in edges)
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


def _check(plane: NDArray[np.uint8], part: Rectangle) -> None:
    """The kernels do not check bounds."""
    if plane.ndim != 2 or plane.dtype != np.uint8 or not plane.flags.c_contiguous:
        raise ValueError(f"a luma plane is contiguous uint8[lines, stride], not {plane.dtype}{plane.shape}")
    inside = 0 <= part.top <= part.top + part.height <= plane.shape[0]
    if not (inside and 0 <= part.left <= part.left + part.width <= plane.shape[1]):
        raise ValueError(f"{part} does not lie in a plane of {plane.shape[0]} lines of {plane.shape[1]} samples")
