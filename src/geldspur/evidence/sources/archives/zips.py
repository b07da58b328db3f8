"""Zip: the central directory read record by record, and each member's bytes.

Written from PKWARE's APPNOTE 6.3.10. The standard library's zipfile reads the whole directory into memory, decodes
names, and gives up on the first odd record; evidence needs the bytes of names and everything up to the damage.
"""

import io
import stat
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO

from geldspur.evidence.model import Kind, Times
from geldspur.evidence.sources.archives.limits import Limits, Stopped
from geldspur.evidence.sources.archives.streams import (
    Decoder,
    Exact,
    Summed,
    Unpacked,
    Window,
    buffered,
    inflate_raw,
    unbzip2,
)
from geldspur.evidence.sources.archives.zip_fields import field_times, lzma_decoder, method_name, zip64_values
from geldspur.wording import counted

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64 = struct.Struct("<4sLQL")
_RECORD = struct.Struct("<4s4B4HL2L5H2L")
LOCAL = struct.Struct("<4s5HL2L2H")
_END_SEARCH = _END.size + 0xFFFF

STORED, DEFLATED, BZIP2, LZMA = 0, 8, 12, 14
_DEFLATE_MOST = 1_032  # zlib's technical notes: a byte of deflate gives at most 1,032


@dataclass(frozen=True, slots=True)
class ZipEntry:
    """One record of the directory, sizes and place with the zip64 values filled in.

    `cut`: the archive ends within it.
    """

    name: bytes
    flags: int
    method: int
    crc: int
    packed: int
    size: int
    header_at: int
    kind: Kind
    times: Times
    data_at: int | None = None
    cut: bool = False

    def cut_at(self, total: int) -> "ZipEntry":
        """The same, of an archive that ends within it."""
        return replace(self, packed=max(0, total - (self.data_at or 0)), cut=True)

    def measured(self, packed: int, size: int, crc: int) -> "ZipEntry":
        """The same, with what was found behind its data."""
        return replace(self, packed=packed, size=size, crc=crc)

    @property
    def skip(self) -> tuple[str, str] | None:
        """Code and words where it can't be read at all."""
        if self.flags & 1 or self.method == 99:
            return "encrypted", "encrypted in its zip archive"
        if self.method not in {STORED, DEFLATED, BZIP2, LZMA}:
            return "unsupported", f"compression method {self.method}{method_name(self.method)}"
        return None

    @property
    def lies(self) -> str | None:
        """The limit that its sizes break: more than its method can give for its packed size."""
        if self.method == STORED and self.size != self.packed:
            return "stored, but of two different sizes"
        if self.method == DEFLATED and self.size > _DEFLATE_MOST * (self.packed + 1):
            return f"{self.packed:,} packed bytes can't give {self.size:,}"
        return None


@dataclass(frozen=True, slots=True)
class Directory:
    """Where the central directory lies; `shift`: bytes that were put in front of the archive."""

    at: int
    size: int
    shift: int
    entries: int


def find_directory(stream: BinaryIO) -> Directory | None:
    """The central directory as the archive's end tells; None where there is no end (it was cut off)."""
    total = stream.seek(0, io.SEEK_END)
    start = max(0, total - _END_SEARCH)
    stream.seek(start)
    tail = stream.read(_END_SEARCH)
    at = tail.rfind(b"PK\x05\x06")
    while at >= 0:
        if len(tail) - at >= _END.size:
            found = _directory_at(stream, start + at, tail[at : at + _END.size])
            if found:
                return found
        at = tail.rfind(b"PK\x05\x06", 0, at)
    return None


def _directory_at(stream: BinaryIO, end_at: int, record: bytes) -> Directory | None:
    _, _, _, _, entries, size, at, _ = _END.unpack(record)
    stop = end_at
    if end_at >= _LOCATOR64.size:
        stream.seek(end_at - _LOCATOR64.size)
        locator = stream.read(_LOCATOR64.size)
        if locator[:4] == b"PK\x06\x07":
            end64 = _end64(stream, end_at - _LOCATOR64.size, _LOCATOR64.unpack(locator)[2])
            if end64:
                stop, entries, size, at = end64
    shift = stop - size - at
    if size > stop or shift < 0:
        return None
    stream.seek(at + shift)
    if size and stream.read(4) != b"PK\x01\x02":
        return None
    return Directory(at + shift, size, shift, entries)


