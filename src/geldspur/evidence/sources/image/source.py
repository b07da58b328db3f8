"""A disk image as a source of files."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from geldspur.evidence.model import Found
from geldspur.evidence.names import for_json
from geldspur.evidence.sources.image.apart import Apart
from geldspur.evidence.sources.image.disks import EWF, first_bytes
from geldspur.evidence.sources.image.opened import OpenedImage
from geldspur.evidence.sources.image.volumes import Volume


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
    return ImageSource(path).is_image()


class ImageSource:
    """A raw or E01 image. Pickled by its path; each process opens it for itself, when it is first asked.

    Paths are `p1/…`, `p2/…` where the image has partitions, else they begin at the root of its file system. A partition
    without a readable file system, and a stretch of the disk outside partitions, is one entry, skipped. A file's stream
    comes from its `place`, whatever its name.

    Whatever interprets the image runs in a process of its own (`apart`), but for `open`: those who read files are
    shut in themselves.
    """

    kind = "image"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: OpenedImage | None = None
        self._known: tuple[dict[str, str | int], list[Volume]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        """The path only."""
        return {"path": self._path}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """As it was made."""
        ImageSource.__init__(self, state["path"])

    def is_image(self) -> bool:
        """See `looks_like_image`."""
        if first_bytes(self._path).startswith(EWF):
            return True
        return any(volume.name or volume.file_system or volume.known for volume in self.volumes())

    def walk(self) -> Iterator[Found]:
        """Every file, named, deleted or orphaned, partition by partition."""
        volumes = sorted(self.volumes(), key=lambda volume: volume.name)
        with Apart(self._path) as image:
            for volume in volumes:
                if volume.file_system is None:
                    yield volume.as_entry()
                else:
                    yield from image.entries(volume)

    def open(self, path: bytes, place: dict[str, int | str]) -> BinaryIO:
        """The bytes of one file, seekable.

        Raises:
            OSError: the file system does not give them.
        """
        if self._opened is None:
            self._opened = OpenedImage(self._path)
        return self._opened.open(place)

    def describe(self) -> dict[str, str | int]:
        """Path, size, what the container says of itself, and each partition."""
        facts, volumes = self._ask()
        return {**for_json(os.fsencode(self._path.absolute())), **facts, **dict(volume.as_fact() for volume in volumes)}

    def verify_stored(self, progress: Callable[[int], None] = lambda _: None) -> list[StoredDigest]:
        """Read the whole image and compare the digests that it carries (an E01 only); empty where it carries none.

        `progress` is called with the number of bytes of each step. Raises OSError where the image can't be read.
        """
        with Apart(self._path) as image:
            return [StoredDigest(*digest) for digest in image.digests(progress)]

    def volumes(self) -> list[Volume]:
        """The image's partitions, or the one file system that fills it."""
        return self._ask()[1]

    def close(self) -> None:
        """Give the files back; the next question opens them again."""
        self._known = None
        if self._opened:
            self._opened.close()
            self._opened = None

    def _ask(self) -> tuple[dict[str, str | int], list[Volume]]:
        if self._known is None:
            with Apart(self._path) as image:
                self._known = image.facts(), image.volumes()
        return self._known
