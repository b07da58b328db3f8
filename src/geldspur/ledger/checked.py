"""Columns that compare what is read of them with its checksums, before anybody sees it.

They stand in for arrays where few rows are asked for. There is no way around the comparison: whatever takes the whole
as an array (`numpy.asarray`) has the whole compared.
"""

from bisect import bisect_left, bisect_right
from typing import Any

import numpy as np

from geldspur.ledger.columns import Array
from geldspur.ledger.parts import Parts


class Checked:
    """A mapped column with the checksums of its parts."""

    def __init__(self, array: Array, parts: Parts) -> None:
        self.unchecked = array
        """The array itself, for whoever only wants to know where it lies."""
        self._parts = parts
        self._width = int(np.prod(array.shape[1:], dtype=np.int64)) * array.itemsize
        self.dtype, self.shape = array.dtype, array.shape

    def __len__(self) -> int:
        """Rows."""
        return int(self.shape[0])

    def __getitem__(self, key: Any) -> Any:
        """As an array's: a row, a slice, rows by their numbers or by a mask; of rows also a tuple."""
        self._compare(key[0] if isinstance(key, tuple) else key)
        return self.unchecked[key]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        """All of it."""
        self._parts.look(0, len(self) * self._width)
        return np.array(self.unchecked, dtype, copy=copy)

    @property
    def data(self) -> "CheckedView":
        """What gives plain numbers, as an array's memoryview does."""
        return CheckedView(self)

    def searchsorted(self, value: Any, side: str = "left", sorter: None = None) -> Any:
        """As an array's, which numpy's function calls with a `sorter`, too. What the search meets is compared."""
        if np.ndim(value) == 0:
            return (bisect_left if side == "left" else bisect_right)(self, value)
        low, high = np.zeros(len(value), np.int64), np.full(len(value), len(self), np.int64)
        while len(open_ := np.flatnonzero(low < high)):
            middle = (low[open_] + high[open_]) // 2
            met = self[middle]
            after = met < value[open_] if side == "left" else met <= value[open_]
            low[open_[after]] = middle[after] + 1
            high[open_[~after]] = middle[~after]
        return low

    def _compare(self, rows: Any) -> None:
        if isinstance(rows, slice):
            first, end, step = rows.indices(len(self))
            if step < 0:
                first, end = end + 1, first + 1
            if first < end:
                self._parts.look(first * self._width, end * self._width)
        elif np.ndim(rows) == 0:
            row = int(rows) + (len(self) if rows < 0 else 0)
            if 0 <= row < len(self):
                self._parts.look(row * self._width, (row + 1) * self._width)
        else:
            wanted = np.asarray(rows)
            wanted = np.flatnonzero(wanted) if wanted.dtype == bool else wanted
            if len(wanted) and (int(wanted.min()) < 0 or int(wanted.max()) >= len(self)):
                raise IndexError(f"rows {wanted.min()} to {wanted.max()} of {len(self)}")
            self._parts.look_at(wanted)


class CheckedView:
    """A checked column's values as Python's numbers, and stretches of them as memoryviews."""

    def __init__(self, column: Checked) -> None:
        self._column, self._data = column, column.unchecked.data

    def __len__(self) -> int:
        """Rows."""
        return len(self._data)

    def __getitem__(self, key: Any) -> Any:
        """A value, or a stretch."""
        self._column._compare(key)
        return self._data[key]
