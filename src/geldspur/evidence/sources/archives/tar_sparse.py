"""Sparse files in tar archives: GNU's old form, and forms 0.1 and 1.0 in extended headers."""

from collections.abc import Callable
from dataclasses import dataclass

from geldspur.evidence.sources.archives.limits import Stopped
from geldspur.evidence.sources.archives.streams import CHUNK, Forward

BLOCK = 512
MOST_PIECES = 100_000  # of one file; each takes memory


@dataclass(frozen=True, slots=True)
class Sparse:
    """A file's size with its holes, and where its stored pieces (offset, size) belong, in order."""

    size: int
    pieces: tuple[tuple[int, int], ...]

    @property
    def stored(self) -> int:
        """Bytes of all pieces together."""
        return sum(size for _, size in self.pieces)


def old_form(header: bytes, number: Callable[[bytes], int], more: Callable[[int], bytes], at: int) -> Sparse:
    """Type S: four pieces in the header, 21 in each block that follows it while a flag says so."""
    numbers: list[int] = []
    fields, flag = header[386:482], header[482]
    while True:
        numbers += [number(fields[place : place + 12]) for place in range(0, len(fields), 12)]
        if not flag:
            return checked(number(header[483:495]), numbers, at)
        if len(numbers) > 2 * MOST_PIECES:
            raise Stopped("damaged", "a sparse file of too many pieces", at)
        block = more(BLOCK)
        if len(block) < BLOCK:
            raise Stopped("damaged", "the tar archive ends within a map of holes", at)
        fields, flag = block[:504], block[504]


def by_headers(fields: dict[bytes, bytes], more: Callable[[int], bytes], at: int) -> tuple[Sparse, int] | None:
    """Forms 0.1 and 1.0, and how many bytes the map took from the data; None for others (0.0 repeats its fields)."""
    if fields.get(b"GNU.sparse.major") == b"1":
        numbers, used = _map_in_data(more, at)
        return checked(_number(fields.get(b"GNU.sparse.realsize", b""), at), numbers, at), used
    if b"GNU.sparse.map" in fields:
        numbers = [_number(text, at) for text in fields[b"GNU.sparse.map"].split(b",")]
        return checked(_number(fields.get(b"GNU.sparse.size", b""), at), numbers, at), 0
    return None


def checked(size: int, numbers: list[int], at: int) -> Sparse:
    """Pairs of numbers as pieces that follow each other within the file.

    Raises:
        Stopped: they don't.
    """
    pieces, end = [], 0
    for offset, length in zip(numbers[::2], numbers[1::2], strict=False):
        if length:
            if offset < end or offset + length > size:
                raise Stopped("damaged", "a map of holes that contradicts itself", at)
            pieces.append((offset, length))
            end = offset + length
    if len(pieces) > MOST_PIECES:
        raise Stopped("damaged", "a sparse file of too many pieces", at)
    return Sparse(size, tuple(pieces))


def _map_in_data(more: Callable[[int], bytes], at: int) -> tuple[list[int], int]:
    text, used, wanted = b"", 0, 1
    numbers: list[int] = []
    while len(numbers) < wanted:
        block = more(BLOCK)
        used += len(block)
        *lines, text = (text + block).split(b"\n")
        if len(block) < BLOCK or len(text) > BLOCK:
            raise Stopped("damaged", "a map of holes that does not end", at)
        numbers += [_number(line, at) for line in lines[: wanted - len(numbers)]]
        if wanted == 1 and numbers:
            wanted = 1 + 2 * numbers[0]
            if numbers[0] > MOST_PIECES:
                raise Stopped("damaged", "a sparse file of too many pieces", at)
            numbers += [_number(line, at) for line in lines[1:wanted]]
    return numbers[1:], used


def _number(text: bytes, at: int) -> int:
    if not text.isdigit() or len(text) > 19:
        raise Stopped("damaged", "a map of holes with something else than numbers", at)
    return int(text)


class Holes(Forward):
    """A sparse file's bytes, zeros for its holes, from a stream of its stored pieces."""

    def __init__(self, stored: Callable[[int], bytes], sparse: Sparse) -> None:
        super().__init__()
        self._stored, self._sparse = stored, sparse
        self._at, self._index = 0, 0

    def _piece(self, most: int) -> bytes:
        most = min(most, CHUNK)
        pieces = self._sparse.pieces
        if self._index == len(pieces):
            data = bytes(min(most, self._sparse.size - self._at))
        else:
            offset, size = pieces[self._index]
            if self._at < offset:
                data = bytes(min(most, offset - self._at))
            else:
                data = self._stored(min(most, offset + size - self._at))
                if not data:
                    raise Stopped("damaged", "the tar archive ends within a sparse file", self._at)
            if self._at + len(data) == offset + size:
                self._index += 1
        self._at += len(data)
        return data
