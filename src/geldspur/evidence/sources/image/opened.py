"""An image as one process has it open, with libewf and The Sleuth Kit at work in that process."""

import errno
import hashlib
import io
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from geldspur.evidence.model import Found
from geldspur.evidence.sources.image.disks import Disk, open_disk, required
from geldspur.evidence.sources.image.listing import FileBytes, Walking, entries
from geldspur.evidence.sources.image.volumes import FAULTS, Volume, identified, open_file_system, partitions

_CHUNK = 1 << 20


class OpenedImage:
    """See the module. Hostile bytes are interpreted here: use it in a process that is shut in.

    `alive` is called whenever bytes of the image are read.

    Raises:
        GeldspurError: the image can't be opened; `disks.open_disk` says which errors there are.
    """

    def __init__(self, path: Path, alive: Callable[[], None] = lambda: None) -> None:
        tsk = required("pytsk3")
        _zoneless_times_as_they_are()
        self._disk = open_disk(path)
        self._image = _tsk_image(tsk, self._disk, alive)
        self._file_systems: dict[int, Any] = {}

    def facts(self) -> dict[str, str | int]:
        """Size, and what the container says of itself."""
        return {"bytes": self._disk.size, **self._disk.facts()}

    def partitions(self) -> list[Volume]:
        """What the table of partitions lists, not looked into; empty where there is none."""
        return partitions(self._image)

    def identified(self, volume: Volume) -> Volume:
        """The volume with its file system, or with words for what it is."""
        return identified(self._image, self._disk, volume)

    def entries(self, volume: Volume, walking: Walking) -> Iterator[Found]:
        """Every file of a volume's file system, named, deleted or orphaned. Raises OSError where it can't be opened."""
        try:
            file_system = self._file_system(volume.start)
        except FAULTS as error:
            raise OSError(errno.EIO, str(error)) from error
        yield from entries(file_system, volume, walking)

    def open(self, place: dict[str, int | str]) -> BinaryIO:
        """The bytes of one file, seekable. Raises OSError where the file system does not give them."""
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

    def digests(self, progress: Callable[[int], None]) -> list[tuple[str, str, str]]:
        """Name, stored and computed digits of each digest that the image carries; all its bytes are read for them.

        `progress` is called with the number of bytes of each step. Raises OSError where the image can't be read.
        """
        stored = self._disk.stored_digests()
        hashes = {name: hashlib.new(name, usedforsecurity=False) for name in stored}
        offset = 0
        while stored and offset < self._disk.size:
            data = self._disk.read(offset, _CHUNK)
            for one in hashes.values():
                one.update(data)
            offset += len(data)
            progress(len(data))
        return [(name, digits, hashes[name].hexdigest()) for name, digits in sorted(stored.items())]

    def close(self) -> None:
        """Give the files back."""
        self._file_systems.clear()
        self._disk.close()

    def _file_system(self, start: int) -> Any:
        if start not in self._file_systems:
            self._file_systems[start] = open_file_system(self._image, start)
        return self._file_systems[start]


def _tsk_image(tsk: Any, disk: Disk, alive: Callable[[], None]) -> Any:
    class Image(tsk.Img_Info):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(url="", type=tsk.TSK_IMG_TYPE_EXTERNAL)

        def close(self) -> None:
            pass  # `OpenedImage` closes the disk

        def read(self, offset: int, size: int) -> bytes:
            alive()
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
