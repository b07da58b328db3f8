"""A stream whose reading is heard of: passing over a large member of an archive takes long, and is no silence."""

import io
from collections.abc import Callable
from typing import BinaryIO


class Heard(io.RawIOBase):
    """Another stream, seekable, as it is; `tell_of` is called at each read."""

    def __init__(self, stream: BinaryIO, tell_of: Callable[[], None]) -> None:
        self._stream, self._tell_of = stream, tell_of

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """As the other."""
        return self._stream.seek(offset, whence)

    def readinto(self, buffer: object) -> int:
        """As the other."""
        self._tell_of()
        return int(self._stream.readinto(buffer) or 0)  # type: ignore[attr-defined]
