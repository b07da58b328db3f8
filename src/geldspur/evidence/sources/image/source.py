"""A disk image as a source of files."""

import errno
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

from geldspur.evidence.model import Found
from geldspur.evidence.sources.image.disks import EWF, Disk, first_bytes, open_disk, required
from geldspur.evidence.sources.image.listing import FileBytes, entries
from geldspur.evidence.sources.image.volumes import FAULTS, Volume, open_file_system, volumes

_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class StoredDigest:
    """A digest that the image carries, and the one computed from its bytes; hexadecimal digits."""

    name: str
    stored: str
    computed: str

    @property
    def holds(self) -> bool:
        """Whether the two are equal."""
        return self.stored == self.computed


def looks_like_image(path: Path) -> bool:
    """Whether a file is a disk image, by its content: an E01, a table of partitions, or a file system.

    Raises:
        UsageError: it is a container that is not read, or the extra for images is not installed.
    """
    if first_bytes(path).startswith(EWF):
        return True
    source = ImageSource(path)
    try:
        return any(volume.name or volume.file_system or volume.known for volume in source.volumes())
    finally:
        source.close()


class ImageSource:
    """A raw or E01 image. Pickled by its path; each process opens it for itself, when it is first asked.

    Paths are `p1/…`, `p2/…` where the image has partitions, else they begin at the root of its file system. A partition
    without a readable file system is one entry, skipped. A file's stream comes from its `place`, whatever its name.
    """

    kind = "image"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: tuple[Disk, Any] | None = None
        self._volumes: list[Volume] | None = None
        self._file_systems: dict[int, Any] = {}

    def __getstate__(self) -> dict[str, Any]:
        """The path only."""
        return {"path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was made."""
        ImageSource.__init__(self, state["path"])

    def walk(self) -> Iterator[Found]:
        """Every file, named, deleted or orphaned, partition by partition."""
        for volume in sorted(self.volumes(), key=lambda volume: volume.name):
            if volume.file_system is None:
                yield Found(
                    volume.name or b"(whole image)",
                    "special",
                    volume.size,
                    place={"start": volume.start},
                    skip="unsupported",
                    detail=f"{volume.described}: {volume.words}",
                )
            else:
                yield from entries(self._file_system(volume.start), volume)

    def open(self, path: bytes, place: dict[str, int | str]) -> BinaryIO:
        """The bytes of one file, seekable.

        Raises:
            OSError: the file system does not give them.
        """
        try:
            file = self._file_system(int(place["start"])).open_meta(inode=int(place["meta"]))
        except FAULTS as error:
            raise OSError(errno.EIO, str(error)) from error
        if "attribute" not in place:
            return _buffered(FileBytes(file, int(file.info.meta.size), None))
        wanted = int(place["attribute"]), int(place["id"])
        for attribute in file:
            if (int(attribute.info.type), int(attribute.info.id)) == wanted:
                return _buffered(FileBytes(file, int(attribute.info.size), wanted))
        raise OSError(errno.ENOENT, "the file has no such attribute any more")

    def describe(self) -> dict[str, str | int]:
        """Path, size, what the container says of itself, and each partition."""
        disk, _ = self._open()
        facts: dict[str, str | int] = {"path": str(self._path.absolute()), "bytes": disk.size, **disk.facts()}
        for volume in self.volumes():
            name = f"partition {volume.name.decode()}" if volume.name else "volume"
            what = volume.file_system or f"not read: {volume.words}"
            facts[name] = f"{volume.described}, from byte {volume.start}, {volume.size} bytes, {what}"
        return facts

    def verify_stored(self, progress: Callable[[int], None] = lambda _: None) -> list[StoredDigest]:
        """Read the whole image and compare the digests that it carries (an E01 only); empty where it carries none.

        `progress` is called with the number of bytes of each step. Raises OSError where the image can't be read.
        """
        disk, _ = self._open()
        stored = disk.stored_digests()
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in stored}
        offset = 0
        while stored and offset < disk.size:
            data = disk.read(offset, _CHUNK)
            for one in hashes.values():
                one.update(data)
            offset += len(data)
            progress(len(data))
        return [StoredDigest(name, digits, hashes[name].hexdigest()) for name, digits in sorted(stored.items())]

    def volumes(self) -> list[Volume]:
        """The image's partitions, or the one file system that fills it."""
        if self._volumes is None:
            disk, image = self._open()
            self._volumes = volumes(image, disk)
        return self._volumes

    def close(self) -> None:
        """Give the files back; the next question opens them again."""
        self._file_systems.clear()
        self._volumes = None
        if self._opened:
            self._opened[0].close()
            self._opened = None

    def _open(self) -> tuple[Disk, Any]:
        if self._opened is None:
            tsk = required("pytsk3")
            _zoneless_times_as_they_are()
            disk = open_disk(self._path)
            self._opened = disk, _tsk_image(tsk, disk)
        return self._opened

    def _file_system(self, start: int) -> Any:
        if start not in self._file_systems:
            self._file_systems[start] = open_file_system(self._open()[1], start)
        return self._file_systems[start]


def _tsk_image(tsk: Any, disk: Disk) -> Any:
    class Image(tsk.Img_Info):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(url="", type=tsk.TSK_IMG_TYPE_EXTERNAL)

        def close(self) -> None:
            pass  # the source closes the disk

        def read(self, offset: int, size: int) -> bytes:
            try:
                return disk.read(offset, size)
            except OSError:
                return b""  # an exception would not pass through The Sleuth Kit; it makes an error of what is missing

        def get_size(self) -> int:
            return disk.size

    return Image()


def _zoneless_times_as_they_are() -> None:
    """The Sleuth Kit turns FAT's local times into UTC by the zone of the process; here they stay as recorded."""
    if os.environ.get("TZ") != "UTC":
        os.environ["TZ"] = "UTC"
        time.tzset()


def _buffered(raw: io.RawIOBase) -> BinaryIO:
    return cast(BinaryIO, io.BufferedReader(raw, 1 << 16))
