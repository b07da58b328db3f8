"""Partitions, and what a partition without a readable file system is."""

import errno
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from geldspur.evidence.model import Found
from geldspur.evidence.sources.image.disks import Disk, required

# what The Sleuth Kit's binding raises for damage, beside IOError
FAULTS = (OSError, RuntimeError, SystemError, OverflowError, ValueError)
_NO_FILES = ("SWAP", "RAW", "UNSUPP", "DETECT", "LOGICAL", "ENUM")
_LOOKED_AT = 68 * 1024
_ALIGNMENT = 1 << 20  # partitions begin at whole MiB: what lies before one that did is no hiding place worth a row
_OUTSIDE = "space of no partition, not searched"
_SIGNS = (
    (3, b"-FVE-FS-", "BitLocker"),
    (0, b"LUKS\xba\xbe", "LUKS, encrypted"),
    (24, b"LVM2 001", "LVM physical volume"),
    (536, b"LVM2 001", "LVM physical volume"),
    (1048, b"LVM2 001", "LVM physical volume"),
    (1560, b"LVM2 001", "LVM physical volume"),
    (4086, b"SWAPSPACE2", "Linux swap"),
    (4086, b"SWAP-SPACE", "Linux swap"),
    (0, b"XFSB", "XFS"),
    (65600, b"_BHRfS_M", "Btrfs"),
    (32, b"NXSB", "APFS container"),
    (3, b"ReFS\0", "ReFS"),
    (1024, b"\x10\x20\xf5\xf2", "F2FS"),
    (4096, b"\xfc\x4e\x2b\xa9", "Linux RAID member"),
    (0, b"\xfc\x4e\x2b\xa9", "Linux RAID member"),
    (0, b"hsqs", "SquashFS"),
)


@dataclass(frozen=True, slots=True)
class Volume:
    """A partition, a stretch outside partitions, or all of an image without partitions (`name` is empty then).

    Bytes count from the image's beginning.
    """

    name: bytes
    start: int
    size: int
    described: str
    file_system: str | None = None  # 'ext4', 'ntfs' …; None: there is none that can be read
    words: str = ""  # what it is then
    fault: bool = False  # looking at it failed, as `words` say

    @property
    def known(self) -> bool:
        """Whether it is told what it is, be it nothing that can be read."""
        return self.fault or self.file_system is not None or self.words in {words for _, _, words in _SIGNS}

    @property
    def is_partition(self) -> bool:
        """Is it neither the whole image nor a stretch outside partitions?"""
        return self.name.startswith(b"p")

    def as_entry(self) -> Found:
        """The one entry that stands for what is not read."""
        words = f"{self.described}: {self.words}"
        bare = Found(self.name or b"(whole image)", "special", self.size, place={"start": self.start})
        if self.fault:
            return replace(bare, error=(errno.EIO, words))
        return replace(bare, skip="unsupported", detail=words)

    def listed_in_part(self, words: str) -> Found:
        """The entry that says that more lay there."""
        prefix = self.name + b"/" if self.name else b""
        return Found(prefix, "directory", None, error=(errno.EIO, f"listed in part only: {words}"))

    def as_fact(self) -> tuple[str, str]:
        """Name and words for the log."""
        name = (
            "volume"
            if not self.name
            else f"partition {self.name.decode()}"
            if self.is_partition
            else self.name.decode()
        )
        what = self.file_system or f"not read: {self.words}"
        return name, f"{self.described}, from byte {self.start}, {self.size} bytes, {what}"


def whole(size: int) -> Volume:
    """An image of so many bytes as one volume."""
    return Volume(b"", 0, size, "the whole image")


def unread(volume: Volume, words: str) -> Volume:
    """The same, that looking at it failed for."""
    return replace(volume, file_system=None, words=words, fault=True)


def chosen(parts: list[Volume], whole_image: Volume, identify: Callable[[Volume], Volume]) -> list[Volume]:
    """The image's partitions in order, or the one file system that fills it.

    `identify` looks into a volume. A table of partitions of which none can be read gives way to a file system at the
    very beginning: remains of an older table are common.
    """
    parts = [part if part.words else identify(part) for part in parts]
    if any(part.file_system for part in parts):
        return parts
    filled = identify(whole_image)
    if filled.file_system or not any(part.is_partition for part in parts):
        return [filled]
    return parts


def open_file_system(image: Any, start: int) -> Any:
    """The file system that begins at `start`. Raises OSError."""
    return required("pytsk3").FS_Info(image, offset=start)


def file_system_name(file_system: Any) -> str | None:
    """Its type in the words of The Sleuth Kit, small; None for types without files."""
    number = int(file_system.info.ftype)
    tsk = required("pytsk3")
    for name in dir(tsk):
        if name.startswith("TSK_FS_TYPE_") and not name.endswith(_NO_FILES) and int(getattr(tsk, name)) == number:
            return name.removeprefix("TSK_FS_TYPE_").lower()
    return None


def partitions(image: Any) -> list[Volume]:
    """What the table of partitions lists, not looked into, and the larger stretches outside partitions; in order.

    Empty where there is no table.
    """
    tsk = required("pytsk3")
    try:
        table = tsk.Volume_Info(image)
    except FAULTS:
        return []
    sector, number = int(table.info.block_size), 0
    volumes = []
    for part in table:
        start, size = int(part.start) * sector, int(part.len) * sector
        if int(part.flags) == int(tsk.TSK_VS_PART_FLAG_ALLOC):
            number += 1
            volumes.append(Volume(b"p%d" % number, start, size, part.desc.decode("utf-8", "backslashreplace")))
        elif int(part.flags) == int(tsk.TSK_VS_PART_FLAG_UNALLOC) and size > _ALIGNMENT:
            volumes.append(
                Volume(
                    b"(outside partitions, from byte %d)" % start, start, size, "outside all partitions", words=_OUTSIDE
                )
            )
    return volumes


def identified(image: Any, disk: Disk, volume: Volume) -> Volume:
    """The volume with its file system, or with words for what it is."""
    try:
        kind = file_system_name(open_file_system(image, volume.start))
    except FAULTS:
        kind = None
    return replace(volume, file_system=kind, words="" if kind else _what(disk, volume.start, volume.size))


def _what(disk: Disk, start: int, size: int) -> str:
    if start >= disk.size:
        return "begins behind the end of the image, which is cut off"
    try:
        head = disk.read(start, min(_LOOKED_AT, size))
    except OSError as error:
        return f"its beginning could not be read ({error.strerror or error})"
    for at, sign, words in _SIGNS:
        if head[at : at + len(sign)] == sign:
            return words
    return "no file system that is known" if head.strip(b"\0") else "its beginning is empty"
