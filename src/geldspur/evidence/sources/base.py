"""What every source of files offers: a listing, and the bytes of each entry listed."""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from geldspur.evidence.model import Found

LONGEST_PATH = 64 << 10  # bytes; no system gives longer ones by name, and each row holds the whole of its path


class Source(Protocol):
    """A seized thing that files lie in. It is pickled into each worker process, and opens nothing until it is asked.

    `walk` yields entries in order of their paths' bytes, folder by folder: the same order each time.
    `open` gives a seekable stream for reading; it raises OSError with errno where the bytes can't be had.
    """

    kind: str

    def walk(self) -> Iterator[Found]:
        """List everything, without reading any file's content."""

    def open(self, path: bytes, place: dict[str, int | str]) -> BinaryIO:
        """The bytes of one entry, by the path and place that the walk gave."""

    def describe(self) -> dict[str, str | int]:
        """Facts for the log: absolute path, mount flags, or an image's size, stored digests and partitions."""
