"""PDQ's arithmetic over one luma plane.

The planes are whole rows as the decoder lays them out, padding included: uint8[lines, stride], contiguous. The caller
has checked that the rectangle `top`, `left`, `height`, `width` lies inside. A fold is the product of PDQ's two box
filters and its decimation along one axis: output `k` is the sum of `count[k]` samples from `start[k]` on, each times
its weight.
"""

import numpy as np
from numba import njit

_ROWS = 8


@njit(cache=True, nogil=True)
def fold_plane(plane, top, left, width, row_start, row_count, row_weight, col_start, col_count, col_weight, line, out):
    """Filter and decimate a rectangle of `plane` uint8 into `out` float32[64, 64].

    `row_start`, `row_count` int64[64], `row_weight` float32[64, R] fold the rows, `col_*` the columns;
    `line` float32[width] is room to work in.
    """
    for i in range(64):
        first, count = top + row_start[i], row_count[i]
        _weighted_rows(plane, first, count, left, width, row_weight[i], line)
        for j in range(64):
            start, total = col_start[j], np.float32(0)
            for k in range(col_count[j]):
                total += col_weight[j, k] * line[start + k]
            out[i, j] = total


@njit(cache=True, nogil=True)
def _weighted_rows(plane, first, count, left, width, weight, line):
    """Sum of `count` rows from `first` on, each times its weight, into `line`."""
    done = 0
    while done < count:
        rows = min(_ROWS, count - done)
        if rows == _ROWS:
            a, b = plane[first + done], plane[first + done + 1]
            c, d = plane[first + done + 2], plane[first + done + 3]
            e, f = plane[first + done + 4], plane[first + done + 5]
            g, h = plane[first + done + 6], plane[first + done + 7]
            wa, wb, wc, wd = weight[done], weight[done + 1], weight[done + 2], weight[done + 3]
            we, wf, wg, wh = weight[done + 4], weight[done + 5], weight[done + 6], weight[done + 7]
            if done == 0:
                for x in range(width):
                    y = left + x
                    line[x] = (
                        wa * np.float32(a[y]) + wb * np.float32(b[y]) + wc * np.float32(c[y]) + wd * np.float32(d[y])
                        + we * np.float32(e[y]) + wf * np.float32(f[y]) + wg * np.float32(g[y]) + wh * np.float32(h[y])
                    )  # fmt: skip
            else:
                for x in range(width):
                    y = left + x
                    line[x] += (
                        wa * np.float32(a[y]) + wb * np.float32(b[y]) + wc * np.float32(c[y]) + wd * np.float32(d[y])
                        + we * np.float32(e[y]) + wf * np.float32(f[y]) + wg * np.float32(g[y]) + wh * np.float32(h[y])
                    )  # fmt: skip
        else:
            if done == 0:
                line[:width] = np.float32(0)
            for k in range(done, done + rows):
                row, w = plane[first + k], weight[k]
                for x in range(width):
                    line[x] += w * np.float32(row[left + x])
        done += rows


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
