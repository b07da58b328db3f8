"""Lines of a list, in blocks that end where a line ends, so that a block of equal lines can be read at once."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geldspur.evidence.lists.entry import Rejected
from geldspur.evidence.lists.listfile import ListStream

_CHUNK = 4 << 20
LONGEST = 1 << 20
"""Bytes of a line; a longer one is rejected without keeping it in memory."""

_NIBBLE = np.full(256, 255, np.uint8)
for _value, _digits in enumerate(zip("0123456789abcdef", "0123456789ABCDEF", strict=True)):
    for _digit in _digits:
        _NIBBLE[ord(_digit)] = _value


@dataclass(slots=True)
class LineBlock:
    """Whole lines. `first`: the number of the first one, from 1."""

    first: int
    data: bytes

    def lines(self) -> Iterator[tuple[int, str]]:
        """Each line's number and text, without its end; lines of nothing are left out."""
        if self.data.isspace():  # a packed file may hold any number of them
            return
        lines = self.data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        for at, line in enumerate(lines, self.first):
            if line:
                yield at, line.decode("utf-8", "replace").strip()


def blocks(stream: ListStream) -> Iterator[LineBlock | Rejected]:
    """The stream's lines, in blocks of some megabytes."""
    number, left = 1, b""
    while True:
        chunk = stream.read(_CHUNK)
        if not chunk:
            break
        end = chunk.rfind(b"\n") + 1
        if not end:
            left += chunk
            if len(left) > LONGEST:
                number += _skip_line(stream)
                yield Rejected(f"line {number - 1:,}", f"longer than {LONGEST:,} bytes")
                left = b""
            continue
        block = LineBlock(number, left + chunk[:end])
        number += block.data.count(b"\n")
        left = chunk[end:]
        yield block
    if left:
        yield LineBlock(number, left)


def _skip_line(stream: ListStream) -> int:
    """Read to the end of the line; what was read of the next one is given back."""
    while chunk := stream.read(_CHUNK):
        end = chunk.find(b"\n") + 1
        if end:
            stream.give_back(chunk[end:])
            break
    return 1


def equal_lines(data: bytes, digits: int) -> npt.NDArray[np.uint8] | None:
    """The digests uint8[n, digits // 2] of a block whose lines hold `digits` hexadecimal digits and nothing else.

    None where any line differs; each is then to be read for itself.
    """
    if not data.endswith(b"\n"):
        data += b"\n"
    stride = digits + (2 if data.endswith(b"\r\n") else 1)
    if len(data) % stride:
        return None
    table = np.frombuffer(data, np.uint8).reshape(-1, stride)
    if (table[:, -1] != ord("\n")).any() or (stride == digits + 2 and (table[:, -2] != ord("\r")).any()):
        return None
    nibbles = _NIBBLE[table[:, :digits]]
    if (nibbles == 255).any():
        return None
    digests: npt.NDArray[np.uint8] = (nibbles[:, 0::2] << np.uint8(4)) | nibbles[:, 1::2]
    return digests
