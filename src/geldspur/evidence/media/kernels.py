"""PDQ's arithmetic over one luma plane.

The planes are whole rows as the decoder lays them out, padding included: uint8[lines, stride], contiguous. The caller
has checked that the rectangle `top`, `left`, `height`, `width` lies inside. A fold is the product of PDQ's two box
filters and its decimation along one axis: output `k` is the sum of `count[k]` samples from `start[k]` on, each times
its weight. Room to work in is handed over, and big enough for it.
"""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def fold_plane(
    plane, top, left, width,
    row_start, row_count, row_parts, row_whole, row_weight,
    col_start, col_count, col_parts, col_whole, col_weight,
    line, real, out,
):  # fmt: skip
    """Filter and decimate a rectangle of `plane` uint8 into `out` float32[64, 64].

    `row_start`, `row_count` int64[64]; `row_parts` uint16[64, R], in `row_whole` int64[64]-ths (whole numbers, so that
    sums are exact and the same on every processor), or where that is 0 `row_weight` float64[64, R]; `col_*` alike.
    Room to work in: `line` uint16[width + C] (uint32 where 255 * row_whole needs it), `real` float64[width].
    """
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


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _summed(line, start, parts):
    total = np.int64(0)
    for k in range(len(parts)):
        at = np.uint64(k)
        total += np.int64(line[start + at]) * np.int64(parts[at])
    return total


@njit(cache=True, nogil=True)
def _weigh_rows(plane, first, count, left, width, weight, real):
    """Sum of `count` rows from `first` on, each times its weight, into `real`."""
    real[:width] = 0.0
    for k in range(count):
        row, w = plane[first + k], weight[k]
        for x in range(width):
            real[x] += w * row[left + x]


@njit(cache=True, nogil=True)
def _weighted(line, start, weight, count):
    total = 0.0
    for k in range(count):
        total += weight[k] * line[start + k]
    return total


@njit(cache=True, nogil=True)
def quality_of(small):
    """PDQ's quality of `small` float32[64, 64]: its gradients, each cut to hundredths of the full range."""
    total = np.int64(0)
    for i in range(63):
        for j in range(64):
            total += abs(np.int64((small[i, j] - small[i + 1, j]) * np.float32(100) / np.float32(255)))
    for i in range(64):
        for j in range(63):
            total += abs(np.int64((small[i, j] - small[i, j + 1]) * np.float32(100) / np.float32(255)))
    return min(total // 90, 100)


@njit(cache=True, nogil=True)
def transform(small, cosines, middle, spectrum):
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


@njit(cache=True, nogil=True)
def write_bits(spectrum, mirrored, sorted_values, out):
    """The 256 bits of `spectrum` float32[16, 16] into `out` uint8[32], in the order of PDQ's hexadecimal form.

    A bit is set where a value exceeds the lower median. `mirrored`: of the picture mirrored left to right, which
    turns the sign of every odd horizontal frequency. `sorted_values` float32[256] is room to work in.
    """
    for u in range(16):
        for v in range(16):
            value = spectrum[u, v]
            sorted_values[16 * u + v] = -value if mirrored and not v & 1 else value
    median = np.partition(sorted_values, 127)[127]
    for k in range(32):
        out[k] = 0
    for bit in range(256):
        if sorted_values[bit] > median:
            place = 255 - bit
            out[place >> 3] |= np.uint8(128 >> (place & 7))


@njit(cache=True, nogil=True)
def darkest_edges(plane, top, left, height, width, limit, allowed, out):
    """How far from each side only dark lines reach, into `out` int64[4]: top, bottom, left, right.

    A line is dark while at most `allowed` in a thousand of its samples exceed `limit`.
    """
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


@njit(cache=True, nogil=True)
def _row_is_dark(plane, row, left, width, limit, allowed):
    bright, most = 0, width * allowed // 1000
    for x in range(left, left + width):
        bright += plane[row, x] > limit
        if bright > most:
            return False
    return True


@njit(cache=True, nogil=True)
def _column_is_dark(plane, top, column, height, limit, allowed):
    bright, most = 0, height * allowed // 1000
    for y in range(top, top + height):
        bright += plane[y, column] > limit
        if bright > most:
            return False
    return True