def _end64(stream: BinaryIO, locator_at: int, told: int) -> tuple[int, int, int, int] | None:
    for at in (told, locator_at - _END64.size):
        if 0 <= at <= locator_at - _END64.size:
            stream.seek(at)
            record = stream.read(_END64.size)
            if record[:4] == b"PK\x06\x06":
                fields = _END64.unpack(record)
                return at, fields[7], fields[8], fields[9]
    return None


def entries(stream: BinaryIO, directory: Directory) -> Iterator[ZipEntry]:
    """The directory's records in its own order.

    Raises:
        Stopped: a record is damaged, or there are more or fewer than the archive's end says; they were given.
    """
    records = io.BufferedReader(Window(stream, directory.at, directory.size), 1 << 16)
    at = count = 0
    while at < directory.size:
        head = records.read(_RECORD.size)
        if len(head) < _RECORD.size or head[:4] != b"PK\x01\x02":
            raise Stopped("damaged", "a record of the zip directory is damaged", directory.at + at)
        fields = _RECORD.unpack(head)
        lengths = fields[12:15]
        rest = records.read(sum(lengths))
        if len(rest) < sum(lengths):
            raise Stopped("damaged", "the zip directory ends within a record", directory.at + at)
        name, extra = rest[: lengths[0]], rest[lengths[0] : lengths[0] + lengths[1]]
        yield _entry(fields, name, extra, directory.shift)
        at += _RECORD.size + len(rest)
        count += 1
    if (count - directory.entries) % 0x10000:  # old writers count on from 0 there
        words = f"the zip directory holds {counted(count, 'member')}, its end says {directory.entries:,}"
        raise Stopped("damaged", words, directory.at + directory.size)


def _entry(fields: tuple[int, ...], name: bytes, extra: bytes, shift: int) -> ZipEntry:
    _, _, system, _, _, flags, method, time, date, crc, packed, size, *_ = fields
    external, header_at = fields[17], fields[18]
    size, packed, header_at = zip64_values(extra, size, packed, header_at)
    return ZipEntry(
        name=name,
        flags=flags,
        method=method,
        crc=crc,
        packed=packed,
        size=size,
        header_at=header_at + shift,
        kind=_kind(name, system, external >> 16),
        times=field_times(extra, date, time),
    )


def _kind(name: bytes, system: int, mode: int) -> Kind:
    if system in {3, 19}:  # Unix, OS X
        if stat.S_ISLNK(mode):
            return "symlink"
        if stat.S_IFMT(mode) in {stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK}:
            return "special"
    return "directory" if name.endswith((b"/", b"\\") if system == 0 else b"/") else "file"


def open_entry(stream: BinaryIO, entry: ZipEntry, limits: Limits) -> BinaryIO:
    """The member's bytes: seekable where it is stored.

    Raises:
        Stopped: its local header is not there.
    """
    start = entry.data_at
    if start is None:
        start = _data_at(stream, entry.header_at)
    if entry.method == STORED:
        return buffered(Summed(stream, start, entry.size, entry.crc))
    packed = buffered(Window(stream, start, entry.packed))
    return buffered(
        Exact(Unpacked(packed, lambda: decoder_of(entry, packed, limits), _no_charge), entry.size, entry.crc)
    )


def _data_at(stream: BinaryIO, header_at: int) -> int:
    stream.seek(header_at)
    head = stream.read(LOCAL.size)
    if len(head) < LOCAL.size or head[:4] != b"PK\x03\x04":
        raise Stopped("damaged", "there is no zip member where the directory says", header_at)
    *_, name, extra = LOCAL.unpack(head)
    return int(header_at + LOCAL.size + name + extra)


def end_of(entry: ZipEntry) -> int:
    """Where the data of a member found by its own header end."""
    return (entry.data_at or entry.header_at + LOCAL.size) + entry.packed


def decoder_of(entry: ZipEntry, packed: BinaryIO, limits: Limits) -> Decoder:
    """What unpacks a member that is not stored."""
    if entry.method == DEFLATED:
        return inflate_raw()
    if entry.method == BZIP2:
        return unbzip2()
    return lzma_decoder(packed, limits.dictionary_bytes)


def _no_charge(size: int) -> None:
    """What a zip member unpacks to was charged by its directory's size, which it can't exceed."""
