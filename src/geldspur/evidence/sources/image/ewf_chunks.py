"""Which chunks of an E01 are damaged. libewf hands out zeros for a chunk that fails its checksum, and says nothing.

So a chunk that comes back as zeros is looked up in the segments themselves: it must be stored as zeros. Written from
J. Metz, Expert Witness Compression Format specification, sections 3 (segment files) and 4 (chunks).
"""

import io
import struct
import zlib
from bisect import bisect_right
from dataclasses import dataclass

_SECTION = struct.Struct("<16sQQ40xL")
_VOLUME = struct.Struct("<4xLLL")  # chunks, sectors a chunk, bytes a sector
_TABLE = struct.Struct("<L4xQ4xL")  # entries, base of their offsets
_FILE_HEADER = 13
_COMPRESSED = 0x8000_0000
_MOST_CHUNK = 1 << 25


@dataclass(frozen=True, slots=True)
class _Table:
    first: int
    count: int
    file: int
    entries_at: int
    base: int


class EwfChunks:
    """The tables of chunks in all segments; only their places are kept in memory.

    Raises:
        ValueError: the segments are not of the form that this reader knows.
    """

    def __init__(self, files: list[io.FileIO], media_size: int) -> None:
        self._files, self._media = files, media_size
        self.chunk_size = 0
        self._tables: list[_Table] = []
        for index in range(len(files)):
            self._read_segment(index)
        self._firsts = [table.first for table in self._tables]
        if not self._tables or not 0 < self.chunk_size <= _MOST_CHUNK:
            raise ValueError("no table of chunks")

    def first_damaged(self, offset: int, data: bytes) -> int | None:
        """Where in the image the first chunk begins that gave zeros into `data` (read at `offset`) by mistake."""
        for number in range(offset // self.chunk_size, -(-(offset + len(data)) // self.chunk_size)):
            start = number * self.chunk_size
            piece = data[max(0, start - offset) : start - offset + self.chunk_size]
            if piece.count(0) == len(piece) and not self._readable(number):
                return start
        return None

    def _read_segment(self, index: int) -> None:
        at = _FILE_HEADER
        while True:
            head = self._at(index, at, _SECTION.size)
            if len(head) < _SECTION.size or zlib.adler32(head[:-4]) != int.from_bytes(head[-4:], "little"):
                raise ValueError("a damaged section of a segment")
            name, following, size, _ = _SECTION.unpack(head)
            name = name.rstrip(b"\0")
            if name in (b"volume", b"disk") and not self.chunk_size:
                _, sectors, sector = _VOLUME.unpack(self._at(index, at + _SECTION.size, _VOLUME.size))
                self.chunk_size = sectors * sector
            elif name == b"table":
                count, base, _ = _TABLE.unpack(self._at(index, at + _SECTION.size, _TABLE.size))
                if _SECTION.size + _TABLE.size + 4 * count > size:
                    raise ValueError("a table larger than its section")
                first = self._tables[-1].first + self._tables[-1].count if self._tables else 0
                self._tables.append(_Table(first, count, index, at + _SECTION.size + _TABLE.size, base))
            if name in (b"next", b"done") or following <= at:
                return
            at = following

    def _readable(self, number: int) -> bool:
        """Whether a chunk is stored intact."""
        table = self._tables[bisect_right(self._firsts, number) - 1]
        if number - table.first >= table.count:
            return False
        entry = int.from_bytes(self._at(table.file, table.entries_at + 4 * (number - table.first), 4), "little")
        place = table.base + (entry & ~_COMPRESSED)
        size = min(self.chunk_size, self._media - number * self.chunk_size)
        stored = self._at(table.file, place, self.chunk_size + 1024)
        if not entry & _COMPRESSED:
            return zlib.adler32(stored[:size]) == int.from_bytes(stored[size : size + 4], "little")
        decoder = zlib.decompressobj()
        try:
            return len(decoder.decompress(stored, self.chunk_size + 1)) >= size and decoder.eof
        except zlib.error:
            return False

    def _at(self, index: int, at: int, size: int) -> bytes:
        file = self._files[index]
        file.seek(at)
        return file.read(size)
