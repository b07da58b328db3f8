"""A stream of known size over something that can be asked for bytes at any place."""

import errno
import io


class Anywhere(io.RawIOBase):
    """`size` bytes; those who inherit give them by `_at`."""

    def __init__(self, size: int) -> None:
        self._size, self._position = size, 0

    def _at(self, offset: int, most: int) -> bytes:
        """From 1 to `most` bytes from `offset` on, which lie within the stream. Raises OSError where there are none."""
        raise NotImplementedError

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move within the stream, or behind its end."""
        origin = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if origin + offset < 0:
            raise OSError(errno.EINVAL, "a position before the beginning")
        self._position = origin + offset
        return self._position

    def readinto(self, buffer: object) -> int:
        """As many bytes as there are, up to the buffer's size; 0 at the end."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        most = min(len(view), self._size - self._position)
        if most <= 0:
            return 0
        data = self._at(self._position, most)
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
