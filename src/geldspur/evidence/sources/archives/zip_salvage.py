"""A zip archive whose directory is gone: its members by their local headers, up to where it was cut off."""

import struct
from collections.abc import Callable, Iterator
from typing import BinaryIO

from geldspur.evidence.sources.archives.limits import Limits, Stopped
from geldspur.evidence.sources.archives.streams import Unpacked, Window, buffered
from geldspur.evidence.sources.archives.zip_fields import LZMA_HEADER, field_times, zip64_values
from geldspur.evidence.sources.archives.zips import LOCAL, LZMA, ZipEntry, decoder_of

_HEADER, _DESCRIPTOR = b"PK\x03\x04", b"PK\x07\x08"
_AFTER = (_HEADER, b"PK\x01\x02", b"PK\x06\x08")  # what may follow a member


def salvaged(
    stream: BinaryIO, total: int, limits: Limits, charge: Callable[[int], None], begin: int = 0
) -> Iterator[ZipEntry]:
    """Members from byte `begin` on up to byte `total`, in the order in which they lie.

    Sizes that only follow a member are found by unpacking it, which `charge` is told of. Where a member does not end,
    `cut` is set, and it is the last.

    Raises:
        Stopped: always, at the end: it says up to where the archive could be read.
    """
    at = begin
    stream.seek(at)
    if stream.read(4) in (_DESCRIPTOR, b"PK00"):  # the mark of an archive that was meant to be split
        at += 4
    while True:
        stream.seek(at)
        head = stream.read(min(LOCAL.size, max(0, total - at)))
        if len(head) < LOCAL.size or head[:4] != _HEADER:
            raise Stopped(
                "damaged", "the zip archive has no directory at its end; its members were read up to here", at
            )
        _, _, flags, method, time, date, crc, packed, size, name_size, extra_size = LOCAL.unpack(head)
        rest = stream.read(name_size + extra_size)
        name, extra = rest[:name_size], rest[name_size:]
        data_at = at + LOCAL.size + name_size + extra_size
        size, packed, _ = zip64_values(extra, size, packed, 0)
        entry = ZipEntry(
            name=name,
            flags=flags,
            method=method,
            crc=crc,
            packed=packed,
            size=size,
            header_at=at,
            kind="directory" if name.endswith(b"/") else "file",
            times=field_times(extra, date, time),
            data_at=data_at,
        )
        if flags & 8 and not packed:
            entry, at = _measured(stream, entry, total, limits, charge)
        else:
            at = data_at + packed
            if at > total:
                entry = entry.cut_at(total)
        yield entry
        if entry.cut:
            raise Stopped("damaged", "the zip archive ends within this member, without a directory", total)


def _measured(
    stream: BinaryIO, entry: ZipEntry, total: int, limits: Limits, charge: Callable[[int], None]
) -> tuple[ZipEntry, int]:
    """The entry with the sizes that lie behind its data, and where they end."""
    start = entry.data_at or 0
    if entry.skip or entry.method == 0 or start > total:
        return entry.cut_at(total), total
    packed = buffered(Window(stream, start, total - start))
    unpacked = Unpacked(packed, lambda: decoder_of(entry, packed, limits), charge)
    unpacked.most = limits.member_bytes
    reader, size = buffered(unpacked), 0
    try:
        while piece := reader.read(1 << 18):
            size += len(piece)
    except Stopped as stop:
        if stop.reason != "damaged":
            raise
        return entry.cut_at(total), total
    end = start + unpacked.taken + (LZMA_HEADER if entry.method == LZMA else 0)
    stream.seek(end)
    behind = stream.read(28)
    at = 4 if behind[:4] == _DESCRIPTOR else 0
    crc = struct.unpack_from("<L", behind, at)[0] if len(behind) >= at + 12 else 0
    wide = behind[at + 12 : at + 16] not in _AFTER and behind[at + 20 : at + 24] in _AFTER
    return entry.measured(end - start, size, crc), end + at + (20 if wide else 12)
