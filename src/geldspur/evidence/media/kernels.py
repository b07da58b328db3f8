"""PDQ's arithmetic over one luma plane.

The planes are whole rows as the decoder lays them out, padding included: uint8[lines, stride], contiguous. The caller
has checked that the rectangle `top`, `left`, `height`, `width` lies inside. A fold is the product of PDQ's two box
filters and its decimation along one axis: output `k` is the sum of `count[k]` samples from `start[k]` on, each times
its weight. Room to work in is handed over, and big enough for it.

`hash_plane` and `darkest_edges` are compiled by `machinecode`, which is why they take addresses; the rest is inlined.
"""

import numpy as np
from numba import njit
from numba.np.numpy_support import carray


def hash_plane(
    plane, lines, stride, top, left, width,
    row_start, row_count, row_taps, row_parts, row_whole, row_weight,
    col_start, col_count, col_taps, col_parts, col_whole, col_weight,
    line, length, narrow, real, small, middle, spectrum, values, cosines, limited, out,
):  # fmt: skip
    """PDQ of a rectangle of `plane` uint8[lines, stride] and of its mirror image; returns the quality.

    `*_start`, `*_count`, `*_whole` int64[64], `*_parts` uint16 and `*_weight` float64[64, taps]: see `_fold_plane`.
    Room to work in: `line` uint16[length] if `narrow`, else uint32, `real` float64[width], `small` float32[64, 64],
    `middle` float32[64, 16], `spectrum` float32[16, 16], `values` float32[256]. `cosines` float32[64, 16]. `limited`:
    samples run from 16 to 235 only. `out` uint8[2, 32]: the bits.
    """
    samples = carray(plane, (lines, stride), np.uint8)
    rows = (
        carray(row_start, 64, np.int64), carray(row_count, 64, np.int64),
        carray(row_parts, (64, row_taps), np.uint16), carray(row_whole, 64, np.int64),
        carray(row_weight, (64, row_taps), np.float64),
    )  # fmt: skip
    cols = (
        carray(col_start, 64, np.int64), carray(col_count, 64, np.int64),
        carray(col_parts, (64, col_taps), np.uint16), carray(col_whole, 64, np.int64),
        carray(col_weight, (64, col_taps), np.float64),
    )  # fmt: skip
    sums = carray(real, width, np.float64)
    filtered, frequencies = carray(small, (64, 64), np.float32), carray(spectrum, (16, 16), np.float32)
    coefficients = carray(values, 256, np.float32)
    bits = carray(out, (2, 32), np.uint8)
    if narrow:
        _fold_plane(samples, top, left, width, rows, cols, carray(line, length, np.uint16), sums, filtered)
    else:
        _fold_plane(samples, top, left, width, rows, cols, carray(line, length, np.uint32), sums, filtered)
    if limited:
        for i in range(64):
            for j in range(64):
                filtered[i, j] = filtered[i, j] * np.float32(255 / 219)
    _transform(filtered, carray(cosines, (64, 16), np.float32), carray(middle, (64, 16), np.float32), frequencies)
    _write_bits(frequencies, False, coefficients, bits[0])
    _write_bits(frequencies, True, coefficients, bits[1])
    return _quality_of(filtered)


def darkest_edges(plane, lines, stride, top, left, height, width, limit, allowed, out):
    """How far from each side only dark lines reach, into `out` int64[4]: top, bottom, left, right.

    `plane` is uint8[lines, stride]. A line is dark while at most `allowed` in a thousand of its samples exceed `limit`.
    """
    _darkest_edges(
        carray(plane, (lines, stride), np.uint8), top, left, height, width, limit, allowed, carray(out, 4, np.int64)
    )
    return 0


@njit(error_model="numpy")
def _fold_plane(plane, top, left, width, rows, cols, line, real, out):
    """Filter and decimate a rectangle of `plane` uint8 into `out` float32[64, 64].

    `rows` are start and count, int64[64]; parts uint16[64, R], in whole int64[64]-ths (whole numbers, so that sums are
    exact and the same on every processor), or where that is 0 weights float64[64, R]; `cols` alike.
    Room to work in: `line` uint16[width + C] (uint32 where 255 * whole needs it), `real` float64[width].
    """
    row_start, row_count, row_parts, row_whole, row_weight = rows
    col_start, col_count, col_parts, col_whole, col_weight = cols
    line[width:] = 0
    for i in range(64):
        first, count = top + row_start[i], row_count[i]
        if row_whole[i] == 0:
            _weigh_rows(plane, first, count, left, width, row_weight[i], real)
            for j in range(64):
                out[i, j] = _weighted(real, col_start[j], col_weight[j], col_count[j])
            continue
        _sum_rows(plane, first, count, left, width, row_parts[i], line)
        for j in range(64):
            if col_whole[j] == 0:
                out[i, j] = _weighted(line, col_start[j], col_weight[j], col_count[j]) / row_whole[i]
            else:
                whole = _summed(line, np.uint64(col_start[j]), col_parts[j])
                out[i, j] = np.float64(whole) / np.float64(row_whole[i] * col_whole[j])


# Numba asks of every signed index whether it counts from the end, which keeps a loop from being vectorised: the two
# loops that matter start at 0 or count unsigned.


