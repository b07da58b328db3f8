"""The bytes of an image: one raw file, a split one (.001, .002 …), a device, or the segments of an E01."""

import errno
import io
import os
import re
import struct
from bisect import bisect_right
from pathlib import Path
from typing import Any, Protocol

from geldspur.errors import GeldspurError, UsageError
from geldspur.evidence.sources.image.ewf_chunks import EwfChunks
from geldspur.wording import counted

EWF = b"EVF\x09\x0d\x0a\xff\x00"
_ALL_SEGMENTS = "see that all its segments (.E01, .E02 …) lie beside each other"
INSTALL = "install the extra for images: pip install 'geldspur[images]'"

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_OTHER_CONTAINERS = (
    (b"EVF2\r\n\x81\x00", "an Ex01 image"),
    (b"LVF\x09\x0d\x0a\xff\x00", "a logical L01 image"),
    (b"LEF2\r\n\x81\x00", "a logical Lx01 image"),
    (b"AFF10\r\n\x00", "an AFF image"),
    (b"ADCRYPT\x00", "an encrypted AD1 image"),
    (b"ADSEGMENTEDFILE", "a logical AD1 image"),
    (b"QFI\xfb", "a QCOW disk"),
    (b"KDMV", "a VMDK disk"),
    (b"# Disk DescriptorFile", "a VMDK description"),
    (b"vhdxfile", "a VHDX disk"),
    (b"conectix", "a VHD disk"),
)


