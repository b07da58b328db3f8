"""Zip's smaller fields: sizes beyond 4 GiB, times, names of methods, the header of LZMA members."""

import calendar
import lzma
import struct
from collections.abc import Iterator
from typing import BinaryIO, cast

from geldspur.evidence.model import Times
from geldspur.evidence.sources.archives.limits import Stopped
from geldspur.evidence.sources.archives.streams import Decoder

SECOND = 1_000_000_000
LZMA_HEADER = 9
_FULL = 0xFFFFFFFF
_NTFS_EPOCH = 11_644_473_600 * SECOND  # 1601 to 1970

_METHODS = {
    1: "Shrink",
    2: "Reduce",
    3: "Reduce",
    4: "Reduce",
    5: "Reduce",
    6: "Implode",
    9: "Deflate64",
    18: "Terse",
    93: "Zstandard",
    94: "MP3",
    95: "XZ",
    96: "JPEG",
    97: "WavPack",
    98: "PPMd",
}


def method_name(method: int) -> str:
    """In brackets after the number, where it has one."""
    name = _METHODS.get(method)
    return f" ({name})" if name else ""


def extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of each extra field, up to the first that does not fit."""
    at = 0
    while at + 4 <= len(extra):
        number, size = struct.unpack_from("<2H", extra, at)
        if at + 4 + size > len(extra):
            return
        yield number, extra[at + 4 : at + 4 + size]
        at += 4 + size


def zip64_values(extra: bytes, size: int, packed: int, header_at: int) -> tuple[int, int, int]:
    """The three values, each taken from the zip64 field where its own field is full."""
    values = [size, packed, header_at]
    for number, data in extra_fields(extra):
        if number == 1:
            at = 0
            for index, value in enumerate(values):
                if value == _FULL and at + 8 <= len(data):
                    values[index] = int.from_bytes(data[at : at + 8], "little")
                    at += 8
            break
    return values[0], values[1], values[2]


def field_times(extra: bytes, date: int, time: int) -> Times:
    """UTC where an NTFS or Unix field says it; else DOS time: local time of an unknown zone, taken as it is."""
    unix: Times | None = None
    for number, data in extra_fields(extra):
        if number == 0x000A and (times := _ntfs(data)):
            return times
        if number == 0x5455 and len(data) >= 5 and data[0] & 1:
            unix = Times("zip-unix", modified_ns=int.from_bytes(data[1:5], "little", signed=True) * SECOND)
        if number in {0x5855, 0x000D} and len(data) >= 8 and unix is None:
            accessed, modified = struct.unpack_from("<2l", data)
            unix = Times("zip-unix", modified_ns=modified * SECOND, accessed_ns=accessed * SECOND)
    return unix or Times("zip-dos", modified_ns=dos_ns(date, time))


def _ntfs(data: bytes) -> Times | None:
    at = 4
    while at + 4 <= len(data):
        tag, size = struct.unpack_from("<2H", data, at)
        if tag == 1 and size >= 24 and at + 28 <= len(data):
            modified, accessed, born = (_filetime(value) for value in struct.unpack_from("<3Q", data, at + 4))
            return Times("zip-ntfs", born_ns=born, modified_ns=modified, accessed_ns=accessed)
        at += 4 + size
    return None


def _filetime(value: int) -> int | None:
    nanoseconds = value * 100 - _NTFS_EPOCH
    return nanoseconds if value and nanoseconds < 1 << 63 else None


def dos_ns(date: int, time: int) -> int | None:
    """Nanoseconds since 1970 as if the zone were UTC; None where date or time is none."""
    year, month, day = (date >> 9) + 1980, date >> 5 & 15, date & 31
    hour, minute, second = time >> 11, time >> 5 & 63, (time & 31) * 2
    if not (1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 59:
        return None
    return calendar.timegm((year, month, day, hour, minute, second)) * SECOND


def lzma_decoder(packed: BinaryIO, memory: int) -> Decoder:
    """A decoder for a zip member of method 14, whose own header is read off first.

    Raises:
        Stopped: the header is none, or asks for more than `memory` bytes.
    """
    head = packed.read(LZMA_HEADER)
    if len(head) < LZMA_HEADER or int.from_bytes(head[2:4], "little") != 5 or head[4] >= 9 * 5 * 5:
        raise Stopped("damaged", "its LZMA header is damaged", 0)
    dictionary = int.from_bytes(head[5:9], "little")
    if dictionary > memory:
        raise Stopped("unsupported", f"its dictionary of {dictionary:,} bytes is larger than the limit")
    rest, lc = divmod(head[4], 9)
    pb, lp = divmod(rest, 5)
    if lc + lp > 4:
        raise Stopped("damaged", "its LZMA header is damaged", 0)
    filters = [{"id": lzma.FILTER_LZMA1, "dict_size": max(dictionary, 4096), "lc": lc, "lp": lp, "pb": pb}]
    return cast(Decoder, lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters))