@njit(error_model="numpy")
def _sum_rows(plane, first, count, left, width, parts, line):
    """Sum of `count` rows from `first` on, each as often as `parts` says, into `line`; eight rows a sweep."""
    line[:width] = 0
    done, end = 0, left + width
    while done + 8 <= count:
        y = first + done
        a, b, c, d = plane[y, left:end], plane[y + 1, left:end], plane[y + 2, left:end], plane[y + 3, left:end]
        e, f, g, h = plane[y + 4, left:end], plane[y + 5, left:end], plane[y + 6, left:end], plane[y + 7, left:end]
        pa, pb, pc, pd = parts[done], parts[done + 1], parts[done + 2], parts[done + 3]
        pe, pf, pg, ph = parts[done + 4], parts[done + 5], parts[done + 6], parts[done + 7]
        for x in range(width):
            line[x] = (
                line[x] + pa * a[x] + pb * b[x] + pc * c[x] + pd * d[x] + pe * e[x] + pf * f[x] + pg * g[x] + ph * h[x]
            )
        done += 8
    for k in range(done, count):
        row, part = plane[first + k, left:end], parts[k]
        for x in range(width):
            line[x] = line[x] + part * row[x]


@njit(error_model="numpy")
def _summed(line, start, parts):
    total = np.int64(0)
    for k in range(len(parts)):
        at = np.uint64(k)
        total += np.int64(line[start + at]) * np.int64(parts[at])
    return total


@njit(error_model="numpy")
def _weigh_rows(plane, first, count, left, width, weight, real):
    """Sum of `count` rows from `first` on, each times its weight, into `real`."""
    real[:width] = 0.0
    for k in range(count):
        row, w = plane[first + k], weight[k]
        for x in range(width):
            real[x] += w * row[left + x]


@njit(error_model="numpy")
def _weighted(line, start, weight, count):
    total = 0.0
    for k in range(count):
        total += weight[k] * line[start + k]
    return total


@njit(error_model="numpy")
def _quality_of(small):
    """PDQ's quality of `small` float32[64, 64]: its gradients, each cut to hundredths of the full range."""
    total = np.int64(0)
    for i in range(63):
        for j in range(64):
            total += abs(np.int64((small[i, j] - small[i + 1, j]) * np.float32(100) / np.float32(255)))
    for i in range(64):
        for j in range(63):
            total += abs(np.int64((small[i, j] - small[i, j + 1]) * np.float32(100) / np.float32(255)))
    return min(total // 90, 100)


@njit(error_model="numpy")
def _transform(small, cosines, middle, spectrum):
    """Frequencies 1 to 16 of the two-dimensional DCT of `small` float32[64, 64].

    `cosines` float32[64, 16], a column each frequency; `middle` float32[64, 16] is room to work in;
    `spectrum` float32[16, 16] gets the result, vertical frequency first.
    """
    for i in range(64):
        for v in range(16):
            middle[i, v] = np.float32(0)
        for k in range(64):
            value = small[i, k]
            for v in range(16):
                middle[i, v] += value * cosines[k, v]
    for u in range(16):
        for v in range(16):
            spectrum[u, v] = np.float32(0)
        for k in range(64):
            value = cosines[k, u]
            for v in range(16):
                spectrum[u, v] += value * middle[k, v]


@njit(error_model="numpy")
def _write_bits(spectrum, mirrored, values, out):
    """The 256 bits of `spectrum` float32[16, 16] into `out` uint8[32], in the order of PDQ's hexadecimal form.

    A bit is set where a value exceeds the lower median. `mirrored`: of the picture mirrored left to right, which
    turns the sign of every odd horizontal frequency. `values` float32[256] is room to work in.
    """
    for u in range(16):
        for v in range(16):
            value = spectrum[u, v]
            values[16 * u + v] = -value if mirrored and not v & 1 else value
    median = _median_of(values)
    for k in range(32):
        out[k] = 0
    for bit in range(256):
        if values[bit] > median:
            place = 255 - bit
            out[place >> 3] |= np.uint8(128 >> (place & 7))


@njit(error_model="numpy")
def _median_of(values):
    """The lower median of float32[256]: the value with at most 127 below it and at least 128 up to it."""
    for candidate in values:
        below, up_to = np.int64(0), np.int64(0)
        for value in values:
            below += value < candidate
            up_to += value <= candidate
        if below <= 127 < up_to:
            return candidate
    return np.float32(0)


@njit(error_model="numpy")
def _darkest_edges(plane, top, left, height, width, limit, allowed, out):
    t = 0
    while t < height and _row_is_dark(plane, top + t, left, width, limit, allowed):
        t += 1
    b = 0
    while b < height - t and _row_is_dark(plane, top + height - 1 - b, left, width, limit, allowed):
        b += 1
    rows = height - t - b
    l = 0  # noqa: E741
    while l < width and _column_is_dark(plane, top + t, left + l, rows, limit, allowed):
        l += 1  # noqa: E741
    r = 0
    while r < width - l and _column_is_dark(plane, top + t, left + width - 1 - r, rows, limit, allowed):
        r += 1
    out[0], out[1], out[2], out[3] = t, b, l, r


@njit(error_model="numpy")
def _row_is_dark(plane, row, left, width, limit, allowed):
    bright, most = 0, width * allowed // 1000
    for x in range(left, left + width):
        bright += plane[row, x] > limit
        if bright > most:
            return False
    return True


@njit(error_model="numpy")
def _column_is_dark(plane, top, column, height, limit, allowed):
    bright, most = 0, height * allowed // 1000
    for y in range(top, top + height):
        bright += plane[y, column] > limit
        if bright > most:
            return False
    return True