class Disk(Protocol):
    """An image's bytes, however they are stored."""

    size: int

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on; fewer at the end only. Raises OSError."""

    def facts(self) -> dict[str, str | int]:
        """What the container says of itself."""

    def stored_digests(self) -> dict[str, str]:
        """The digests of all its bytes that the container carries: name and hexadecimal digits."""

    def close(self) -> None:
        """Give the files back."""


def open_disk(path: Path) -> Disk:
    """The image that begins with the file `path`.

    Raises:
        UsageError: it is a container of a kind that is not read, or a segment is missing.
        GeldspurError: it is an E01 that can't be opened.
    """
    head = first_bytes(path)
    for signature, what in _OTHER_CONTAINERS:
        if head.startswith(signature):
            raise UsageError(
                f"{what} is not read", where=str(path), todo="convert it to a raw or E01 image, and scan that"
            )
    if head.startswith(EWF):
        return EwfDisk(path)
    return RawDisk(segments_of(path))


def first_bytes(path: Path) -> bytes:
    """The first 512 bytes."""
    handle = _open(path)
    try:
        return os.pread(handle, 512, 0)
    finally:
        os.close(handle)


def segments_of(path: Path) -> list[Path]:
    """The files of a split raw image, by their numbers from 000 or 001 on; a name without such a number stands alone.

    Raises:
        UsageError: the first segment was not named, or one is missing between the others.
    """
    match = re.fullmatch(r"(?s)(.*\.)(\d{3,})", path.name)
    if not match:
        return [path]
    stem, digits = match.groups()
    there = {}
    for other in path.parent.iterdir():
        found = re.fullmatch(re.escape(stem) + r"(\d{3,})", other.name)
        if found:
            there[int(found[1])] = other
    numbers = sorted(there)
    if numbers[0] not in (0, 1):
        return [path]
    if int(digits) != numbers[0]:
        raise UsageError(
            "this is not the first segment of the image", where=str(path), todo=f"name {there[numbers[0]].name}"
        )
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    if missing:
        raise UsageError(
            f"segment {missing[0]:03} of the image is missing", where=str(path.parent), todo="put all segments there"
        )
    return [there[number] for number in numbers]


class RawDisk:
    """Files (or a device) that hold the disk's bytes one after the other."""

    def __init__(self, paths: list[Path]) -> None:
        self._paths = paths
        self._handles = [_open(path) for path in paths]
        ends = [os.lseek(handle, 0, os.SEEK_END) for handle in self._handles]
        self._starts = [sum(ends[:index]) for index in range(len(ends))]
        self.size = sum(ends)

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on."""
        pieces = []
        size = min(size, self.size - offset)
        while size > 0:
            index = bisect_right(self._starts, offset) - 1
            end = self._starts[index + 1] if index + 1 < len(self._starts) else self.size
            data = os.pread(self._handles[index], min(size, end - offset), offset - self._starts[index])
            if not data:
                raise OSError(errno.EIO, "the image file became shorter", str(self._paths[index]))
            pieces.append(data)
            offset += len(data)
            size -= len(data)
        return b"".join(pieces)

    def facts(self) -> dict[str, str | int]:
        """Format and number of segments."""
        return {"image": "raw", "segments": len(self._paths)}

    def stored_digests(self) -> dict[str, str]:
        """None: a raw image says nothing of itself."""
        return {}

    def close(self) -> None:
        """Give the files back."""
        for handle in self._handles:
            os.close(handle)


class EwfDisk:
    """An EnCase image, with all its segments."""

    def __init__(self, path: Path) -> None:
        pyewf = required("pyewf")
        try:
            names = pyewf.glob(str(path))
            self._files = [io.FileIO(_open(Path(name))) for name in names]
            self._handle = pyewf.handle()
            self._handle.open_file_objects(self._files)
        except OSError as error:
            raise GeldspurError(
                f"the E01 image can't be opened: {_short(error)}",
                where=str(path),
                todo=_ALL_SEGMENTS,
            ) from error
        self.size = int(self._handle.get_media_size())
        try:
            self._chunks: EwfChunks | None = EwfChunks(self._files, self.size)
        except (ValueError, struct.error):
            self._chunks = None
        try:
            self.read(max(0, self.size - 1), 1)
        except OSError as error:  # libewf itself does not mind the absence of segments
            raise GeldspurError(
                f"the end of the E01 image can't be read; {counted(len(self._files), 'segment')} there",
                where=str(path),
                todo=_ALL_SEGMENTS,
            ) from error

    def read(self, offset: int, size: int) -> bytes:
        """At most `size` bytes from `offset` on."""
        size = min(size, self.size - offset)
        if size <= 0:
            return b""
        try:
            data = bytes(self._handle.read_buffer_at_offset(size, offset))
        except OSError as error:
            raise OSError(errno.EIO, f"the E01 image at {offset:,}: {_short(error)}") from error
        damaged = self._chunks.first_damaged(offset, data) if self._chunks else None
        if damaged is not None:
            raise OSError(errno.EIO, f"the E01 image's chunk at {damaged:,} fails its checksum")
        return data

    def facts(self) -> dict[str, str | int]:
        """Format, number of segments, and what was noted at the acquisition."""
        noted = self._handle.get_header_values() or {}
        return {
            "image": "E01",
            "segments": len(self._files),
            "E01 chunks checked": int(self._chunks is not None),
            **{f"E01 {name.replace('_', ' ')}": str(value) for name, value in sorted(noted.items()) if value},
            **{f"E01 stored {name}": value for name, value in self.stored_digests().items()},
        }

    def stored_digests(self) -> dict[str, str]:
        """MD5 and SHA1 as the acquisition noted them."""
        digests = {name: self._handle.get_hash_value(name) for name in ("MD5", "SHA1")}
        return {name: str(value).lower() for name, value in digests.items() if value}

    def close(self) -> None:
        """Give the files back."""
        self._handle.close()
        for file in self._files:
            file.close()


def required(module: str) -> Any:
    """A module of the extra `images`.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return __import__(module)
    except ImportError as error:
        raise UsageError(f"disk images need the module {module}", todo=INSTALL) from error


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS | os.O_NOATIME)
    except PermissionError:  # only the owner may leave the access time alone
        return os.open(path, _FLAGS)


def _short(error: OSError) -> str:
    """libewf's chain of messages down to its first sentence."""
    return str(error).split(". ")[0].partition(": ")[2] or str(error)
