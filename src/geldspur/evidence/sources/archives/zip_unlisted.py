"""Members of a zip archive that lie in it and that its directory does not list.

A reader that believes the directory sees what whoever wrote it wants to be seen: of two archives one behind the other
only the last, and of an archive whose directory was cut down only the rest. Members replaced in place stay behind like
this too.
"""

import io
import struct
from array import array
from collections.abc import Iterator
from typing import BinaryIO

from geldspur.evidence.sources.archives.zips import LOCAL, Directory, ZipEntry

_HEADER = b"PK\x03\x04"
_PIECE = 1 << 20
_MOST_VERSION, _LONGEST_NAME = 63, 4096
_METHODS = frozenset([*range(13), 14, 16, 18, 19, 20, *range(92, 100)])


class Spans:
    """Where the members that the directory lists lie, as far as the directory tells."""

    def __init__(self) -> None:
        self._starts, self._ends = array("Q"), array("Q")

    def add(self, entry: ZipEntry) -> None:
        """One listed member, from its header to the end of its data, but for its header's own extra fields."""
        end = entry.header_at + LOCAL.size + len(entry.name) + entry.packed
        if entry.header_at >= 0 and end < 1 << 63:
            self._starts.append(entry.header_at)
            self._ends.append(end)

    def gaps(self, stream: BinaryIO, directory: Directory, total: int) -> Iterator[tuple[int, int]]:
        """Parts of the archive large enough for a member that neither a listed member nor the directory takes."""
        taken = sorted([*zip(self._starts, self._ends, strict=True), (directory.at, directory.at + directory.size)])
        at = 0
        for start, end in [*taken, (total, total)]:
            if min(start, total) - at >= LOCAL.size:
                yield at, min(start, total)
            if end <= at:
                continue
            at = end if start == directory.at else max(at, end + _own_extra(stream, start))


def _own_extra(stream: BinaryIO, header_at: int) -> int:
    """How long the extra fields of a member's own header are; 0 where there is no header."""
    stream.seek(header_at)
    head = stream.read(LOCAL.size)
    return int(LOCAL.unpack(head)[-1]) if len(head) == LOCAL.size and head[:4] == _HEADER else 0


def first_member(stream: BinaryIO, start: int, end: int) -> int | None:
    """Where in a part of the archive the first thing lies that looks like a member's header and fits there."""
    at = start
    while at < end:
        stream.seek(at)
        piece = stream.read(min(_PIECE, end - at))
        found = piece.find(_HEADER)
        while found >= 0:
            if _fits(stream, at + found, end):
                return at + found
            found = piece.find(_HEADER, found + 1)
        if len(piece) < _PIECE:
            return None
        at += len(piece) - len(_HEADER) + 1
    return None


def _fits(stream: BinaryIO, at: int, end: int) -> bool:
    stream.seek(at, io.SEEK_SET)
    head = stream.read(LOCAL.size)
    if len(head) < LOCAL.size:
        return False
    try:
        _, version, _, method, *_, packed, _, name, extra = LOCAL.unpack(head)
    except struct.error:
        return False
    size = LOCAL.size + name + extra + (packed if packed != 0xFFFFFFFF else 0)
    return version & 0xFF <= _MOST_VERSION and method in _METHODS and 0 < name <= _LONGEST_NAME and at + size <= end
