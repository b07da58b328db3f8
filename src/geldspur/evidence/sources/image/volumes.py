"""Partitions, and what a partition without a readable file system is."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from geldspur.evidence.sources.image.disks import Disk, required

# what The Sleuth Kit's binding raises for damage, beside IOError
FAULTS = (OSError, RuntimeError, SystemError, OverflowError, ValueError)
_NO_FILES = ("SWAP", "RAW", "UNSUPP", "DETECT", "LOGICAL", "ENUM")
_LOOKED_AT = 68 * 1024
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
    """A partition, or all of an image without partitions (`name` is empty then). Bytes from the image's beginning."""

    name: bytes
    start: int
    size: int
    described: str
    file_system: str | None  # 'ext4', 'ntfs' …; None: there is none that can be read
    words: str  # what it is then

    @property
    def known(self) -> bool:
        """Whether it is told what it is, be it nothing that can be read."""
        return self.file_system is not None or self.words in {words for _, _, words in _SIGNS}


def volumes(image: Any, disk: Disk) -> list[Volume]:
    """The image's partitions in order, or the one file system that fills it.

    `image`: the disk as The Sleuth Kit sees it. A table of partitions of which none can be read gives way to a file
    system at the very beginning: remains of an older table are common.
    """
    parts = list(_partitions(image, disk))
    if any(part.file_system for part in parts):
        return parts
    whole = _volume(image, disk, b"", 0, disk.size, "the whole image")
    if whole.file_system or not parts:
        return [whole]
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


def _partitions(image: Any, disk: Disk) -> Iterator[Volume]:
    tsk = required("pytsk3")
    try:
        table = tsk.Volume_Info(image)
    except FAULTS:
        return
    sector, number = int(table.info.block_size), 0
    for part in table:
        if int(part.flags) == int(tsk.TSK_VS_PART_FLAG_ALLOC):
            number += 1
            described = part.desc.decode("utf-8", "backslashreplace")
            yield _volume(image, disk, b"p%d" % number, part.start * sector, part.len * sector, described)


def _volume(image: Any, disk: Disk, name: bytes, start: int, size: int, described: str) -> Volume:
    try:
        kind = file_system_name(open_file_system(image, start))
    except FAULTS:
        kind = None
    return Volume(name, start, size, described, kind, "" if kind else _what(disk, start, size))


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
